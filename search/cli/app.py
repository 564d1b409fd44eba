"""The program: its commands by name, what it says alone, and what happens to errors.

An error is a message on stderr and exit status 2 or 1.
"""

import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lightir_core.errors import LightIRError
from search.cli.commands import COMMANDS, run

MOVED = {"bench": "the benchmarks are a program of their own: python -m benchmarks NAME"}
"""Names that commands had, and what to type now."""

FIVE = (
    ("find a network that fits a budget", "python -m search run --budget 400k --data photos/"),
    (
        "before that: can the budget be met, and what does it buy?",
        "python -m search profile --budget 400k,macs=30G",
    ),
    ("follow a run, from here or another terminal", "python -m search watch runs/NAME"),
    (
        "restore photographs with what was found",
        "python -m search restore runs/NAME/models/ID photo.png restored.png",
    ),
    (
        "take it to a device: smaller, and as ONNX",
        "python -m search compress runs/NAME --budget 300k --out small && "
        "python -m search export small --onnx",
    ),
)
"""What people do, each with a line to paste."""

INTERRUPTED = 130


class LazyGroup(TyperGroup):
    """Offer the commands of a table: the flags of one are made when it is called."""

    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401  as of its parent
        """Know the names, among which the nearest to a misspelt one is looked for."""
        super().__init__(**attrs)
        self.commands.update(dict.fromkeys(COMMANDS))  # pyright: ignore[reportCallIssue, reportArgumentType]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401  typer's own, or click's
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """Return a command with its name and its line of help, which does nothing yet."""
        if cmd_name not in COMMANDS:
            return None
        target = COMMANDS[cmd_name]
        text = target.info.help if isinstance(target, typer.Typer) else target.__doc__
        return TyperCommand(cmd_name, help=str(text).partition("\n")[0])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Make the command that is called; the name of an old one says where it went."""
        if args and args[0] in MOVED:
            ctx.fail(f"No such command '{args[0]}': {MOVED[args[0]]}")
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if command and name else command, rest


def load_command(name: str) -> Any:  # noqa: ANN401  as above
    """Return a command, or a group of them, by its name in `COMMANDS`, with all its flags."""
    target = COMMANDS[name]
    if isinstance(target, typer.Typer):
        target.info.name = name
        return typer.main.get_command(target)
    if target is run:
        from search.cli.flags import with_settings

        target = with_settings(run)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(target)
    return typer.main.get_command(alone)


def start(context: typer.Context) -> None:
    """Find, train and compress the best image-restoration network that fits a budget."""
    if context.invoked_subcommand is not None:
        return
    print("Find, train and compress the best image-restoration network that fits a budget.\n")
    for number, (what, line) in enumerate(FIVE, 1):
        print(f"{number}. {what}\n     {line}")
    print(
        "\nA run leaves a folder with report/index.html in it. All commands: "
        "python -m search --help\nInstalled, the program is also called lightir; completion in "
        "your shell: lightir --install-completion"
    )


app = typer.Typer(
    name="lightir",
    cls=LazyGroup,
    help="Find, train and compress the best image-restoration network that fits a budget.",
    epilog="Start with:  python -m search run --budget 400k",
    invoke_without_command=True,
    callback=start,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except LightIRError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes this of Ctrl-C
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # at once, whatever threads are still doing
        raise
