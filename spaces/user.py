"""A user's own space: a YAML file, or a Python file that defines `SPACE`.

    name: mine
    network:
      width: [32, 48]
      stages: [1, 2, 3]
    stage:
      blocks: [1, 2]
      mixer: [window, cascade]
      heads: [2, 4]
      key_dim: {values: [8, 16], when: {mixer: [cascade]}}

Dimensions that are left out have the defaults of `spaces.decode`. A run keeps its space in this
form in its `config.json`.
"""

import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from lightir_core.errors import SpaceError, nearest
from spaces.decode import Value
from spaces.space import Dimension, Space, When

KEYS = ("name", "summary", "repeats", "network", "stage")


def read_space(path: Path) -> Space:
    """Read the space in a `.yaml`, `.yml` or `.json` file, or run a `.py` file for its `SPACE`.

    Raises:
        SpaceError: the file cannot be read, or does not describe a space.
    """
    if path.suffix == ".py":
        return _run(path)
    try:
        return space_from_plain(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpaceError(f"{path}: cannot be read as YAML: {error}") from None
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from None


def space_to_plain(space: Space) -> dict[str, Any]:
    """Write the space as nested dicts and lists, which `space_from_plain` reads."""
    return {
        "name": space.name,
        "summary": space.summary,
        "repeats": space.repeats,
        "network": {d.name: _dimension_to_plain(d) for d in space.network},
        "stage": {d.name: _dimension_to_plain(d) for d in space.stage},
    }


def space_from_plain(data: object) -> Space:
    """Read the space that nested dicts and lists describe.

    Raises:
        SpaceError: something is missing, unknown or of the wrong kind.
    """
    plain = _mapping(data, "the space")
    for key in plain:
        if key not in KEYS:
            raise SpaceError(f"unknown key {key!r}{nearest(key, KEYS)}; known: {', '.join(KEYS)}")
    if not isinstance(plain.get("name"), str):
        raise SpaceError("the space has no name; write for example `name: mine`")
    repeats = plain.get("repeats", False)
    if not isinstance(repeats, bool):
        raise SpaceError(f"repeats: {repeats!r} is neither true nor false")
    return Space(
        name=str(plain["name"]),
        summary=str(plain.get("summary", "")),
        network=_dimensions(plain.get("network"), "network"),
        stage=_dimensions(plain.get("stage"), "stage"),
        repeats=repeats,
    )


def parse_only(items: Sequence[str], space: Space) -> dict[str, tuple[Value, ...]]:
    """Read ``window=8x8,4x16``: some values of each named dimension.

    Raises:
        SpaceError: another form, a dimension that is unknown or given twice, or a value that it
            does not have.
    """
    only: dict[str, tuple[Value, ...]] = {}
    for item in items:
        name, separator, text = item.partition("=")
        if not separator or not text:
            raise SpaceError(f"{item!r} is not NAME=VALUE[,VALUE…]; write window=8x8,4x16")
        if name in only:
            together = ",".join([*map(_text, only[name]), text])
            raise SpaceError(f"{name} is given twice; write {name}={together}")
        known = {_text(value): value for value in space.dimension(name).values}
        for word in text.split(","):
            if word not in known:
                raise SpaceError(
                    f"{name} has no value {word!r}{nearest(word, known)}; it has {', '.join(known)}"
                )
        only[name] = tuple(known[word] for word in text.split(","))
    return only


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _run(path: Path) -> Space:
    try:
        space = runpy.run_path(str(path)).get("SPACE")
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from None
    except Exception as error:
        raise SpaceError(f"{path}: running it failed: {type(error).__name__}: {error}") from error
    if not isinstance(space, Space):
        raise SpaceError(f"{path}: it defines no SPACE; write `SPACE = Space(name=…, …)`")
    return space


def _dimension_to_plain(dimension: Dimension) -> list[Value] | dict[str, Any]:
    if not dimension.when:
        return list(dimension.values)
    when = {condition.name: list(condition.values) for condition in dimension.when}
    return {"values": list(dimension.values), "when": when}


def _dimensions(data: object, where: str) -> tuple[Dimension, ...]:
    plain = _mapping(data, where)
    return tuple(_dimension(name, value, f"{where}.{name}") for name, value in plain.items())


def _dimension(name: str, data: object, where: str) -> Dimension:
    if isinstance(data, Mapping):
        plain = _mapping(cast(object, data), where)
        if unknown := set(plain) - {"values", "when"}:
            raise SpaceError(f"{where}: unknown key {min(unknown)!r}; known: values, when")
        conditions = _mapping(plain.get("when", {}), f"{where}.when")
        when = tuple(When(key, _values(value, where)) for key, value in conditions.items())
        return Dimension(name, _values(plain.get("values"), where), when)
    return Dimension(name, _values(data, where))


def _values(data: object, where: str) -> tuple[Value, ...]:
    listed = cast(Sequence[object], data) if isinstance(data, list | tuple) else [data]
    values: list[Value] = []
    for value in listed:
        if not isinstance(value, str | int | float | bool):
            raise SpaceError(f"{where}: {value!r} is no value; use numbers, words, true or false")
        values.append(value)
    return tuple(values)


def _mapping(data: object, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise SpaceError(f"{where}: expected `key: value` lines, got {data!r:.60}")
    return {str(key): value for key, value in cast(Mapping[object, Any], data).items()}
