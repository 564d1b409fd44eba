"""Everything that decides a run, as one frozen value; saved whole in the run folder."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lightir_core.errors import SearchError, nearest
from lightir_core.learning.cuda_graph import Launch
from results.run import read_config

Entry = TypeVar("Entry")

LIBRARIES = ("lightir", "torch", "optuna", "torch-pruning", "numpy", "einops")


def _several(value: Any) -> Any:  # noqa: ANN401  whatever stands in a file; checked afterwards
    """One folder, or none, as earlier runs have written them."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


TRIALS_SHARE = 0.5
"""Share of the time limit for search and published systems; the rest is for training on, pruning
and the report."""

RIVALS_SHARE = 0.2
"""Share of the time limit, out of that one, for published systems that are trained too."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SearchConfig:
    """The settings of a run.

    Attributes:
        task: a key of `lightir_core.data.tasks.TASKS`, possibly with parameters.
        budget: hard limits, as `budgets.Budget.parse` reads them.
        space: a key of `spaces.SPACES`, or the path of a user's own (see `spaces.user`).
        only: cuts dimensions of the space down, each entry like "window=8x8,4x16".
        strategy: a key of `search.strategies.STRATEGIES`.
        objectives: keys of `search.objectives.OBJECTIVES`.
        evaluator: how candidates are scored, as `search.evaluators.choice` reads it.
        bank_steps: training steps of the weight bank, for the evaluator that needs one.
        trials: candidates to train.
        generation: candidates proposed together; they do not see each other's scores.
        recipe: how candidates are trained: a key of `lightir_core.learning.recipe.RECIPES`, or the
            path of a file (see `lightir_core.learning.recipe_file`).
        steps: training steps of a candidate; 0 is as many as the recipe says.
        fidelity: "none" trains every candidate to its end; "asha" and "hyperband" stop those that
            do badly at a rung on the way; see `search.rungs`.
        eta: of the candidates at a rung, about one in `eta` goes on; the next rung is that many
            times further.
        rung: steps of the lowest rung; 0 is `steps` / `eta`.
        finalists: best members of the front that are trained on.
        finish_recipe: how finalists and pruned networks are trained on, as `recipe`.
        finish_steps: further training steps of these; 0 is as many as that recipe says.
        patience: trials without gain for the front after which the search ends; 0 is off.
        prune_from: the search may propose networks up to this many times each limit of the budget;
            the chosen ones are pruned until they keep it. 1 proposes none over budget, and so does
            `fill`.
        prune: share of the parameters that pruning takes from the best network, if no finalist is
            over budget.
        presets: also shrink the published systems to the budget and train them as the trials are.
        time_s: when to be done; search and further training are cut short for it. 0 is no limit.
        seed: decides everything that is random.
        data: folders of training images, with weights as in "photos:2"; without any, the
            photographs that come with the dependencies.
        val: folder of validation images; None holds some of `data` out.
        at: output sizes at which limits on MACs, inference memory and latency hold, WIDTHxHEIGHT,
            joined by commas; None is the task's usual one.
        fill: use the first limit of the budget up to this share; 0 is as much or little as suits.
        device: "auto", "cpu" or "cuda".
        workers: processes that train at the same time, each on one core, so that their number
            changes nothing but the time; 0 is one per core, or one for a GPU; on a cluster, as
            many as it has room for.
        launch: how a training step's kernels are launched: "eager" one by one, "graphed" in a CUDA
            graph, "compiled" by `torch.compile`; `python -m search cluster calibrate` compares.
        engine: "local" trains on this machine, "ray" on a Ray cluster.
        address: of the cluster: "auto", or HOST:PORT of its head; None starts one here.
        cpus_per_trial: processors of a training on a cluster; torch uses as many threads.
        gpus_per_trial: GPUs of a training on a cluster; a share lets several trainings use one.
        storage: where a cluster keeps checkpoints, a folder or an address such as s3://bucket/runs;
            None is the run folder, which all nodes must then see.
        ray_dashboard: start Ray's dashboard, if the cluster is started here.
        keep_s: seconds after which a running training is kept again, so that it can go on
            elsewhere, or after a kill; 0 is never.
    """

    task: str = "sr-x2"
    budget: str = "400k"
    space: str = "default"
    only: tuple[str, ...] = ()
    strategy: str = "nsga2"
    objectives: tuple[str, ...] = ("psnr", "macs")
    evaluator: str = "train"
    bank_steps: Annotated[int, Field(ge=1)] = 1200
    trials: Annotated[int, Field(ge=1)] = 16
    generation: Annotated[int, Field(ge=2)] = 8
    recipe: str = "proxy"
    steps: Annotated[int, Field(ge=0)] = 0
    patience: Annotated[int, Field(ge=0)] = 0
    fidelity: str = "none"
    eta: Annotated[int, Field(ge=2)] = 3
    rung: Annotated[int, Field(ge=0)] = 0
    finalists: Annotated[int, Field(ge=1)] = 2
    finish_recipe: str = "finish"
    finish_steps: Annotated[int, Field(ge=0)] = 0
    prune_from: Annotated[float, Field(ge=1, le=4)] = 1.25
    prune: Annotated[float, Field(gt=0, lt=1)] = 0.25
    presets: bool = False
    time_s: Annotated[float, Field(ge=0)] = 600.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    val: str | None = None
    at: str | None = None
    fill: Annotated[float, Field(ge=0, lt=1)] = 0.0
    device: str = "auto"
    workers: Annotated[int, Field(ge=0)] = 0
    launch: Launch = "eager"
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0
    storage: str | None = None
    ray_dashboard: bool = False
    keep_s: Annotated[float, Field(ge=0)] = 30.0

    @property
    def torch_device(self) -> torch.device:
        """The device to train on.

        Raises:
            SearchError: a device that this machine or this torch does not have.
        """
        # on a cluster the GPUs are the workers', whatever the driver has
        if self.device == "auto" or (self.engine == "ray" and self.device == "cuda"):
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except RuntimeError:
            device = None
        if device is None or device.type not in ("cpu", "cuda"):
            raise SearchError(f"device {self.device!r} is not known; use auto, cpu or cuda")
        if device.type == "cuda":
            _check_gpu(self.device, device.index or 0)
        return device

    @property
    def job_device(self) -> str:
        """The device that trainings use, be it one of this machine or of another.

        Raises:
            SearchError: as `torch_device`; or a GPU of a cluster without a share of it.
        """
        if self.engine == "local":
            return str(self.torch_device)
        if self.gpus_per_trial and self.device == "cpu":
            raise SearchError(
                f"--gpus-per-trial {self.gpus_per_trial:g} with --device cpu: leave one of the two "
                f"out"
            )
        if self.device not in ("auto", "cpu") and not self.gpus_per_trial:
            raise SearchError(
                f"--device {self.device} on a cluster needs a share of a GPU for each training; "
                f"add --gpus-per-trial 1, or 0.5 to let two use one"
            )
        return "cuda" if self.gpus_per_trial else "cpu"

    @property
    def trials_s(self) -> float:
        """Seconds after which no trial and no published system is started; infinite if no limit."""
        return TRIALS_SHARE * self.time_s if self.time_s else math.inf

    @property
    def search_s(self) -> float:
        """Seconds after which no trial is started; infinite if no limit."""
        share = TRIALS_SHARE - RIVALS_SHARE if self.presets else TRIALS_SHARE
        return share * self.time_s if self.time_s else math.inf

    @property
    def worker_count(self) -> int:
        """Processes to train in: as asked, else one per core or one for a GPU."""
        if self.workers:
            return self.workers
        return 1 if self.torch_device.type == "cuda" else len(os.sched_getaffinity(0))


def _check_gpu(text: str, index: int) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise SearchError(
            f"device {text!r}: this torch ({torch.__version__}) sees no GPU; use "
            f"--device cpu, or install a CUDA build of torch"
        )
    if index >= count:
        raise SearchError(
            f"device {text!r}: this machine has {count} GPU(s), the last is cuda:{count - 1}"
        )


_ADAPTER: TypeAdapter[SearchConfig] = TypeAdapter(SearchConfig)


def config_from_plain(values: dict[str, Any]) -> SearchConfig:
    """The settings that a dict holds.

    Raises:
        SearchError: an unknown key (the nearest is named) or an impossible value.
    """
    known = [f.name for f in fields(SearchConfig)]
    for key in values:
        if key not in known:
            raise SearchError(f"unknown setting {key!r}{nearest(key, known)}")
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SearchError(f"{place}={first['input']!r}: {first['msg']}") from None


def describe(config: SearchConfig) -> dict[str, Any]:
    """The part of `config.json` that the settings and this machine's libraries decide."""
    return {"config": asdict(config), "versions": versions()}


def load_config(folder: Path) -> SearchConfig:
    """The settings of the run in `folder`.

    Raises:
        LightIRError: no run there, a damaged one, or settings that this version does not know.
    """
    # runs of before this setting proposed nothing over budget
    return config_from_plain({"prune_from": 1.0, **read_config(folder).get("config", {})})


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "not installed as a package"
    return found


def known(what: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """The entry of a table called `name`.

    Raises:
        SearchError: there is none; the nearest is named.
    """
    if name not in table:
        raise SearchError(
            f"{what} {name!r} is not known{nearest(name, table)}; use one of {', '.join(table)}"
        )
    return table[name]


def default_folder(config: SearchConfig) -> Path:
    """A new folder under runs/, named after the task, the budget and the time."""
    budget = re.sub(r"[^a-zA-Z0-9.]+", "-", config.budget)
    task = re.sub(r"[^a-zA-Z0-9.]+", "-", config.task)
    return Path("runs") / f"{task}-{budget}-{datetime.now():%Y%m%d-%H%M%S}"
