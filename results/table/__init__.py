"""The table of trained networks that ships with the program, with their learning curves.

`trained.json.xz` beside this file is JSON in xz: a head of a few keys, and `networks`, a list of
flat objects. Read it with this package, or with any other tool:

    networks = load_table()
    pandas.DataFrame(json.load(lzma.open("trained.json.xz"))["networks"])
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from lightir_core.architecture import Architecture, from_plain
from lightir_core.errors import LightIRError, ResultsError, first_line
from results.run import write_atomic

__all__ = ["TABLE", "TrainedNetwork", "load_table", "save_table"]

TABLE = Path(__file__).with_name("trained.json.xz")
FORMAT = "lightir-trained-networks"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """One training of one network.

    Attributes:
        index: what the training stands for in the plan of the table; unique.
        origin: where the design comes from: "preset NAME SIZE", "repeated" (one drawn design in all
            stages), "drawn" (every stage for itself) or "mutant PARENT".
        architecture: the network.
        task: as `lightir_core.data.tasks.parse_task` reads it.
        recipe: name of the recipe.
        steps: optimiser steps.
        batch: patches of a step.
        patch_px: side of a low-quality patch.
        seed: decided the first weights and the patches.
        params: parameters.
        macs: multiply-adds at the task's reference size of the output.
        curve: (step, score in dB on the validation crops); empty if the training failed.
        cpu_s: seconds of processor time.
        machine: processor or GPU, and the version of torch.
        restart: how it diverged and was begun again with lower rates; empty if it did not.
        reason: why there is no score; empty if there is one.
        choices: the point of the default space; empty for presets, which need not be one.
    """

    index: int
    origin: str
    architecture: Architecture
    task: str
    recipe: str
    steps: int
    batch: int
    patch_px: int
    seed: int
    params: int
    macs: int
    curve: tuple[tuple[int, float], ...]
    cpu_s: float
    machine: str
    restart: str = ""
    reason: str = ""
    choices: Mapping[str, str | int | float | bool] = field(
        default_factory=dict[str, str | int | float | bool], hash=False
    )

    @property
    def is_diverged(self) -> bool:
        """Tell whether it failed or was begun again, so that its score is none of the recipe."""
        return bool(self.reason or self.restart)

    @property
    def pixels(self) -> int:
        """Return those of the output that MACs hold for: 1280x720, or 256x256 at scale 1."""
        return 1280 * 720 if self.architecture.scale > 1 else 256 * 256

    @property
    def score(self) -> float:
        """Return the last score in dB, NaN where there is none."""
        return self.curve[-1][1] if self.curve else float("nan")

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> TrainedNetwork:
        """Make a training of what `to_plain` returned.

        Raises:
            LightIRError: an impossible architecture.
            KeyError, TypeError, ValueError: keys or values of another kind.
        """
        values = dict(plain)
        values["architecture"] = from_plain(plain["architecture"])
        values["curve"] = tuple((int(step), float(score)) for step, score in plain["curve"])
        return TrainedNetwork(**values)

    def to_plain(self) -> dict[str, Any]:
        """Return the training as a flat object for a file."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {
            "curve": [list(point) for point in self.curve],
            "architecture": self.architecture.to_plain(),
        }


def load_table(file: Path = TABLE) -> Sequence[TrainedNetwork]:
    """Read all trainings of a table, in the order of their index.

    Args:
        file: as `save_table` wrote it; the one that ships with the program if none is named.

    Raises:
        ResultsError: there is no such file, it is damaged, or another version wrote it.
    """
    plain = _read(file)
    try:
        return tuple(map(TrainedNetwork.from_plain, plain["networks"]))
    except (LightIRError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ResultsError(
            f"{file} holds a network that cannot be read ({reason}); take the file of this "
            "version of LightIR"
        ) from None


def save_table(file: Path, networks: Sequence[TrainedNetwork], images: Sequence[str]) -> None:
    """Write trainings into one compressed file, byte for byte the same for the same trainings.

    Args:
        file: what is written.
        networks: sorted by their index on the way.
        images: names of the folders they were trained and, the last, validated on.

    Raises:
        ResultsError: the file cannot be written.
    """
    ordered = sorted(networks, key=lambda network: network.index)
    plain = {
        "format": FORMAT,
        "version": VERSION,
        "images": list(images),
        "networks": [network.to_plain() for network in ordered],
    }
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    packed = lzma.compress(text.encode(), preset=9)
    write_atomic(file, packed)


def _read(file: Path) -> dict[str, Any]:
    try:
        loaded: Any = json.loads(lzma.decompress(file.read_bytes()))
    except OSError as error:
        raise ResultsError(
            f"there is no table of trained networks {file} ({error.strerror}); "
            "install LightIR again, or name another file"
        ) from None
    except (lzma.LZMAError, ValueError, RecursionError) as error:
        raise ResultsError(
            f"{file} is no whole table of trained networks ({first_line(error)}); "
            "install LightIR again, or pack its rows again"
        ) from None
    plain = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
    if plain.get("format") != FORMAT:
        raise ResultsError(f"{file} is no table of trained networks: expected format {FORMAT!r}")
    if plain.get("version") != VERSION:
        raise ResultsError(
            f"{file} is version {plain.get('version')!r} of the table of trained networks; this "
            f"LightIR reads version {VERSION}"
        )
    return plain
