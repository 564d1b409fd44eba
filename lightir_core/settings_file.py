"""A file of settings as plain values: TOML, YAML or JSON, told by its name."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lightir_core.errors import LightIRError

READERS: dict[str, Callable[[str], object]] = {
    ".toml": tomllib.loads,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
    ".json": json.loads,
}


def read_settings_file(
    path: Path, *, what: str, example: str, error: type[LightIRError]
) -> Mapping[Any, Any]:
    """Return the names and values in a file.

    Args:
        path: of the file.
        what: to call it in an error message.
        example: a line that could stand in it, for the same.
        error: what to raise.

    Raises:
        LightIRError: of the given kind: no such file, not of a known form, or without names.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise error(
            f"{what} {str(path)!r}: the name must end in {', '.join(READERS)}, to tell what it is"
        )
    try:
        values = reader(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise error(f"cannot read {what} {str(path)!r}: {cause.strerror}") from None
    except (ValueError, yaml.YAMLError) as cause:
        raise error(f"{what} {str(path)!r} cannot be read: {cause}") from None
    if not isinstance(values, Mapping):
        raise error(
            f"{what} {str(path)!r} hold a {type(values).__name__}, expected lines such as {example}"
        )
    return values
