"""Before and after: the crops of the models as data URIs, side by side."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from results.models import Crop, ModelResult
from results.objectives import format_with_unit
from results.run import RunFolder
from results.run_view import RunView

MAX_BYTES = 1_500_000
"""Of pictures in a report, which as a whole stays below 3 MB and can be mailed."""

MAX_MODELS = 3
"""Networks shown side by side; more would be too small to compare."""

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of a row: what it is, its score, and its bytes as a data URI."""

    label: str
    note: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One spot of one image: degraded, plain method, each network, truth."""

    name: str
    pictures: tuple[Picture, ...]


@dataclass
class _PngReader:
    """Reads PNG files while there is room left, and remembers what had to stay out."""

    left: int
    problems: list[str] = field(default_factory=list[str])

    def uri(self, folder: Path, name: str) -> str | None:
        # A plain name only: a result.json from elsewhere must not make the report read files.
        path = folder / Path(name).name
        try:
            data = path.read_bytes()
        except OSError as error:
            self.problems.append(f"{path.name} of model {folder.name}: {error.strerror}")
            return None
        if not data.startswith(_PNG):
            self.problems.append(f"{path.name} of model {folder.name} is not a PNG image")
            return None
        text = b64encode(data).decode()
        if len(text) > self.left:
            self.problems.append(
                f"{path.name} of model {folder.name} is too large to be shown here"
            )
            return None
        self.left -= len(text)
        return f"data:image/png;base64,{text}"


def strips(view: RunView, *, room: int = MAX_BYTES) -> tuple[list[Strip], list[str]]:
    """Return the crops to show, in at most `room` bytes, and in words what could not be shown."""
    reader, shown = _PngReader(room), list[Strip]()
    models = _shown(view)
    for name in dict.fromkeys(crop.name for model in models for crop in model.crops):
        pictures = _pictures(view, models, name, reader)
        if pictures:
            shown.append(Strip(name=name, pictures=pictures))
    return shown, reader.problems


def _shown(view: RunView) -> Sequence[ModelResult]:
    """Return the best network, its relatives, then others; in the order of the run."""
    best = view.best
    if best is None:
        return view.models[:MAX_MODELS]
    family = {best.id, best.parent or best.id}
    nearest = sorted(
        view.models, key=lambda m: (m.id != best.id, m.id not in family, m.parent != best.id)
    )
    chosen = {model.id for model in nearest[:MAX_MODELS]}
    return [model for model in view.models if model.id in chosen]


def _pictures(
    view: RunView, models: Sequence[ModelResult], name: str, reader: _PngReader
) -> tuple[Picture, ...]:
    with_crop = [(m, crop) for m in models for crop in m.crops if crop.name == name]
    first, crop = with_crop[0]
    folder = RunFolder(view.folder).model(first.id)
    plain = str(view.plain_method.get("name", "baseline"))
    wanted = [("degraded", "", folder, crop.lq)]
    wanted.append((plain, _score(view, crop.baseline_scores), folder, crop.baseline))
    wanted += [_wanted(view, model, crop, len(with_crop) > 1) for model, crop in with_crop]
    wanted.append(("truth", "", folder, crop.gt))
    pictures = [(label, note, reader.uri(where, file)) for label, note, where, file in wanted]
    return tuple(
        Picture(label=label, note=note, uri=uri) for label, note, uri in pictures if uri is not None
    )


def _wanted(
    view: RunView, model: ModelResult, crop: Crop, several: bool
) -> tuple[str, str, Path, str]:
    label = f"{model.kind}, trial {model.trial}" if several else f"network, {model.kind}"
    folder = RunFolder(view.folder).model(model.id)
    return label, _score(view, crop.scores), folder, crop.output


def _score(view: RunView, scores: dict[str, float]) -> str:
    value = scores.get(view.quality.name)
    return "" if value is None else format_with_unit(view.quality, value)
