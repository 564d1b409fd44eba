"""One set of settings from three places: what the command line says, the environment, a file.

A flag beats an environment variable such as LIGHTIR_BUDGET, which beats the file, which beats the
default. All three are named after the flags of `run` or after the fields of `SearchConfig`, and all
end in the same checked `SearchConfig`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from budgets.units import parse_share
from lightir_core.data.tasks import with_channels
from lightir_core.errors import SearchError, nearest
from lightir_core.learning.recipe import RECIPES
from lightir_core.settings_file import read_settings_file
from results.run import FORMAT
from search.cli.options import absolute
from search.config import SETTINGS, SearchConfig, config_from_plain

PREFIX = "LIGHTIR_"
SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600}
_FIELDS = tuple(SETTINGS)
_WORDS = ("channels", "fix", "time")
"""What the command line says otherwise than `SearchConfig` does."""

_FOLDERS = ("val",)
_NAMED: dict[str, Collection[str]] = {"space": (), "recipe": RECIPES, "finish_recipe": RECIPES}
"""Settings that name a thing or the file that it is in, and the names that no file takes over."""


def settle(
    flags: Mapping[str, Any], given: Collection[str], file: Path | None = None
) -> SearchConfig:
    """The settings of a run.

    Args:
        flags: the value of every flag, by the name of its setting.
        given: the flags that stand on the command line; the others only hold defaults.
        file: a TOML, YAML or JSON file with settings, or the config.json of a run.

    Raises:
        SearchError: an unknown setting (the nearest is named), or an impossible value.
    """
    values = {**(read_settings(file) if file else {}), **from_environment(os.environ)}
    # a limit given anew replaces the old one in either spelling
    for name in given:
        for other in _SPELLINGS.get(name, (name,)):
            values.pop(other, None)
    values |= {name: flags[name] for name in given}
    return config_from_plain(_as_fields(values))


_SPELLINGS = {"time": ("time", "time_s"), "fix": ("fix",), "task": ("task", "channels")}


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a file; of a finished run its config.json holds them under "config".

    Paths in it are meant from the file's folder, those of a run from anywhere.

    Raises:
        SearchError: no such file, not of a known form, or with an unknown setting.
    """
    found = read_settings_file(path, what="settings", example='budget = "400k"', error=SearchError)
    if found.get("format") == FORMAT:
        return dict(found.get("config") or {})
    return _from(path.parent, _known(found, f"in {path.name}"))


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings in variables such as LIGHTIR_BUDGET.

    Objectives are joined by commas, folders and limits on dimensions by semicolons.

    Raises:
        SearchError: a variable that starts so and means nothing.
    """
    found = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    return _known(found, f"in the environment ({PREFIX}…)")


def parse_duration(text: str) -> float:
    """Seconds in a text such as ``90s``, ``10min``, ``2h`` or a bare number of seconds.

    Raises:
        SearchError: another form, or a negative time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|m|h)?\s*", text)
    if match is None:
        raise SearchError(f"time {text!r} is not a duration; write 90s, 10min or 2h, or 0 for none")
    return float(match[1]) * SECONDS[match[2] or "s"]


def _known(values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """The values under their names with underscores."""
    names = {str(name).replace("-", "_"): value for name, value in values.items()}
    for name in names:
        if name not in (*_FIELDS, *_WORDS):
            names_known = (*_FIELDS, *_WORDS)
            hint = nearest(name, names_known) or f"; use one of {', '.join(names_known)}"
            raise SearchError(f"unknown setting {name!r} {where}{hint}")
    return names


def _from(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The values with the paths in a file made independent of where the program is called."""
    for name in _FOLDERS:
        if isinstance(values.get(name), str):
            values[name] = str(folder / values[name])
    if "data" in values:
        values["data"] = [str(folder / text) for text in _listed(values["data"])]
    for name, known in _NAMED.items():
        text = values.get(name)
        if isinstance(text, str) and text not in known and (folder / text).is_file():
            values[name] = str(folder / text)
    return values


def _as_fields(values: dict[str, Any]) -> dict[str, Any]:
    """From the words of the command line to the fields of `SearchConfig`."""
    rest = {name: value for name, value in values.items() if name not in _WORDS}
    if "time" in values:
        rest["time_s"] = parse_duration(str(values["time"]))
    if "fill" in rest:
        rest["fill"] = parse_share(str(rest["fill"]))
    rest["only"] = (*_listed(values.get("fix")), *_listed(rest.get("only")))
    if isinstance(rest.get("objectives"), str):
        rest["objectives"] = tuple(part.strip() for part in rest["objectives"].split(","))
    if not isinstance(rest.get("at"), str | None):
        rest["at"] = ",".join(rest["at"])
    channels = _channels(values.get("channels", 3))
    if channels != 3:
        rest["task"] = with_channels(rest.get("task", SearchConfig().data.task), channels)
    return rest | _absolute(rest)


def _absolute(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of the values is a path, made independent of where the program is called."""
    paths: dict[str, Any] = {}
    if "data" in values:
        paths["data"] = absolute(_listed(values["data"]))
    for name in _FOLDERS:
        if values.get(name):
            paths[name] = str(Path(values[name]).resolve())
    for name, known in _NAMED.items():
        text = str(values.get(name, ""))
        if text not in known and Path(text).is_file():
            paths[name] = str(Path(text).resolve())
    return paths


def _listed(value: object) -> tuple[str, ...]:
    """One text, or several, as several; those of an environment variable are joined by ";"."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    return tuple(map(str, value)) if isinstance(value, Sequence) else (str(value),)


def _channels(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise SearchError(f"channels {value!r} is not 1 or 3") from None
