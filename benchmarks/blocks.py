"""How fast the blocks are, and what they keep, beside the papers' formulas written down plainly.

The plain form is in the tests (`tests/lightir_core/blocks/transcription.py`): it computes the same
function with the same parameters, one group, head and key after another. Both are timed in turns,
so that a noisy machine hurts both alike, and the medians are compared.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from budgets.imagine import Setting
from budgets.observed import peak_bytes
from lightir_core import architecture as arch
from lightir_core.blocks import FEED_FORWARDS, MIXERS, cross_layer
from lightir_core.errors import LightIRError
from lightir_core.network import build
from lightir_core.published.presets import preset
from lightir_core.stage import Block, set_recomputation

PLAIN = Path(__file__).parents[1] / "tests" / "lightir_core" / "blocks" / "transcription.py"
SIDE_PX = 64

Forward = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A block as a published network uses it.

    Attributes:
        name: what it is and whose.
        module: in training mode.
        width: channels of its maps.
        references: earlier maps that it reads beside its own.
    """

    name: str
    module: nn.Module
    width: int
    references: int = 0


@dataclass(frozen=True)
class Measured:
    """One way of computing a block.

    Attributes:
        forward_ms: median time of a forward pass without gradients.
        training_ms: median time of a forward and a backward pass.
        peak_bytes: the most that a forward and a backward pass hold at once, beyond weights and
            input.
    """

    forward_ms: float
    training_ms: float
    peak_bytes: int


@dataclass(frozen=True)
class Comparison:
    """Ours beside the plain form, and the medians of their ratios, measured in turns."""

    case: Case
    ours: Measured
    plain: Measured
    forward_speedup: float
    training_speedup: float

    @property
    def memory(self) -> float:
        """Our peak as a share of the plain form's."""
        return self.ours.peak_bytes / self.plain.peak_bytes


def cases() -> list[Case]:
    """The published networks' blocks at their published sizes, shifted where they shift."""
    torch.manual_seed(0)
    named = (
        ("window attention (SwinIR-light)", "swinir-light"),
        ("GRSA (GRFormer)", "grformer"),
        ("GSWA (AgileIR-light)", "agileir-light"),
        ("window attention (DRT)", "drt"),
        ("CASA (Compacter)", "compacter"),
        ("residual convolution (EDSR)", "edsr-baseline"),
    )
    found: list[Case] = []
    for name, system in named:
        architecture = preset(system)
        mixer = architecture.stages[0].blocks[-1].mixer
        found.append(Case(name, MIXERS[type(mixer)](mixer, architecture.width), architecture.width))
    for name, system in (
        ("MLP (SwinIR-light)", "swinir-light"),
        ("depth-wise MLP (GRFormer)", "grformer"),
        ("DSGM (Compacter)", "compacter"),
    ):
        architecture = preset(system)
        part = architecture.stages[0].blocks[0].feed_forward
        found.append(
            Case(name, FEED_FORWARDS[type(part)](part, architecture.width), architecture.width)
        )
    cla = arch.CrossLayerConfig(keys=9, references=4)
    for name, settings in (("CLA (EDSR)", cla), ("ACLA (EDSR)", replace(cla, selection="hard"))):
        found.append(Case(name, cross_layer.CrossLayerAttention(settings, 64), 64, references=4))
    return found


def compare(case: Case, batch: int, rounds: int, side_px: int = SIDE_PX) -> Comparison:
    """Run both forms in turns.

    Args:
        case: the block.
        batch: images at once.
        rounds: how often each form is timed.
        side_px: of the maps; a multiple of every window side is taken at or above it.
    """
    ours: Forward = case.module
    plain = _plain_form(case.module)
    inputs = _inputs(case, batch, side_px)
    pair = (ours, plain)
    forwards = [[_time_forward(form, inputs) for form in pair] for _ in range(rounds + 1)][1:]
    steps = [[_time_step(form, inputs) for form in pair] for _ in range(rounds + 1)][1:]
    measured = [
        Measured(
            forward_ms=median(row[number] for row in forwards),
            training_ms=median(row[number] for row in steps),
            peak_bytes=peak_bytes(lambda form=form: _step(form, inputs), "cpu"),
        )
        for number, form in enumerate(pair)
    ]
    return Comparison(
        case,
        *measured,
        forward_speedup=median(plain / ours for ours, plain in forwards),
        training_speedup=median(plain / ours for ours, plain in steps),
    )


@dataclass(frozen=True)
class Saved:
    """Bytes that a network keeps for its gradient after a forward pass, weights left out.

    Attributes:
        plain: with the mixers computed by the formulas.
        ours: with ours, nothing recomputed.
        recomputed: with every mixer computed again for the gradient.
    """

    plain: int
    ours: int
    recomputed: int


def saved_bytes(system: str, batch: int, side_px: int = SIDE_PX) -> Saved:
    """What a published network keeps on square images of `side_px`, in single precision.

    The forward pass runs on tensors without content, so a batch of any size fits this machine.
    """
    setting = Setting(batch=batch, training=True)
    with setting.imagine(lambda: build(preset(system))) as network:
        image = torch.empty(batch, 3, side_px, side_px)
        image = image.contiguous(memory_format=torch.channels_last)
        set_recomputation(network, enabled=True)
        recomputed = _kept(network, image)
        set_recomputation(network, enabled=False)
        ours = _kept(network, image)
        for block in network.modules():
            if isinstance(block, Block):
                block.mixer.forward = _plain_form(block.mixer)
        return Saved(_kept(network, image), ours, recomputed)


def _kept(network: nn.Module, image: Tensor) -> int:
    """Bytes of the distinct storages that a forward pass keeps for the gradient."""
    storages: dict[int, torch.UntypedStorage] = {}  # kept alive, so that no number comes twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(image)
    for tensor in (*network.parameters(), *network.buffers()):
        storages.pop(tensor.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in storages.values())


def _plain_form(module: nn.Module) -> Forward:
    """The formulas' way of computing `module`, from the checkout's tests."""
    if not PLAIN.exists():
        raise LightIRError(
            f"the formulas that blocks are compared with are not at {PLAIN}; "
            "run this benchmark from a checkout of the repository"
        )
    spec = importlib.util.spec_from_file_location("transcription", PLAIN)
    assert spec is not None
    assert spec.loader is not None
    formulas = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(formulas)
    table: Mapping[type, Forward] = formulas.TRANSCRIPTIONS
    return lambda *inputs: table[type(module)](module, *inputs)


def _inputs(case: Case, batch: int, side_px: int) -> tuple[object, ...]:
    window = getattr(case.module, "window_size", (1, 1))
    sides = (-(-side_px // side) * side for side in window)
    shape = (batch, case.width, *sides)
    generator = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(shape, generator=generator)
        .contiguous(memory_format=torch.channels_last)
        .requires_grad_()
        for _ in range(1 + case.references)
    ]
    return (maps[0], maps[1:]) if case.references else (maps[0],)


def _step(form: Forward, inputs: tuple[object, ...]) -> None:
    y = form(*inputs)
    y.backward(torch.ones_like(y))


def _time_step(form: Forward, inputs: tuple[object, ...]) -> float:
    begun = time.process_time()
    _step(form, inputs)
    return 1000 * (time.process_time() - begun)


@torch.no_grad()
def _time_forward(form: Forward, inputs: tuple[object, ...]) -> float:
    begun = time.process_time()
    form(*inputs)
    return 1000 * (time.process_time() - begun)
