"""The flags of a run: one for each field of `search.config`, made of its type and description."""

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from search.config import PARTS, SETTINGS

FLAGS = {name: name.removesuffix("_s") for name in SETTINGS}
"""Name of a setting -> that of its flag, with underscores."""


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with a flag for each setting instead of ``**``, behind its second one."""

    @wraps(command)
    def whole(**values: Any) -> None:  # noqa: ANN401  each flag's type is its own
        command(**values)

    others = [
        p for p in signature(command, eval_str=True).parameters.values() if p.kind != p.VAR_KEYWORD
    ]
    every = [p.replace(kind=p.KEYWORD_ONLY) for p in (*others[:2], *_flags(), *others[2:])]
    whole.__dict__["__signature__"] = Signature(every)  # which typer reads
    return whole


def _flags() -> Iterator[Parameter]:
    """Yield the parameter that each setting is in the signature of a command."""
    for name, (part, attribute) in SETTINGS.items():
        field = PARTS[part].model_fields[attribute]
        more: dict[str, Any] = dict(field.json_schema_extra or {})  # pyright: ignore
        kind, default = _typed(field)
        if more.pop("repeated", False):
            kind, default, more = list[str] | None, None, {"metavar": "TEXT …", **more}
        shown = "" if default is None or kind is bool else f" ({default})"
        flag, text = f"--{FLAGS[name].replace('_', '-')}", f"{field.description}{shown}"
        option = typer.Option(flag, help=text, show_default=False, **more)
        yield Parameter(
            name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )


def _typed(field: FieldInfo) -> tuple[Any, object]:
    """Return the type of the flag and its default, as they are typed and shown."""
    default = field.default
    # a number that may be written with a unit is read by a validator in front
    with_unit = any(hasattr(entry, "func") for entry in field.metadata)
    if field.annotation in (bool, int) or (field.annotation is float and not with_unit):
        return field.annotation, default
    if isinstance(default, float):
        return str, f"{default / 60:g}min" if default else "0"
    return (str, ",".join(default)) if isinstance(default, tuple) else (str | None, default)
