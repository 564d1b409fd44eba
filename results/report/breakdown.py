"""What the parts of a network cost, counted from its architecture and kept beside the report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from budgets.budget import Size
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, ResultsError
from results.run import read_json_object, write_atomic

FILE = "costs_by_part.json"
FORMAT = "lightir-costs-by-part"
VERSION = 1


@dataclass(frozen=True)
class Breakdown:
    """Where the cost of one network goes.

    Attributes:
        parts: (name, parameters, MACs) of stem, body and tail together and of each stage.
        kinds: (kind of work, MACs).
    """

    parts: tuple[tuple[str, int, int], ...] = ()
    kinds: tuple[tuple[str, int], ...] = ()


class Breakdowns:
    """Breakdowns of the networks of a report; what was counted once is read from the folder.

    Counting loads torch, which takes longer than all the rest of a report.
    """

    def __init__(self, folder: Path) -> None:
        """Read what earlier reports in `folder` counted; a damaged file counts as none."""
        self._path = folder / FILE
        self._known: dict[str, Breakdown] = {}
        try:
            plain = read_json_object(self._path, "the costs by part")
            if (plain.get("format"), plain.get("version")) == (FORMAT, VERSION):
                self._known = _ADAPTER.validate_python(plain.get("networks"))
        except (ResultsError, ValidationError):
            self._known = {}
        self._new = False

    def of(self, architecture: Architecture, size: Size) -> Breakdown:
        """Return the breakdown for an output of `size`; an empty one if it cannot be counted."""
        key = f"{architecture.id} {size}"
        if key not in self._known:
            try:
                self._known[key] = count(architecture, size)
            except BudgetError:
                return Breakdown()  # a report is no place to fail for a count
            self._new = True
        return self._known[key]

    def save(self) -> None:
        """Write the file if anything was counted anew.

        Raises:
            ResultsError: the folder cannot be written.
        """
        if self._new:
            networks = {key: asdict(breakdown) for key, breakdown in self._known.items()}
            plain = {"format": FORMAT, "version": VERSION, "networks": networks}
            write_atomic(self._path, json.dumps(plain) + "\n")


def count(architecture: Architecture, size: Size) -> Breakdown:
    """Count the parts of a network; they add up to its price.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    # Inside, since they load torch: a report of networks counted before opens without it.
    from budgets.breakdown import split_macs
    from budgets.parts import feature_size
    from budgets.price import skeleton_cost, stage_cost

    patch = architecture.stem.patch_size
    features = feature_size(architecture.scale, patch, architecture.window_multiple // patch, size)
    skeleton = skeleton_cost(architecture, features)
    parts = [("stem, body, tail", skeleton.params, skeleton.macs)]
    for number, stage in enumerate(architecture.stages):
        cost = stage_cost(stage, architecture.width, features)
        shared = 0 if number % architecture.stage_sharing else cost.shared_params
        parts.append((f"stage {number + 1}", shared + cost.slot_params, cost.macs))
    kinds = asdict(split_macs(architecture, size)).items()
    return Breakdown(tuple(parts), tuple((name.replace("_", "-"), macs) for name, macs in kinds))


_ADAPTER: TypeAdapter[dict[str, Breakdown]] = TypeAdapter(dict[str, Breakdown])
