"""The geometry of charts, which templates draw as SVG. Every chart has a table or a text beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from recommender.serving.admin.words import percent

_MARGIN = 6.0  # so that points and lines at the edge are not cut
_LEAST_SPAN = 0.02  # of an axis of shares; smaller differences should not look large


@dataclass(frozen=True, slots=True)
class Point:
    """A point in a chart, and what it shows in words."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, in a drawing of this size."""

    points: tuple[Point, ...]
    width: int
    height: int

    @property
    def path(self) -> str:
        """The line as the data of an SVG path; empty without points."""
        return "M" + " L".join(f"{point.x:g},{point.y:g}" for point in self.points) if self.points else ""

    @property
    def area(self) -> str:
        """The area between the line and the lower edge, likewise."""
        if not self.points:
            return ""
        first, last = self.points[0], self.points[-1]
        return f"{self.path} L{last.x:g},{self.height:g} L{first.x:g},{self.height:g} Z"


def time_line(
    moments: Sequence[datetime], values: Sequence[float], texts: Sequence[str], width: int, height: int
) -> Line:
    """Return the line of values over time; a single value is in the middle."""
    seconds = np.array([moment.timestamp() for moment in moments])
    x = _scaled(seconds, _MARGIN, width - _MARGIN, 0)
    y = _scaled(np.array(values), height - _MARGIN, _MARGIN, _LEAST_SPAN)
    return _line(x, y, texts, width, height)


def spark_line(values: Sequence[float], width: int, height: int) -> Line:
    """Return the line of equidistant values from 0 up, without words."""
    x = np.linspace(0, width, len(values))
    y = height - 1 - (height - 2) * np.array(values) / max(1, *values) if len(values) else x
    return _line(x, y, [""] * len(values), width, height)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, in percent of its width."""

    name: str
    x: float
    width: float
    text: str


def stacked_bar(parts: Sequence[tuple[str, float]]) -> tuple[Segment, ...]:
    """Return the segments of one bar, one for each part; none if all are 0."""
    total = sum(value for _, value in parts)
    segments, x = [], 0.0
    for name, value in parts if total else ():
        width = 100 * value / total
        segments.append(Segment(name, round(x, 3), round(width, 3), percent(value / total)))
        x += width
    return tuple(segments)


@dataclass(frozen=True, slots=True)
class Bubble:
    """A circle with a label in some lines, which are empty if it does not fit."""

    number: int  # of what it shows
    x: float
    y: float
    radius: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BubbleMap:
    """Circles that do not overlap, in a drawing of this size; near ones are similar."""

    bubbles: tuple[Bubble, ...]
    width: int
    height: int


_CHAR, _LINE = 7.0, 13.0  # width of a character and height of a line of a label, about
_MAX_LINES = 3
_GAP, _ROUNDS, _PULL = 3.0, 300, 0.01  # between circles; rounds of moving them, and towards the middle
_FILLED, _ENLARGED = 0.5, 1.4  # of the drawing that circles cover; by how much few of them are enlarged
_SMALLEST = 60  # the smallest circle is drawn as a sixtieth of the largest, at least
_ASPECT = 2.1
_EPSILON = 1e-6
_GOLDEN_ANGLE = 2.4


def bubble_map(vectors: np.ndarray, sizes: Sequence[int], names: Sequence[str], width: int) -> BubbleMap:
    """Return a map of things with these vectors (n, components): their main two components, spread out.

    The areas of the circles are in proportion to the sizes, except that very small ones can still be seen.
    Equal arguments give equal maps.
    """
    height = round(width / _ASPECT)
    if not len(vectors):
        return BubbleMap((), width, height)
    areas = np.maximum(np.array(sizes, dtype=np.float64), max(1, *sizes) / _SMALLEST)
    radii = np.sqrt(areas / areas.sum() * _FILLED * width * height / np.pi)
    radii *= min(1, height / 4 / radii.max())
    plane = _plane(vectors)
    centers = _spread((plane.real * width + 1j * plane.imag * height) / 2, radii)
    left, right = (centers.real - radii).min(), (centers.real + radii).max()
    top, bottom = (centers.imag - radii).min(), (centers.imag + radii).max()
    factor = min((width - 2 * _MARGIN) / (right - left), (height - 2 * _MARGIN) / (bottom - top), _ENLARGED)
    middle = complex(left + right, top + bottom) / 2
    centers, radii = (centers - middle) * factor + complex(width, height) / 2, radii * factor
    rows = zip(centers.tolist(), radii.tolist(), names, strict=True)
    bubbles = (
        Bubble(number, round(at.real, 1), round(at.imag, 1), round(radius, 1), _label(name, radius))
        for number, (at, radius, name) in enumerate(rows)
    )
    return BubbleMap(tuple(bubbles), width, height)


def _line(x: np.ndarray, y: np.ndarray, texts: Sequence[str], width: int, height: int) -> Line:
    rounded = zip(x.round(1).tolist(), y.round(1).tolist(), texts, strict=True)
    return Line(tuple(Point(*point) for point in rounded), width, height)


def _scaled(values: np.ndarray, first: float, last: float, least_span: float) -> np.ndarray:
    """Return values scaled to a range; those of a span below the least are around the middle."""
    if not len(values):
        return values
    low, high = values.min(), values.max()
    span = max(high - low, least_span)
    middle = (low + high) / 2
    share = (values - middle) / span + 0.5 if span else np.full(len(values), 0.5)
    scaled: np.ndarray = first + (last - first) * share
    return scaled


def _plane(vectors: np.ndarray) -> np.ndarray:
    """Return the two main components of vectors as complex numbers, (n,), both from -1 to 1."""
    centered = vectors.astype(np.float64) - vectors.mean(axis=0)
    values, directions = np.linalg.eigh(centered @ centered.T)  # ascending
    components = directions[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    largest = np.abs(components).argmax(axis=0)
    extremes = components[largest, np.arange(components.shape[1])]
    x, *y = (components / np.where(np.abs(extremes) > _EPSILON, extremes, 1)).T[::-1]  # of one thing, no y
    # Equal places are moved apart a little, so that circles have a direction to move in.
    shift = _EPSILON * np.exp(_GOLDEN_ANGLE * 1j * np.arange(len(vectors)))
    plane: np.ndarray = x + 1j * (y[0] if y else 0) + shift
    return plane


def _spread(centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return centers (n,) complex, moved until circles hardly overlap, and a little towards the middle."""
    least = radii[:, None] + radii + _GAP
    np.fill_diagonal(least, 0)
    shares = radii**2 / (radii[:, None] ** 2 + radii**2)  # large circles move less
    for number in range(_ROUNDS):
        pull = _PULL * (1 - number / _ROUNDS)
        centers = centers - pull * (centers.real / _ASPECT**2 + 1j * centers.imag)
        gaps = centers[:, None] - centers
        distances = np.abs(gaps) + _EPSILON
        pushes = np.maximum(least - distances, 0) / distances * shares
        centers = centers + 0.5 * (gaps * pushes).sum(axis=1)
    return centers


def _label(name: str, radius: float) -> tuple[str, ...]:
    """Return a name in lines that fit into a circle; nothing if its first part does not."""
    first = name.partition(",")[0].strip()
    lines: list[str] = []
    for word in first.split():
        if lines and len(f"{lines[-1]} {word}") * _CHAR <= 1.6 * radius:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    height = len(lines) * _LINE / 2
    half_width = max(map(len, lines), default=0) * _CHAR / 2
    fits = len(lines) <= _MAX_LINES and height**2 + half_width**2 <= radius**2
    return tuple(lines) if fits else ()
