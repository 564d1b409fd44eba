"""How fast the blocks are, and what they keep, beside the papers' formulas written down plainly.

The plain form is in the tests (`tests/lightir_core/blocks/transcription.py`): it computes the same
function with the same parameters, one group, head and key after another. Both are timed in every
round, so that a noisy machine hurts both alike, and the medians are compared.
"""

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.harness import Out, Row
from benchmarks.measured import peak_bytes
from benchmarks.options import wholes
from budgets.allocations import MemorySetting
from lightir_core import architecture as arch
from lightir_core.blocks import FEED_FORWARDS, MIXERS, cross_layer
from lightir_core.errors import LightIRError
from lightir_core.network import Block, build, set_recomputation
from lightir_core.published.presets import preset

PLAIN = Path(__file__).parents[1] / "tests" / "lightir_core" / "blocks" / "transcription.py"
SIDE_PX = 64
MIB = 2**20
NETWORKS = ("swinir-light", "agileir-light")
MIXERS_OF = {
    "window attention (SwinIR-light)": "swinir-light",
    "GRSA (GRFormer)": "grformer",
    "GSWA (AgileIR-light)": "agileir-light",
    "window attention (DRT)": "drt",
    "CASA (Compacter)": "compacter",
    "residual convolution (EDSR)": "edsr-baseline",
}
FEED_FORWARDS_OF = {
    "MLP (SwinIR-light)": "swinir-light",
    "depth-wise MLP (GRFormer)": "grformer",
    "DSGM (Compacter)": "compacter",
}

Forward = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A block as a published network uses it, in training mode.

    Attributes:
        name: what it is and whose.
        module: the block.
        width: channels of its maps.
        references: earlier maps that it reads beside its own.
    """

    name: str
    module: nn.Module
    width: int
    references: int = 0


def cases() -> list[Case]:
    """Return the published networks' blocks at their published sizes, shifted where they shift."""
    torch.manual_seed(0)
    made: list[Case] = []
    for name, system in MIXERS_OF.items():
        network = preset(system)
        mixer = network.stages[0].blocks[-1].mixer
        made.append(Case(name, MIXERS[type(mixer)](mixer, network.width), network.width))
    for name, system in FEED_FORWARDS_OF.items():
        network = preset(system)
        part = network.stages[0].blocks[0].feed_forward
        made.append(Case(name, FEED_FORWARDS[type(part)](part, network.width), network.width))
    cla = arch.CrossLayerConfig(keys=9, references=4)
    for name, settings in (("CLA (EDSR)", cla), ("ACLA (EDSR)", replace(cla, selection="hard"))):
        made.append(Case(name, cross_layer.CrossLayerAttention(settings, 64), 64, references=4))
    return made


def compare(case: Case, batch: int, rounds: int, side_px: int = SIDE_PX) -> Row:
    """Run both forms in every round, at maps of at least `side_px`.

    Returns:
        Median `forward_ms` and `training_ms` of ours, the median ratios `forward` and `training`
        (above 1 ours is faster), and the `peak` bytes that a forward and a backward pass hold
        beyond weights and input, of ours and `of_plain`.
    """
    inputs = _inputs(case, batch, side_px)
    pair: tuple[Forward, Forward] = (case.module, _plain_form(case.module))
    forwards = [[_time_forward(form, inputs) for form in pair] for _ in range(rounds + 1)][1:]
    steps = [[_time_step(form, inputs) for form in pair] for _ in range(rounds + 1)][1:]
    ours, plain = (peak_bytes(lambda form=form: _step(form, inputs), "cpu") for form in pair)
    return {
        "forward_ms": median(mine for mine, _ in forwards),
        "forward": median(other / mine for mine, other in forwards),
        "training_ms": median(mine for mine, _ in steps),
        "training": median(other / mine for mine, other in steps),
        "peak": ours,
        "of_plain": ours / plain,
    }


def saved_bytes(system: str, batch: int, side_px: int = SIDE_PX) -> Row:
    """Return bytes that a published network keeps for its gradient, weights left out.

    Of a forward pass on square images in single precision, with the mixers computed by the formulas
    (`plain`), by `ours`, and by ours and again for the gradient (`recomputed`). The pass runs on
    tensors without content, so a batch of any size fits this machine.
    """
    setting = MemorySetting(batch=batch, training=True)
    with setting.fake(lambda: build(preset(system))) as network:
        image = torch.empty(batch, 3, side_px, side_px)
        image = image.contiguous(memory_format=torch.channels_last)
        set_recomputation(network, enabled=True)
        recomputed = _kept(network, image)
        set_recomputation(network, enabled=False)
        ours = _kept(network, image)
        for block in network.modules():
            if isinstance(block, Block):
                block.mixer.forward = _plain_form(block.mixer)
        return {"plain": _kept(network, image), "ours": ours, "recomputed": recomputed}


def _kept(network: nn.Module, image: Tensor) -> int:
    """Return bytes of the distinct storages that a forward pass keeps for the gradient."""
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
    """Return the formulas' way of computing `module`, from the checkout's tests."""
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


def blocks(
    batch: Annotated[int, typer.Option(min=1, help="Images of 64x64 at once.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="How often each form is timed.")] = 9,
    batches: Annotated[
        str, typer.Option(help="Batch sizes for what whole networks keep, joined by commas.")
    ] = "1,16",
    out: Out = None,
) -> None:
    """Time each block, and what it keeps, beside the papers' formulas written down plainly.

    On one core, both forms in every round, medians of the ratios. Needs a checkout with its tests.

    Example:  python -m benchmarks blocks --batch 4 --rounds 9
    """
    torch.set_num_threads(1)
    timed: list[list[str]] = []
    for case in cases():
        row = compare(case, batch, rounds)
        harness.log(f"{case.name} measured")
        ours = f"{row['forward_ms']:.1f}", f"{row['forward']:.2f}", f"{row['training_ms']:.1f}"
        peak = f"{row['peak'] / MIB:.1f}", f"{row['of_plain']:.2f}"
        timed.append([case.name, *ours, f"{row['training']:.2f}", *peak])
    kept: list[list[str]] = []
    for size in wholes("--batches", batches):
        for name in NETWORKS:
            kept.append(
                [name, str(size), *(f"{b / MIB:,.0f}" for b in saved_bytes(name, size).values())]
            )
            harness.log(f"{name} at batch {size} measured")
    columns = ["block", "forward ms:", "as fast:", "training ms:", "as fast:", "peak MiB:"]
    lines = harness.table([*columns, "of plain:"], timed)
    networks = ["network", "batch:", "plain MiB:", "ours:", "recomputed:"]
    harness.publish("## Blocks", [*lines, "", *harness.table(networks, kept)], out)
