"""The options of `run`: one line of help each, so that all of them fit a screen.

What only goes with another option is hidden there, and named in that one's line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SettingsFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML, YAML or JSON, or a run's config.json."),
]
Budget = Annotated[str, typer.Option(help="Limits, as params=400k,macs=30G.")]
Fill = Annotated[str, typer.Option(help="Use the first limit up to this share: 5%.")]
Task = Annotated[str, typer.Option(help="What to restore, such as sr-x2.")]
Val = Annotated[Path | None, typer.Option(help="Validation images; else held out of --data.")]
Out = Annotated[Path | None, typer.Option(help="Run folder; default: runs/…")]
Trials = Annotated[int, typer.Option(help="Candidates to train.")]
Patience = Annotated[int, typer.Option(help="End after so many trials without gain.")]
Recipe = Annotated[str, typer.Option(help="proxy, standard, full, or a file.")]
Steps = Annotated[int, typer.Option(help="Training steps; 0: the recipe's.")]
Fidelity = Annotated[str, typer.Option(help="none, asha, hyperband; --eta, --rung.")]
Eta = Annotated[int, typer.Option(help="At a rung, one in so many goes on.", hidden=True)]
Rung = Annotated[int, typer.Option(help="Steps of the lowest; 0: steps/eta.", hidden=True)]
FinishRecipe = Annotated[str, typer.Option(help="Of finalists and the pruned.")]
FinishSteps = Annotated[int, typer.Option(help="Their further steps; 0: the recipe's.")]
Finalists = Annotated[int, typer.Option(help="Members of the front to train on.")]
PruneFrom = Annotated[float, typer.Option(help="Propose to so many budgets; --prune.")]
Prune = Annotated[float, typer.Option(help="Share pruned if none is over budget.", hidden=True)]
Presets = Annotated[bool, typer.Option("--presets", help="Also train published systems, shrunk.")]
Time = Annotated[str, typer.Option(help="Time limit as 10min, 2h; 0 is none.")]
Space = Annotated[str, typer.Option(help="Search space; see `spaces`.")]
Fix = Annotated[list[str] | None, typer.Option(help="Fix a dimension: width=48.")]
Only = Annotated[list[str] | None, typer.Option(help="Cut one down: window=8x8,4x16.")]
Strategy = Annotated[str, typer.Option(help="As nsga2, tpe, gp, evolution, random.")]
Goals = Annotated[
    str,
    typer.Option(
        "--objectives",
        help="As psnr,macs,params,memory,latency.",
    ),
]
Evaluator = Annotated[str, typer.Option(help="train, zero-cost or zero-cost:PROXY.")]
Seed = Annotated[int, typer.Option(help="Decides all that is random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Engine = Annotated[str, typer.Option(help="local, or ray: --keep, --ray-dashboard.")]
Address = Annotated[str | None, typer.Option(help="Of the cluster: auto, HOST:PORT.")]
CpusPerTrial = Annotated[float, typer.Option(help="Cores of a training on it.", hidden=True)]
GpusPerTrial = Annotated[float, typer.Option(help="Of a training; --cpus-per-trial.")]
Storage = Annotated[str | None, typer.Option(help="Its checkpoints: NFS folder, s3://…")]
RayDashboard = Annotated[
    bool, typer.Option("--ray-dashboard", help="Start Ray's dashboard.", hidden=True)
]
Keep = Annotated[float, typer.Option(help="Seconds between checkpoints; 0: none.", hidden=True)]
Workers = Annotated[int, typer.Option(help="Trainings at once; 0 is one per core.")]
