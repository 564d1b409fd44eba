"""What `spaces` does: list what can be searched."""

from rich.console import Console

from search.cli.printing import print_table
from search.config import format_size
from spaces import SPACES, Dimension, find_space


def spaces(name: str | None) -> None:
    """Print all search spaces, or the dimensions of one."""
    if name is None:
        rows = [(space.name, format_size(space.size), space.summary) for space in SPACES.values()]
        print_table(("space", "points", "what it is"), rows, right=("points",))
        return
    space = find_space(name)
    Console(highlight=False).print(
        f"{space.name}: {space.summary}\n{format_size(space.size)} points\n"
    )
    dimensions = [("", one) for one in space.network] + [("stage: ", one) for one in space.stage]
    print_table(
        ("dimension", "values", "only when"),
        [
            (scope + one.name, " ".join(map(str, one.values)), _when(one))
            for scope, one in dimensions
        ],
    )


def _when(dimension: Dimension) -> str:
    return " and ".join(f"{c.name} in {' '.join(map(str, c.values))}" for c in dimension.when)
