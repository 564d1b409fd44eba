"""Pictures in the report: an architecture drawn, and images before and after.

A stage is a frame; its blocks stand in it in the order in which they run, each a mixer over a
feed-forward. Arcs above a frame are its passes, arrows below lead from the outputs that a
cross-layer module reads to the stage that reads them.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path

from markupsafe import Markup

from lightir_core.architecture import Architecture, BlockConfig, StageConfig
from results.describe import describe_architecture, unshifted
from results.models import ModelResult
from results.objectives import format_with_unit
from results.run import RunFolder
from results.run_view import RunView

_STAGE, _SMALL, _GAP, _PAD = 140, 64, 18, 8
_ARC, _CELL, _FOOT, _ROOM, _STEP = 52, 40, 22, 6, 13
_INSIDE = _STAGE - 2 * _PAD


@dataclass(frozen=True)
class _Box:
    """A box of the picture."""

    left: int
    top: int
    width: int
    height: int

    @property
    def centre(self) -> float:
        return self.left + self.width / 2

    @property
    def bottom(self) -> int:
        return self.top + self.height


def diagram(architecture: Architecture) -> Markup:
    """Return the architecture as an SVG element, as wide as it needs to be.

    Its words, read out by those who listen, are those of `results.describe`.
    """
    boxes = _boxes(architecture)
    lowest = max(box.bottom for box in boxes)
    readers = sum(stage.cross_layer is not None for stage in architecture.stages)
    width, height = boxes[-1].left + boxes[-1].width + 2, lowest + 10 + _STEP * readers
    parts = [
        *_ends(architecture, boxes),
        *_links(boxes),
        *(
            mark
            for stage, box in zip(architecture.stages, boxes[1:-1], strict=True)
            for mark in _stage(stage, box, architecture.width)
        ),
        *_arrows(architecture, boxes, lowest),
    ]
    return Markup(
        '<svg viewBox="0 0 {} {}" width="{}" height="{}" class="diagram" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(
        width, height, width, height, describe_architecture(architecture), Markup("").join(parts)
    )


def _boxes(architecture: Architecture) -> list[_Box]:
    """Return stem, every stage, and the tail with the body before it."""
    top = _ARC if any(stage.recursions > 1 for stage in architecture.stages) else 2
    heights = [
        _PAD + len(_groups(stage)) * (_CELL + _ROOM) + _FOOT for stage in architecture.stages
    ]
    middle = top + (max(heights) - _CELL) // 2
    boxes, left = [_Box(2, middle, _SMALL, _CELL)], 2 + _SMALL + _GAP
    for height in heights:
        boxes.append(_Box(left, top, _STAGE, height))
        left += _STAGE + _GAP
    return [*boxes, _Box(left, middle, _SMALL, _CELL)]


def _groups(stage: StageConfig) -> list[tuple[BlockConfig, int, int]]:
    """Return runs of blocks equal but for their shift: block, how many, how many shifted."""
    groups: list[tuple[BlockConfig, int, int]] = []
    for block, same in groupby(stage.blocks, key=unshifted):
        members = list(same)
        groups.append((block, len(members), sum(member != block for member in members)))
    return groups


def _ends(architecture: Architecture, boxes: list[_Box]) -> Iterator[Markup]:
    patch = architecture.stem.patch_size
    stem = f"patches {patch}×{patch}" if patch > 1 else "conv 3×3"
    scale = architecture.scale
    tail = f"×{scale}" if scale > 1 else "conv 3×3"
    if architecture.tail.skip == "interpolated":
        tail += " + input"
    for box, name, note in ((boxes[0], "stem", stem), (boxes[-1], "tail", tail)):
        yield _rect(box.left, box.top, box.width, box.height, "end", f"{name}: {note}")
        yield _text(box.centre, box.top + 17, name, "name")
        yield _text(box.centre, box.top + 32, note, "small")


def _links(boxes: list[_Box]) -> Iterator[Markup]:
    """Draw short arrows from one box to the next."""
    y = _wire(boxes)
    for left, right in pairwise(boxes):
        start, end = left.left + left.width, right.left
        yield _path(f"M{start + 2} {y}H{end - 3}M{end - 8} {y - 4}L{end - 3} {y}L{end - 8} {y + 4}")


def _wire(boxes: list[_Box]) -> int:
    """Return the height at which boxes are joined: the middle of the stem."""
    return boxes[0].top + boxes[0].height // 2


def _stage(stage: StageConfig, box: _Box, width: int) -> Iterator[Markup]:
    yield _rect(box.left, box.top, box.width, box.height, "stage")
    for number, (block, count, shifted) in enumerate(_groups(stage)):
        top = box.top + _PAD + number * (_CELL + _ROOM)
        yield from _cell(block, count, shifted, (box.left + _PAD, top), width)
    closing = {"convolution": "conv 3×3", "depthwise": "DW conv", "none": ""}[stage.closing]
    skip = {"input": "+ skip", "output": "+ short skip", "none": ""}[stage.skip]
    foot = " ".join(filter(None, (closing, skip))) or "no closing, no skip"
    yield _text(box.centre, box.bottom - 9, foot, "small")
    if stage.recursions > 1:
        title = (
            f"{stage.recursions} passes, {'one set of weights' if stage.tied else 'own weights'}"
        )
        left, right, top = box.left + 14, box.left + box.width - 14, box.top - 3
        yield _path(
            f"M{right} {top}C{right} {top - 26} {left} {top - 26} {left} {top}"
            f"M{left - 4} {top - 7}L{left} {top}L{left + 6} {top - 5}",
            "loop",
        )
        yield _text(box.centre, box.top - 27, f"×{stage.recursions}", "name", title)
        yield _text(box.centre, box.top - 41, "shared" if stage.tied else "own weights", "small")


def _cell(
    block: BlockConfig, count: int, shifted: int, at: tuple[int, int], width: int
) -> Iterator[Markup]:
    left, top = at
    mixer, forward = block.mixer, block.feed_forward
    feed = "no FFN" if forward is None else f"{forward.label} {forward.hidden_dim}"
    first, second = mixer.label(), mixer.note(width) or feed
    title = f"{count} × {first}, {second}" + (f", {shifted} shifted" if shifted else "")
    yield _rect(left, top, _INSIDE, _CELL, f"cell {mixer.word}", title)
    times = f"{count}× " if count > 1 else ""
    yield _text(left + _INSIDE / 2, top + 16, times + first, "name")
    yield _text(left + _INSIDE / 2, top + 31, second + (" ⇄" if shifted else ""), "small")


def _arrows(architecture: Architecture, boxes: list[_Box], lowest: int) -> Iterator[Markup]:
    """Draw an arrow from each output that a cross-layer module reads, on a track of its own."""
    readers = [(i, s.cross_layer) for i, s in enumerate(architecture.stages) if s.cross_layer]
    for track, (number, cross) in enumerate(readers):
        y = lowest + 10 + _STEP * track
        target = boxes[number + 1]
        end = target.centre + 8 * (track % 2)
        tip = target.bottom + 2
        oldest = max(0, number + 1 - cross.references)
        title = (
            f"cross-layer attention of stage {number + 1} to {cross.references} earlier outputs, "
            f"{cross.keys} keys each, selection {cross.selection}"
        )
        for source in boxes[oldest : number + 1]:
            yield _path(f"M{source.left + source.width + 6} {_wire(boxes)}V{y}", "cross")
        start = boxes[oldest].left + boxes[oldest].width + 6
        yield _path(
            f"M{start} {y}H{end}V{tip}M{end - 4} {tip + 6}L{end} {tip}L{end + 4} {tip + 6}",
            "cross",
            title,
        )
        yield _text(end + 6, y - 2, f"K={cross.keys}", "small start")


def _rect(left: int, top: int, width: int, height: int, css: str, title: str = "") -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="5" class="{}">{}</rect>').format(
        left, top, width, height, css, _title(title)
    )


def _text(x: float, y: float, content: str, css: str, title: str = "") -> Markup:
    return Markup('<text x="{}" y="{}" class="{}">{}{}</text>').format(
        x, y, css, content, _title(title)
    )


def _path(path: str, css: str = "link", title: str = "") -> Markup:
    return Markup('<path d="{}" class="wire {}">{}</path>').format(path, css, _title(title))


def _title(title: str) -> Markup:
    return Markup("<title>{}</title>").format(title) if title else Markup("")


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
    for model, shown in with_crop:
        several = len(with_crop) > 1
        label = f"{model.kind}, trial {model.trial}" if several else f"network, {model.kind}"
        home = RunFolder(view.folder).model(model.id)
        wanted.append((label, _score(view, shown.scores), home, shown.output))
    wanted.append(("truth", "", folder, crop.gt))
    pictures = [(label, note, reader.uri(where, file)) for label, note, where, file in wanted]
    return tuple(
        Picture(label=label, note=note, uri=uri) for label, note, uri in pictures if uri is not None
    )


def _score(view: RunView, scores: dict[str, float]) -> str:
    value = scores.get(view.quality.name)
    return "" if value is None else format_with_unit(view.quality, value)
