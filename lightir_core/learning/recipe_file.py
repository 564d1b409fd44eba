"""Recipes from names, files and plain values.

base = "proxy"      # what is not said is as there
steps = 400
patch_px = 24
matrix_lr = 5e-3
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lightir_core.errors import TrainingError, nearest
from lightir_core.learning.recipe import PROXY, RECIPES, Recipe
from lightir_core.settings_file import READERS, read_settings_file

BASE = "base"
"""Beside the fields of a recipe: the name of the recipe that it changes."""

_KINDS = {
    "str": (str, "a name"),
    "int": (int, "a whole number"),
    "float": (int | float, "a number"),
}
"""Which values a field of that annotation takes; words are checked by the recipe itself."""


def read_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or in the TOML, YAML or JSON file at that path.

    Raises:
        TrainingError: neither a known name nor a usable file; the nearest name is told.
    """
    text = str(name_or_path)
    if text in RECIPES:
        return RECIPES[text]
    path = Path(text)
    if not path.exists() and path.suffix.lower() not in READERS:
        raise TrainingError(
            f"recipe {text!r} is not known{nearest(text, RECIPES)}; use one of "
            f"{', '.join(RECIPES)}, or the path of a file with settings of your own"
        )
    found = read_settings_file(path, what="recipe", example="steps = 400", error=TrainingError)
    return recipe_from_plain({"name": path.stem, **found}, str(path))


def recipe_from_plain(values: Mapping[Any, Any], source: str) -> Recipe:
    """The recipe that names and values describe.

    Args:
        values: fields of `Recipe`; what is missing is as in the recipe that "base" names, which is
            the proxy's if it is missing too.
        source: what to call it in an error message.

    Raises:
        TrainingError: an unknown name (the nearest is told), a value of the wrong kind, or one
            that cannot train.
    """
    kinds = {field.name: str(field.type) for field in fields(Recipe)}
    for name in values:
        if name != BASE and name not in kinds:
            known = (*kinds, BASE)
            hint = nearest(str(name), known) or f"; use one of {', '.join(known)}"
            raise TrainingError(f"recipe {source!r}: unknown key {name!r}{hint}")
    given = {str(name): value for name, value in values.items() if name != BASE}
    for name, value in given.items():
        _check_kind(source, name, value, kinds[name])
    return replace(_base(values.get(BASE, PROXY.name), source), **given)


def _base(name: object, source: str) -> Recipe:
    if not isinstance(name, str) or name not in RECIPES:
        raise TrainingError(
            f"recipe {source!r}: base={name!r} is not known{nearest(str(name), RECIPES)}; use one "
            f"of {', '.join(RECIPES)}"
        )
    return RECIPES[name]


def _check_kind(source: str, name: str, value: object, annotation: str) -> None:
    kind, words = _KINDS.get(annotation, _KINDS["str"])
    if not isinstance(value, kind) or isinstance(value, bool):
        hint = ""
        if kind is not str and isinstance(value, str):  # YAML takes 5e-3 for a text
            with contextlib.suppress(ValueError):
                hint = f"; write {float(value):g}"
        raise TrainingError(f"recipe {source!r}: {name}={value!r} is not {words}{hint}")
