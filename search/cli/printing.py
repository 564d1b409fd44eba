"""What commands print: tables and JSON on stdout, notes on stderr."""

import json
import sys
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Collection[str] = (),
    title: str | None = None,
) -> Table:
    """Return a table without lines; no columns are no head, those in `right` end evenly."""
    made = Table(
        box=None, show_header=bool(columns), title=title, title_justify="left", title_style="bold"
    )
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left")
    for row in rows:
        made.add_row(*row)
    return made


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()
) -> None:
    """Print a `table`."""
    Console().print(table(columns, rows, right))


def print_path(what: str, path: object) -> None:
    """Print where something is, in one line however long, so that it can be copied."""
    Console().print(f"{what}  {path}", soft_wrap=True, markup=False, highlight=False)


def print_json(value: object) -> None:
    """Print a plain value for machines."""
    print(json.dumps(value, indent=2))


def print_note(text: str) -> None:
    """Print what should be known, beside the result."""
    print(f"note: {text}", file=sys.stderr)
