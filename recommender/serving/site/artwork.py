"""Pictures for stories that have none: drawings made from the id of a story, in the colours of its section.

The same story always gets the same picture. Five motifs share one horizon: hills, waves, roofs, fields and
a moon over lines. All numbers come from a hash, so nothing is stored, and the page needs no other request.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from math import cos, pi, sin

WIDTH, HEIGHT = 320, 200
_STEPS = 8  # of a line from left to right
# Sky, sun and three layers, the nearest last. The style sheet dims them on dark pages.
_PALETTES = (
    ("#e9dcc6", "#c8553d", "#b9b29a", "#7f8f86", "#3d5a5b"),
    ("#d9e2e4", "#e0a458", "#a9bcc2", "#6b8794", "#2f4858"),
    ("#f1dfd3", "#9d3c3c", "#d8a48f", "#a5645a", "#59353c"),
    ("#e6e6d3", "#d9823b", "#b4bd95", "#7c9268", "#40593f"),
    ("#dfdbe8", "#d98c8c", "#b5aecb", "#7e779f", "#443f63"),
    ("#e3ddd3", "#4f7c82", "#c9b79c", "#97806a", "#4c3f38"),
    ("#d6e6df", "#d46a4c", "#9cc3b5", "#5d958a", "#23514f"),
    ("#efe3c2", "#7a3b2e", "#dcb865", "#b07d3c", "#5a4326"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One coloured outline: the `d` of an SVG path."""

    path: str
    color: str


@dataclass(frozen=True, slots=True)
class Artwork:
    """A picture of 320 x 200: the colour of the sky, and the shapes in front of it, the farthest first."""

    sky: str
    shapes: tuple[Shape, ...]


class _Chance:
    """Numbers that depend on a text alone."""

    def __init__(self, text: str) -> None:
        self._digest, self._used = blake2b(text.encode(errors="surrogatepass"), digest_size=64).digest(), 0

    def __call__(self, low: float, high: float) -> float:
        """Return the next number, from `low` to `high`."""
        byte = self._digest[self._used % len(self._digest)]
        self._used += 1
        return low + (high - low) * byte / 255

    def choice(self, count: int) -> int:
        """Return the next whole number below `count`."""
        return min(int(self(0, count)), count - 1)


def artwork(article_id: str, category: int) -> Artwork:
    """Return the picture for an article in the category with this number, in its colours."""
    chance = _Chance(article_id)
    sky, sun, *layers = _PALETTES[category % len(_PALETTES)]
    motif = _MOTIFS[chance.choice(len(_MOTIFS))]
    radius = chance(16, 34)
    disc = _disc(chance(60, WIDTH - 60), chance(45, 80), radius)
    outlines = motif(chance)
    shapes = [Shape(path, color) for path, color in zip(outlines, layers, strict=True)]
    return Artwork(sky, (Shape(disc, sun), *shapes))


def _hills(chance: _Chance) -> Iterator[str]:
    for base in (92, 124, 158):
        waves, phase, rise = chance(0.7, 1.6), chance(0, 2 * pi), chance(14, 30)
        yield _ground([base + rise * sin(phase + 2 * pi * waves * x / _STEPS) for x in range(_STEPS + 1)])


def _waves(chance: _Chance) -> Iterator[str]:
    for base in (104, 134, 164):
        count, depth = 5 + chance.choice(4), chance(8, 16)
        width = WIDTH / count
        start = -chance(0, width)
        arcs = "".join(f"q{width / 2:.0f} {2 * depth:.0f} {width:.0f} 0" for _ in range(count + 2))
        yield f"M{start:.0f} {base}{arcs}V{HEIGHT}H{start:.0f}z"


def _roofs(chance: _Chance) -> Iterator[str]:
    for base, count in ((96, 9), (126, 7), (154, 5)):
        width, x, path = WIDTH / count, 0.0, f"M0 {HEIGHT}"
        for _ in range(count):
            top, ridge = base + chance(-18, 18), chance(0, 22)
            path += f"L{x:.0f} {top:.0f}L{x + width / 2:.0f} {top - ridge:.0f}L{x + width:.0f} {top:.0f}"
            x += width
        yield f"{path}V{HEIGHT}z"


def _fields(chance: _Chance) -> Iterator[str]:
    horizon, vanishing = chance(88, 108), chance(40, WIDTH - 40)
    yield f"M0 {horizon:.0f}H{WIDTH}V{HEIGHT}H0z"
    yield _rows(chance, horizon, vanishing, 7)
    edge = chance(146, 168)
    yield f"M0 {edge:.0f}Q{vanishing:.0f} {edge - 18:.0f} {WIDTH} {edge + chance(-8, 14):.0f}V{HEIGHT}H0z"


def _rows(chance: _Chance, horizon: float, vanishing: float, count: int) -> str:
    width, shift = WIDTH * 2 / count, chance(0, WIDTH / count)
    starts = [-WIDTH / 2 + shift + width * number for number in range(count)]
    return "".join(
        f"M{vanishing:.0f} {horizon:.0f}L{start:.0f} {HEIGHT}H{start + width / 2:.0f}z" for start in starts
    )


def _rings(chance: _Chance) -> Iterator[str]:
    x, turn = chance(90, WIDTH - 90), chance(0, pi)
    for radius in (118, 82, 46):
        shift = (118 - radius) * 0.6
        yield _disc(x + shift * cos(turn), HEIGHT - 10 + shift * sin(turn), radius)


def _ground(heights: list[float]) -> str:
    """Return the area below a smooth line through points at equal distances."""
    step = WIDTH / _STEPS
    path = f"M0 {HEIGHT}V{heights[0]:.0f}"
    for number, (left, right) in enumerate(pairwise(heights)):
        middle = (number + 0.5) * step
        path += f"C{middle:.0f} {left:.0f} {middle:.0f} {right:.0f} {(number + 1) * step:.0f} {right:.0f}"
    return f"{path}V{HEIGHT}z"


def _disc(x: float, y: float, radius: float) -> str:
    turn = f"a{radius:.0f} {radius:.0f} 0 1 0 "
    return f"M{x - radius:.0f} {y:.0f}{turn}{2 * round(radius)} 0{turn}{-2 * round(radius)} 0z"


_MOTIFS: tuple[Callable[[_Chance], Iterator[str]], ...] = (_hills, _waves, _roofs, _fields, _rings)
