"""Every command: what may be typed behind it and its help; its work is loaded when it is called.

A command hands its parameters to the function of a module of `search.cli`, which has the same.
"""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the result.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Device = Annotated[str, typer.Option(help="Use auto, cpu or cuda.")]
TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard.")]
Mlflow = Annotated[bool, typer.Option("--mlflow", help="Also log to MLflow.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN RUN …", help="Folders of runs.")]
ImageFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of images.")]
Task = Annotated[str, typer.Option(help="What to restore, such as sr-x2.")]
TrainedTask = Annotated[
    str | None, typer.Option(help="What it restores; default: as trained, or sr-x2.")
]
Channels = Annotated[int, typer.Option(help="Restore images of 3 channels, or of 1: gray.")]
DataFolders = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR[:WEIGHT]", help="Training images; repeatable. Default: embedded ones."
    ),
]
DataOrNone = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR[:WEIGHT]|none",
        help="Images, repeatable; default: the run's, or embedded ones. none: prune, no training.",
    ),
]
Val = Annotated[Path | None, typer.Option(help="Images to score on; default: held out of --data.")]
Weights = Annotated[Path | None, typer.Option(help="A preset's published weights, a .pth file.")]
NewModel = Annotated[Path, typer.Option(help="The model folder to make.")]
Budget = Annotated[
    str, typer.Option(help="Hard limits: 400k, params=400k,macs=30G or 60%@grformer.")
]
Size = Annotated[str | None, typer.Option(help="Output size for MACs, WIDTHxHEIGHT.")]
Sizes = Annotated[
    list[str] | None, typer.Option("--at", help="Output size, WIDTHxHEIGHT; repeatable.")
]

data = typer.Typer(help="Check or pack a folder of images.", no_args_is_help=True)
cluster = typer.Typer(help="Check a Ray cluster, or pack one device.", no_args_is_help=True)


def work(target: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what makes a command do the work of `target`, as ``data.check``, when it is called."""
    module, _, name = target.partition(".")

    def command(declared: Callable[..., None]) -> Callable[..., None]:
        @wraps(declared)
        def call(**given: Any) -> None:  # noqa: ANN401  each parameter has its own type
            getattr(import_module(f"search.cli.{module}"), name)(**given)

        return call

    return command


def run(
    context: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option("--config", help="Read settings from TOML, YAML, JSON or a config.json."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Make this the run's folder; default: runs/…")
    ] = None,
    channels: Channels = 3,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT …", help="Fix a dimension of the space, as width=48; repeatable."
        ),
    ] = None,
    tensorboard: TensorBoard = False,
    mlflow: Mlflow = False,
    quiet: Quiet = False,
    as_json: Json = False,
    **_: Any,  # noqa: ANN401  the settings, which the context holds
) -> None:
    """Search, train, prune, fine-tune and report, within a budget.

    Example:  python -m search run --budget 400k --data photos/ --time 30min

    Flags beat variables (LIGHTIR_BUDGET=400k), which beat a file (--config) and the (defaults).
    """
    from search.cli import run

    run.run(context, settings, out, tensorboard, mlflow, quiet, as_json)


@work("run.resume")
def resume(
    folder: RunFolder,
    address: Annotated[
        str | None, typer.Option(help="Use the cluster at auto or HOST:PORT, if it has moved.")
    ] = None,
    trials: Annotated[
        str | None, typer.Option(help="Train so many candidates in all, or +32: so many more.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Search and train for so long from now: 90s, 10min, 2h.")
    ] = None,
    tensorboard: TensorBoard = False,
    mlflow: Mlflow = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted or killed, or that could be better.

    Example:  python -m search resume runs/sr-x2-400k-20260101-120000 --time 1h
    """


@work("progress.watch")
def watch(
    folder: RunFolder,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
) -> None:
    """Follow a run that goes on elsewhere: its front, its failures, the time left.

    It only reads the run's folder, so any terminal or machine that sees the folder will do.

    Example:  python -m search watch runs/sr-x2-400k-20260101-120000
    """


@work("report.report")
def report(folder: RunFolder) -> None:
    """Make the report of a run again, from its folder alone.

    Example:  python -m search report runs/sr-x2-400k-20260101-120000
    """


@work("report.compare")
def compare(
    folders: Runs,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("comparison"),
    as_json: Json = False,
) -> None:
    """Compare fronts and hypervolumes of several runs, and tell differences from chance.

    Runs that differ in nothing but --seed count as one variant; three of each make a test.

    Example:  python -m search compare runs/tpe-0 runs/tpe-1 runs/random-0 runs/random-1
    """


@work("report.dashboard")
def dashboard(
    folder: RunFolder,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8080,
) -> None:
    """Open optuna-dashboard on a run, while it goes on or afterwards; Ctrl-C ends it.

    Example:  python -m search dashboard runs/sr-x2-400k-20260101-120000
    """


@work("networks.compress")
def compress(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL|PRESET",
            help="A run's folder, RUN#TRIAL, a model folder, or a preset.",
        ),
    ],
    budget: Annotated[str, typer.Option(help="Hard limits: params=300k,macs=20G.")],
    out: NewModel,
    task: TrainedTask = None,
    data: DataOrNone = None,
    val: Val = None,
    weights: Weights = None,
    importance: Annotated[str, typer.Option(help="taylor, magnitude, hessian, random.")] = "taylor",
    iterations: Annotated[int, typer.Option(help="Rounds of pruning.")] = 1,
    recipe: Annotated[str, typer.Option(help="Fine-tuning: quick, standard.")] = "quick",
    steps: Annotated[
        int | None, typer.Option(help="Most steps of fine-tuning; default: the recipe's.", min=1)
    ] = None,
    distil: Annotated[
        float, typer.Option(help="Share of the loss that is the parent's output.", min=0, max=1)
    ] = 0.5,
    features: Annotated[
        float, typer.Option(help="Weight of the parent's attention maps in the loss.", min=0)
    ] = 0.0,
    sparsity: Annotated[
        float, typer.Option(help="Train sparsely first, with this share of the loss.", min=0)
    ] = 0.0,
    at: Size = None,
    seed: Annotated[int, typer.Option(help="Decides all that is random.")] = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Prune a network to an exact budget and fine-tune it, its parent teaching.

    Example:  python -m search compress runs/mine --budget params=300k --out models/small
    """


@work("networks.export")
def export(
    what: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model folder, a run, or RUN#TRIAL.")
    ],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx into the folder.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write model-int8.onnx, calibrated on images.")
    ] = False,
    task: TrainedTask = None,
    data: DataFolders = None,
    val: Val = None,
    as_json: Json = False,
) -> None:
    """Write a model as ONNX, with free height and width, and a model card beside it.

    Example:  python -m search export runs/x/models/0123456789ab --onnx --int8
    """


@work("networks.restore")
def restore(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An image or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A file, or a folder.")],
    tile: Annotated[int, typer.Option(help="Side of a tile in input pixels.")] = 256,
    device: Device = "auto",
) -> None:
    """Apply a network to an image or a folder, in tiles where an image is large.

    Example:  python -m search restore runs/x/models/0123456789ab photo.png restored.png
    """


@work("networks.evaluate")
def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model folder, or with --weights a preset.")
    ],
    task: Task = "sr-x2",
    data: Annotated[
        Path | None, typer.Option(help="Clean images, or pairs; default: embedded photographs.")
    ] = None,
    weights: Weights = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="Mean over eight turned forms of each image.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM of a network on whole images, beside the plain method's.

    Example:  python -m search evaluate runs/x/models/0123456789ab --data Set5/HR
    """


@work("costs.cost")
def cost(
    what: Annotated[
        str,
        typer.Argument(metavar="ARCH", help="A preset, an architecture file or a model folder."),
    ],
    task: Task = "sr-x2",
    at: Sizes = None,
    budget: Annotated[
        str | None, typer.Option(help="Also say whether it fits: 400k, or macs=60%@grformer.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Of the training step.", min=1)] = 8,
    patch: Annotated[int, typer.Option(help="Of the training step, pixels.", min=1)] = 16,
    timed: Annotated[bool, typer.Option("--latency", help="Also time it on the device.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Count the parameters, multiply-adds and memory of an architecture.

    Example:  python -m search cost grformer --at 1280x720
    """


@work("costs.profile")
def profile(
    budget: Budget = "400k",
    task: Task = "sr-x2",
    space: Annotated[str, typer.Option(help="Search space; see `spaces`.")] = "default",
    only: Annotated[
        list[str] | None, typer.Option(help="Cut a dimension down: window=8x8,4x16; repeatable.")
    ] = None,
    at: Sizes = None,
    fill: Annotated[
        str, typer.Option(help="Use the first limit up to this share: 5%; 0 is no lower limit.")
    ] = "0",
    memory: Annotated[
        bool, typer.Option("--memory", help="Also tell memory that the budget does not limit.")
    ] = False,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Tell whether a budget can be met, by how much of the space, and what binds; train nothing.

    Example:  python -m search profile --budget 400k,macs=30G
    """


@work("spaces.spaces")
def spaces(
    name: Annotated[
        str | None, typer.Argument(help="A space to show in full, or a file of one.")
    ] = None,
) -> None:
    """List the search spaces, or show the dimensions of one.

    Example:  python -m search spaces default
    """


@work("costs.preset")
def preset(
    name: Annotated[
        str | None, typer.Argument(help="Which one; without it, all are listed.")
    ] = None,
    task: Task = "sr-x2",
    budget: Annotated[
        str | None, typer.Option(help="Shrink width and depth until this holds.")
    ] = None,
    at: Size = None,
    out: Annotated[Path | None, typer.Option(help="Write the architecture to this file.")] = None,
    device: Device = "auto",
) -> None:
    """Show a published system: its costs, its architecture, or the largest that fits a budget.

    Example:  python -m search preset grformer --budget 400k --out grformer-400k.json
    """


@work("networks.import_")
def import_(
    system: Annotated[
        str,
        typer.Argument(metavar="SYSTEM", help="One of swinir, grformer, agileir, drt, edsr-cla."),
    ],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The published .pth file.")],
    out: NewModel,
    config: Annotated[
        Path | None,
        typer.Option(help="JSON of the constructor's arguments; default: read off the tensors."),
    ] = None,
) -> None:
    """Make a model folder of published weights; no code in the file is ever run.

    Example:  python -m search import swinir 002_lightweightSR.pth --out models/swinir-light
    """


@data.command("check")
@work("data.check")
def data_check(
    folder: ImageFolder, task: Task = "sr-x2", channels: Channels = 3, as_json: Json = False
) -> None:
    """Show what a folder, or a packed file, holds for a task; ends with 1 when no image is usable.

    Example:  python -m search data check photos/ --task denoise
    """


@data.command("pack")
@work("data.pack")
def data_pack(
    folder: ImageFolder,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    task: Task = "sr-x2",
    channels: Channels = 3,
) -> None:
    """Decode a folder once into one file, which a training reads piece by piece from the disk.

    Example:  python -m search data pack DIV2K_train_HR --task sr-x2 --out div2k-x2.pack
    """


@cluster.command("check")
@work("cluster.check")
def cluster_check(
    address: Annotated[str, typer.Option(help="auto, or HOST:PORT of the head.")] = "auto",
    nodes: Annotated[
        int, typer.Option(help="Wait until so many have joined, two minutes at most.", min=0)
    ] = 0,
    data: DataFolders = None,
    val: Val = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of runs that all nodes are to share.")
    ] = None,
    budget: Budget = "400k",
    as_json: Json = False,
) -> None:
    """Check a Ray cluster: versions, images, GPUs and the time of a training step, by node.

    Ends with 1 when something must be mended, with 2 when there is no cluster.

    Example:  python -m search cluster check --data /scratch/div2k-x2.pack --out /shared/runs
    """


@cluster.command("calibrate")
@work("cluster.calibrate_device")
def cluster_calibrate(
    device: Device = "auto",
    budget: Budget = "400k",
    system: Annotated[str, typer.Option(help="A preset, shrunk to the budget.")] = "swinir-light",
    task: Task = "sr-x2",
    data: DataFolders = None,
    steps: Annotated[int, typer.Option(help="Training steps of a trial.", min=2)] = 400,
    most: Annotated[
        int, typer.Option(help="Trials at once to try; 0: one per core, 16 at most.", min=0)
    ] = 0,
    seconds: Annotated[
        float, typer.Option(help="Of each measurement, after its warm-up.", min=0.1)
    ] = 4.0,
) -> None:
    """Measure how many trials at once a device takes, and how to train them; two minutes or so.

    Run it on a node as it is in use: on another kind of GPU the answer is another.

    Example:  python -m search cluster calibrate --budget 400k
    """


COMMANDS = {
    "run": run,
    "resume": resume,
    "watch": watch,
    "report": report,
    "compare": compare,
    "dashboard": dashboard,
    "compress": compress,
    "export": export,
    "restore": restore,
    "evaluate": evaluate,
    "cost": cost,
    "profile": profile,
    "spaces": spaces,
    "preset": preset,
    "import": import_,
    "data": data,
    "cluster": cluster,
}
"""Name of a command -> its function, or its group of commands."""
