"""`python -m benchmarks NAME`: one measurement of the program, loaded when it is asked for."""

import importlib
import sys
from collections.abc import Callable

import typer

from lightir_core.errors import LightIRError

BENCHMARKS: dict[str, tuple[str, str]] = {
    "costs": ("costs", "Is the cost model right, and how fast is it?"),
    "overhead": ("overhead", "What does a search cost beside training, next to bare Optuna?"),
    "start": ("start", "How soon is the command line there?"),
    "blocks": ("blocks", "How fast are the blocks, next to the papers' formulas?"),
    "compression": ("compression", "Is pruning worth it, against training from scratch?"),
    "rank": ("rank", "Does a short training rank networks as a long one does?"),
    "answer": ("answer", "Is what the main job hands over as good as the best paper?"),
    "recipe": ("recipe", "Which way to train learns most in equal time?"),
    "step": ("step", "Where does the time of a training step go?"),
    "data": ("throughput", "Are patches ready faster than a training takes them?"),
    "table": ("table", "Train every network of a small space, for searches without training."),
    "trained": ("trained", "Train the networks of the table that ships with the program."),
    "prior": ("prior", "How well does the prior rank networks that it has not seen?"),
    "strategies": ("strategies", "Which strategy finds most on that table?"),
    "fidelities": ("fidelities", "Do rungs find more than whole trainings on that table?"),
    "kills": ("kills", "Is anything lost when a search is killed again and again?"),
    "cluster": ("cluster", "What does Ray cost, does it scale, and what faults does it survive?"),
    "simulate": ("simulate", "How many workers can one driver serve?"),
}
"""By name: the module whose function of that name is the command, and a line about it."""


def application(name: str | None) -> typer.Typer:
    """Return the commands, of which only `name` can be run: it alone is loaded."""
    app = typer.Typer(
        help="Measure the program itself.", no_args_is_help=True, add_completion=False
    )
    app.callback()(_program)
    for known, (module, line) in BENCHMARKS.items():
        wanted = known == name
        run: Callable[..., None] = (
            getattr(importlib.import_module(f"benchmarks.{module}"), known) if wanted else _absent
        )
        app.command(known, short_help=line, help=None if wanted else line)(run)
    return app


def _program() -> None:
    """Measure the program itself."""


def _absent() -> None:
    """Stand for a command that was not asked for."""


def main() -> None:
    """Run one benchmark."""
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        application(name)(prog_name="python -m benchmarks")
    except LightIRError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None


if __name__ == "__main__":
    main()
