"""What `python -m search` says alone: the five things that people do, each with a line to paste."""

from __future__ import annotations

import typer

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
