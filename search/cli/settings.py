"""The settings of a run from three places: the command line, the environment, a file.

A flag beats an environment variable such as LIGHTIR_BUDGET, which beats the file, which beats the
default. All three are named after the fields of `search.config`, and are checked there. A duration
may leave its unit out of the name: ``time`` is ``time_s``.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightir_core.data.image_source import ImageSource
from lightir_core.data.sources import Folder, parse_folder
from lightir_core.data.tasks import parse_task, with_channels
from lightir_core.errors import SearchError, nearest
from lightir_core.learning.recipe import RECIPES
from lightir_core.settings_file import read_settings_file
from results.run import FORMAT
from search.cli.flags import FLAGS
from search.cli.printing import print_note
from search.config import GONE, SETTINGS, SearchConfig, config_from_plain

PREFIX = "LIGHTIR_"
_NAMES = {flag: name for name, flag in FLAGS.items()} | {name: name for name in SETTINGS}
_MORE = ("channels", "fix")
"""What the command line says otherwise than `SearchConfig` does."""

_FILES: dict[str, Collection[str]] = {"space": (), "recipe": RECIPES, "finish_recipe": RECIPES}
"""Settings that name a thing or the file that it is in, and the names that no file takes over."""


def settle(given: Mapping[str, Any], file: Path | None = None) -> SearchConfig:
    """Join the settings of a run.

    Args:
        given: what stands on the command line, by the names of the settings.
        file: a TOML, YAML or JSON file with settings, or the config.json of a run.

    Raises:
        SearchError: an unknown setting (the nearest is named), or an impossible value.
    """
    values = {**(read_settings(file) if file else {}), **from_environment(os.environ)}
    if "task" in given:
        values.pop("channels", None)  # the task that is given anew says its own
    return config_from_plain(_as_settings(values | dict(given)))


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings in a file; of a finished run its config.json holds them under "config".

    Paths in it are meant from the file's folder, those of a run from anywhere.

    Raises:
        SearchError: no such file, not of a known form, or with an unknown setting.
    """
    values = read_settings_file(path, what="settings", example='budget = "400k"', error=SearchError)
    if values.get("format") == FORMAT:
        return dict(values.get("config") or {})
    return _from(path.parent, _known(values, f"in {path.name}"))


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the settings in variables such as LIGHTIR_BUDGET.

    Objectives are joined by commas, folders and limits on dimensions by semicolons.

    Raises:
        SearchError: a variable that starts so and means nothing.
    """
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    return _known(values, f"in the environment ({PREFIX}…)")


def _known(values: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Return the values by the names of their settings; of two spellings the short one counts."""
    settings: dict[str, Any] = {}
    for key, value in sorted(values.items(), key=lambda item: -len(str(item[0]))):
        name = str(key).replace("-", "_")
        if name in GONE:
            print_note(f"setting {name!r} {where} decides nothing: {GONE[name]}")
        elif name in _NAMES or name in _MORE:
            settings[_NAMES.get(name, name)] = value
        else:
            names = (*_NAMES, *_MORE)
            hint = nearest(name, names) or f"; use one of {', '.join(names)}"
            raise SearchError(f"unknown setting {name!r} {where}{hint}")
    return settings


def _from(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Make the paths in a file independent of where the program is called."""
    if isinstance(values.get("val"), str):
        values["val"] = str(folder / values["val"])
    if "data" in values:
        values["data"] = [str(folder / text) for text in _listed(values["data"])]
    for name, reserved in _FILES.items():
        text = values.get(name)
        if isinstance(text, str) and text not in reserved and (folder / text).is_file():
            values[name] = str(folder / text)
    return values


def _as_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Turn the words of the command line into settings, with paths that hold from anywhere."""
    rest = {name: value for name, value in values.items() if name not in _MORE}
    rest["only"] = (*_listed(values.get("fix")), *_listed(rest.get("only")))
    if "data" in rest:
        rest["data"] = absolute(_listed(rest["data"]))
    if rest.get("val"):
        rest["val"] = str(Path(rest["val"]).resolve())
    for name, reserved in _FILES.items():
        text = str(rest.get(name, ""))
        if text not in reserved and Path(text).is_file():
            rest[name] = str(Path(text).resolve())
    channels = _channels(values.get("channels", 3))
    if channels != 3:
        rest["task"] = with_channels(rest.get("task", SearchConfig().data.task), channels)
    return rest


def _listed(value: object) -> tuple[str, ...]:
    """Return one text, or several, as several; those of a variable are joined by ";"."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _channels(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise SearchError(f"channels {value!r} is not 1 or 3") from None


def absolute(data: Sequence[str]) -> tuple[str, ...]:
    """Return the folders as a config must name them that is read from anywhere."""
    folders = [parse_folder(text) for text in data]
    return tuple(str(Folder(folder.path.resolve(), folder.weight)) for folder in folders)


def image_source(
    task: str | None,
    data: Sequence[str] | None,
    val: Path | None,
    before: ImageSource | None = None,
) -> ImageSource:
    """Return the images that are named, else those of before, else the embedded ones.

    Args:
        task: what is restored; None is as before, or sr-x2.
        data: folders or packs; none of them are the embedded images.
        val: a folder or a pack; None is to hold some of `data` out.
        before: what a network was trained on.
    """
    before = before or ImageSource(task=parse_task(SearchConfig().data.task))
    kind = parse_task(task) if task else before.task
    if data is None and val is None:
        return replace(before, task=kind)
    return ImageSource(
        task=kind, data=absolute(data or ()), val=str(val.resolve()) if val else None
    )
