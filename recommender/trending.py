"""Trending: how much each article is read now, and where it stands, from counts alone.

Everything here is a pure function of counts and a tick. No state is kept from one tick to the next, so all
workers come to the same ranks, and a clock that jumps back gives what it gave before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from recommender.model import NO_MOMENT

TICK_MINUTES = 1
NO_SECTION = -1
UNRANKED = 0
EVENT_WEIGHTS: Mapping[str, float] = {"view": 1.0, "click": 1.0, "like": 2.0, "comment": 3.0, "share": 5.0}
_MINUTE = 60_000_000  # microseconds
_HOUR, _DAY = 60, 1440  # minutes


@dataclass(frozen=True)
class Window:
    """What one value of `window` means; minutes throughout."""

    half_life: float  # after which a view counts half
    period: int  # how long ago the ranks were that `change` compares with


WINDOWS: Mapping[str, Window] = {
    "1h": Window(half_life=12, period=_HOUR),
    "24h": Window(half_life=4 * _HOUR, period=_DAY),
    "7d": Window(half_life=28 * _HOUR, period=_DAY),
}
DEFAULT_WINDOW = "1h"


@dataclass(frozen=True)
class Counts:
    """Events of articles by minute, weighted. Rows come in any order, and what is the same adds up.

    Counts that were merged into hours carry the first minute of the hour.
    """

    rows: np.ndarray  # (n,) int32, of the article among the candidates
    minutes: np.ndarray  # (n,) int64, since 1970: minute m is the bucket from m to m + 1
    counts: np.ndarray  # (n,) float64: events times the weight of their type

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        if not len(self.rows) == len(self.minutes) == len(self.counts):
            raise ValueError(f"{len(self.rows)} rows, {len(self.minutes)} minutes, {len(self.counts)} counts")


@dataclass(frozen=True)
class Candidates:
    """The articles that may be listed: not withdrawn, blocked or sensitive; the embargo is kept here."""

    ids: Sequence[str]  # in the order of their rows
    published: np.ndarray  # (a,) int64, microseconds since 1970; NO_MOMENT: undated
    sections: np.ndarray  # (a,) int32, number of the primary category; NO_SECTION: none

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        if not len(self.ids) == len(self.published) == len(self.sections):
            raise ValueError(
                f"{len(self.ids)} ids, {len(self.published)} moments, {len(self.sections)} sections"
            )

    @cached_property
    def newest(self) -> np.ndarray:
        """All rows (a,) int32, newest first, undated last, equal moments by id."""
        by_id = np.argsort(np.array(self.ids, dtype=object), kind="stable")
        moments = self.published[by_id]
        later = np.where(moments == NO_MOMENT, np.iinfo(np.int64).max, -moments)
        return by_id[np.argsort(later, kind="stable")].astype(np.int32)


@dataclass(frozen=True)
class Standing:
    """Where one article stands. Ranks count from 1; None: no events of it are known."""

    rank: int | None
    of: int  # articles that have a rank
    section_rank: int | None
    section_of: int  # those of them in the article's section
    score: float  # weighted events an hour, as expected from now on; 0 without a rank
    change: int | None  # places climbed since the period before; None: had no rank then, or has none now
    new: bool  # has a rank now, and had none


@dataclass(frozen=True)
class Ranking:
    """The published candidates in order at a tick: those with events by score, then the others, newest first."""

    tick: int  # minutes since 1970
    basis: Literal["views", "recent"]  # recent: no candidate has events
    order: np.ndarray  # (published,) int32 rows, best first
    scores: np.ndarray  # (a,) float64 by row: weighted events an hour
    ranks: np.ndarray  # (a,) int32 by row, from 1; UNRANKED without events
    section_ranks: np.ndarray  # (a,) int32 by row, likewise
    section_sizes: np.ndarray  # (a,) int32 by row: articles of its section that have a rank
    previous_ranks: np.ndarray  # (a,) int32 by row: ranks a period ago among the same candidates

    @property
    def ranked(self) -> int:
        """How many articles have a rank."""
        return int(np.count_nonzero(self.ranks))

    def standing(self, row: int) -> Standing:
        """Return where the candidate of this row stands."""
        rank, before = int(self.ranks[row]) or None, int(self.previous_ranks[row]) or None
        return Standing(
            rank=rank,
            of=self.ranked,
            section_rank=int(self.section_ranks[row]) or None,
            section_of=int(self.section_sizes[row]),
            score=float(self.scores[row]),
            change=before - rank if rank and before else None,
            new=bool(rank and not before),
        )

    def top(self, limit: int, among: np.ndarray | None = None) -> np.ndarray:
        """Return the first `limit` rows in order, of those that the mask `among` (a,) bool admits."""
        order = self.order if among is None else self.order[among[self.order]]
        return order[:limit]


def tick_of(now: int) -> int:
    """Return the tick of a moment in microseconds: the minute that has begun, whose counts are left out."""
    return now // _MINUTE


def windows(half_lives_minutes: Mapping[str, float]) -> dict[str, Window]:
    """Return the windows with these half-lives by name, the default ones where a name is missing."""
    return {
        name: Window(half_lives_minutes.get(name, window.half_life), window.period)
        for name, window in WINDOWS.items()
    }


def weighted(types: np.ndarray, counts: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    """Return counts times the weights of their types (n,) float64; a type without a weight counts nothing."""
    names, codes = np.unique(types, return_inverse=True)
    table = np.array([weights.get(str(name), 0.0) for name in names])
    return np.asarray(counts * table[codes] if len(names) else counts, dtype=np.float64)


def ranking(counts: Counts, candidates: Candidates, tick: int, window: Window) -> Ranking:
    """Return the candidates published by a tick in order, by the events before it.

    Equal scores come newest first, then by id. With the same counts, any order of them and any earlier calls
    give the same ranking.
    """
    order, ranks, scores = _ranked(counts, candidates, tick, window)
    before = tick - window.period
    section_ranks, section_sizes = _by_section(order, ranks, candidates.sections)
    return Ranking(
        tick=tick,
        basis="views" if ranks.any() else "recent",
        order=order,
        scores=scores,
        ranks=ranks,
        section_ranks=section_ranks,
        section_sizes=section_sizes,
        previous_ranks=_ranked(counts, candidates, before, window)[1],
    )


def _ranked(
    counts: Counts, candidates: Candidates, tick: int, window: Window
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the order of what is published, and ranks and scores by row."""
    published = candidates.published <= tick * _MINUTE
    scores = np.where(published, _scores(counts, len(published), tick, window), 0.0)
    newest = candidates.newest[published[candidates.newest]]
    order = newest[np.argsort(-scores[newest], kind="stable")]
    ranks = np.zeros(len(published), dtype=np.int32)
    ranks[order] = np.arange(1, len(order) + 1)
    ranks[scores <= 0] = UNRANKED
    return order, ranks, scores


def _scores(counts: Counts, articles: int, tick: int, window: Window) -> np.ndarray:
    """Return weighted events an hour, decayed: (a,) float64."""
    known = counts.minutes < tick
    ages = tick - 0.5 - counts.minutes[known]
    decayed = counts.counts[known] * np.exp2(-ages / window.half_life)
    per_hour = _HOUR * np.log(2) / window.half_life
    return np.asarray(np.bincount(counts.rows[known], decayed, minlength=articles) * per_hour)


def _by_section(order: np.ndarray, ranks: np.ndarray, sections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of each row within its section, and how many of the section have a rank."""
    section_ranks, sizes = np.zeros_like(ranks), np.zeros_like(ranks)
    inside = order[(ranks[order] != UNRANKED) & (sections[order] != NO_SECTION)]
    grouped = inside[np.argsort(sections[inside], kind="stable")]
    starts = np.flatnonzero(np.diff(sections[grouped], prepend=NO_SECTION))
    lengths = np.diff(np.append(starts, len(grouped)))
    section_ranks[grouped] = np.arange(len(grouped)) - np.repeat(starts, lengths) + 1
    size_of = dict(zip(sections[grouped[starts]].tolist(), lengths.tolist(), strict=True))
    sizes[:] = [size_of.get(section, 0) for section in sections.tolist()]
    return section_ranks, sizes
