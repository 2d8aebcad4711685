"""Trending: how much each article is read now, and where it stands, from counts alone.

Everything here is a pure function of counts and a tick. No state is kept from one tick to the next, so all
workers come to the same ranks, and a clock that jumps back gives what it gave before.

**Decay.** S(h) is the sum of count x 2^(-age / h): exponential smoothing (Brown 1959). At a steady rate it
comes to rate x h / ln 2, so h / ln 2 is the time that it has seen.

**Small counts.** Rates are estimated over h, 2h, 8h, 32h … up to four days. The longest is S / seen. Each
shorter one sets out from the next longer as if it had seen one event at that rate: (S + 1) / (seen + 1 /
longer), the mean of a gamma posterior (Gelman et al., Bayesian Data Analysis, 2.6). So the window's own
half-life decides where there are many events, and longer ones where there are few, article by article.

**Trend.** S(h) tells the rate of h / ln 2 ago, S(2h) that of twice as long ago. The line through their
logarithms, drawn on to the tick, gives rate(h) x rate(h) / rate(2h): double exponential smoothing (Holt
1957), of the logarithm.

**Rest.** What is read evenly must not change places by chance. The square root of a Poisson count has the
same noise at every rate (Bartlett 1936), and so has that of the trend: where S(h) and S(2h) are sums over the
same events, a deviation comes to sqrt(11 / 48 x seen) / (seen + 1 / longer). So ranks go by a value that
follows the square root of the rate as a joint with some play does (the play operator of hysteresis,
Krasnoselskii and Pokrovskii 1989): at rest within two deviations, dragged along beyond. It is replayed from
counts, in steps of a twelfth of the half-life, from the beginning of the last full round of 60 steps; on a
portal's log 93 % of the lists of ten are then those of a replay without end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from recommender.model import NO_MOMENT

NO_SECTION = -1
UNRANKED = 0
EVENT_WEIGHTS: Mapping[str, float] = {"view": 1.0, "click": 1.0, "like": 2.0, "comment": 3.0, "share": 5.0}
_MINUTE = 60_000_000  # microseconds
_HOUR, _DAY = 60, 1440  # minutes
_RATIO = 4  # of one half-life to the next shorter one, after the first two
_LONGEST = 4 * _DAY  # half-life
_PRIOR = 1.0  # events that the longer half-life counts for
_DEVIATIONS = 2.0  # of noise, within which a rank stands still
# The variance of the logarithm is 4/2 + 1/4 - 4/3, by S(h), S(2h) and both; that of the root a quarter of it.
_TREND_NOISE = 11 / 48
_STEPS = 60  # of a round of the replay
_STEPS_IN_HALF_LIFE = 12
_REPLAYED = 500  # articles; farther down a rank may flicker


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
    categories: np.ndarray  # (a,) int32, number of the primary category; NO_SECTION: none

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        if not len(self.ids) == len(self.published) == len(self.categories):
            raise ValueError(
                f"{len(self.ids)} ids, {len(self.published)} moments, {len(self.categories)} sections"
            )

    @cached_property
    def newest(self) -> np.ndarray:
        """All rows (a,) int32, newest first, undated last, equal moments by id."""
        by_id = np.argsort(np.array(self.ids, dtype=object), kind="stable")
        moments = self.published[by_id]
        later = np.where(moments == NO_MOMENT, np.iinfo(np.int64).max, -moments)
        return by_id[np.argsort(later, kind="stable")].astype(np.int32)


@dataclass(frozen=True)
class ArticleRank:
    """Where one article stands. Ranks count from 1; None: no events of it are known."""

    rank: int | None
    of: int  # articles that have a rank
    category_rank: int | None
    category_of: int  # those of them in the article's section
    score: float  # weighted events an hour, as expected from now on; 0 without a rank
    change: int | None  # places climbed since the period before; None: had no rank then, or has none now
    new: bool  # has a rank now, and had none


@dataclass(frozen=True)
class Ranking:
    """The published candidates in order at a tick: those with events by score, the rest newest first."""

    tick: int  # minutes since 1970
    basis: Literal["views", "recent"]  # recent: no candidate has events
    order: np.ndarray  # (published,) int32 rows, best first
    scores: np.ndarray  # (a,) float64 by row: weighted events an hour
    ranks: np.ndarray  # (a,) int32 by row, from 1; UNRANKED without events
    category_ranks: np.ndarray  # (a,) int32 by row, likewise
    category_sizes: np.ndarray  # (a,) int32 by row: articles of its section that have a rank
    previous_ranks: np.ndarray  # (a,) int32 by row: ranks a period ago among the same candidates

    @property
    def ranked(self) -> int:
        """How many articles have a rank."""
        return int(np.count_nonzero(self.ranks))

    def article_rank(self, row: int) -> ArticleRank:
        """Return where the candidate of this row stands."""
        rank, before = int(self.ranks[row]) or None, int(self.previous_ranks[row]) or None
        return ArticleRank(
            rank=rank,
            of=self.ranked,
            category_rank=int(self.category_ranks[row]) or None,
            category_of=int(self.category_sizes[row]),
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
    moments = np.array([tick - window.period, tick])
    before, scores = _scores(counts, len(candidates.ids), moments, window.half_life)
    order, ranks = _ranked(scores, candidates, tick)
    category_ranks, category_sizes = _by_category(order, ranks, candidates.categories)
    return Ranking(
        tick=tick,
        basis="views" if ranks.any() else "recent",
        order=order,
        scores=np.where(ranks, scores, np.float32(0)),
        ranks=ranks,
        category_ranks=category_ranks,
        category_sizes=category_sizes,
        previous_ranks=_ranked(before, candidates, tick - window.period)[1],
    )


def _ranked(scores: np.ndarray, candidates: Candidates, tick: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of what is published, and ranks by row."""
    newest = candidates.newest
    listed = newest[candidates.published[newest] <= tick * _MINUTE]
    order = listed[np.argsort(-scores[listed], kind="stable")]
    ranks = np.zeros(len(scores), dtype=np.int32)
    ranks[order] = np.arange(1, len(order) + 1)
    ranks[scores <= 0] = UNRANKED
    return order, ranks


def _by_category(
    order: np.ndarray, ranks: np.ndarray, categories: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of each row within its section, and how many of the section have a rank."""
    inside = order[(ranks[order] != UNRANKED) & (categories[order] != NO_SECTION)]
    grouped = inside[np.argsort(categories[inside], kind="stable")]
    sizes = np.bincount(categories[grouped], minlength=categories.max(initial=NO_SECTION) + 1)
    firsts = np.cumsum(sizes) - sizes
    category_ranks = np.zeros_like(ranks)
    category_ranks[grouped] = np.arange(1, len(grouped) + 1) - firsts[categories[grouped]]
    return category_ranks, np.append(sizes, 0)[categories].astype(np.int32)  # NO_SECTION is -1, the last


def _scores(counts: Counts, articles: int, moments: np.ndarray, half_life: float) -> np.ndarray:
    """Return what is ranked at each moment, as weighted events an hour: (moments, articles) float32.

    It is 0 without events. In single precision it does not show in which order the counts were added up.
    """
    known = counts.minutes < moments[-1]
    if not known.all():
        counts = Counts(counts.rows[known], counts.minutes[known], counts.counts[known])
    sums = _decayed(counts, articles, moments, half_life)
    found, slack = roots(sums, half_life)
    for at, moment in enumerate(moments.tolist()):
        moving = _highest(found[at] + slack[at], _REPLAYED)
        stops = stops_of(moment, half_life)
        decayed = _replayed(counts, sums[:, at, moving], moving, stops, half_life)
        found[at, moving] = _played(*roots(decayed, half_life))
    return np.asarray(_HOUR * found**2, dtype=np.float32)


def half_lives(shortest: float) -> list[float]:
    """Return the half-lives over which a window estimates rates, the shortest first."""
    found = [shortest, 2 * shortest]
    while found[-1] * _RATIO <= _LONGEST:
        found.append(found[-1] * _RATIO)
    return found


def step_of(half_life: float) -> int:
    """Return the minutes between two stops of a replay."""
    return max(1, round(half_life / _STEPS_IN_HALF_LIFE))


def stops_of(tick: int, half_life: float) -> np.ndarray:
    """Return the minutes at which a replay stops, ending with the tick; all ticks of a round begin alike."""
    step = step_of(half_life)
    start = (tick // (step * _STEPS) - 1) * step * _STEPS
    return np.unique(np.append(np.arange(start, tick, step), tick))


def _decayed(counts: Counts, articles: int, stops: np.ndarray, half_life: float) -> np.ndarray:
    """Return the decayed sums of the counts before each stop: (half-lives, stops, articles) float64."""
    cells = np.searchsorted(stops, counts.minutes, side="right")
    ages = stops[cells] - counts.minutes - 1  # of the end of a bucket
    places = cells * articles + counts.rows
    since = np.diff(stops, prepend=stops[0])
    sums = []
    for each in half_lives(half_life):
        weights = np.exp2(-(np.arange(ages.max(initial=0) + 1) + 0.5) / each)
        added = np.bincount(places, counts.counts * weights[ages], minlength=len(stops) * articles)
        sums.append(added.reshape(len(stops), articles).astype(np.float64, copy=False))
        for at in range(1, len(stops)):
            sums[-1][at] += sums[-1][at - 1] * np.exp2(-since[at] / each)
    return np.array(sums)


def _replayed(
    counts: Counts, sums: np.ndarray, rows: np.ndarray, stops: np.ndarray, half_life: float
) -> np.ndarray:
    """Return the decayed sums (half-lives, stops, rows) of some rows, whose sums at the last stop are known.

    Only the counts since the first stop are looked at: the sums tell what was before them.
    """
    recent = np.flatnonzero((counts.minutes >= stops[0]) & (counts.minutes < stops[-1]))
    column = np.full(max(counts.rows.max(initial=0), rows.max(initial=0)) + 1, -1)
    column[rows] = np.arange(len(rows))
    recent = recent[column[counts.rows[recent]] >= 0]
    since = Counts(column[counts.rows[recent]], counts.minutes[recent], counts.counts[recent])
    decayed = _decayed(since, len(rows), stops, half_life)
    earlier = np.maximum(sums - decayed[:, -1], 0)[:, None]
    growth = np.exp2((stops[-1] - stops) / np.array(half_lives(half_life))[:, None])
    return np.asarray(decayed + earlier * growth[:, :, None])


def roots(sums: np.ndarray, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the square root of each article's rate a minute, and within what it is at rest.

    `sums` is (half-lives, …, articles): the decayed counts over each of `half_lives(half_life)`.
    """
    seen = [each / np.log(2) for each in half_lives(half_life)]
    longer = rate = sums[-1] / seen[-1]
    wait = np.zeros_like(rate)  # minutes in which the longer half-life expects an event
    with np.errstate(divide="ignore"):  # never, without any event
        for total, minutes in zip(sums[-2::-1], seen[-2::-1], strict=True):
            longer, wait = rate, _PRIOR / rate
            rate = (total + _PRIOR) / (minutes + wait)
    trend = np.divide(rate, longer, out=np.ones_like(rate), where=longer > 0)
    deviation = np.sqrt(_TREND_NOISE * seen[0]) / (seen[0] + wait)
    return np.sqrt(rate * trend), _DEVIATIONS * deviation


def _played(found: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Return where the play operator has come to at the last stop; both are (stops, articles)."""
    played = found[0]
    for root, width in zip(found[1:], slack[1:], strict=True):
        played = np.clip(played, root - width, root + width)
    return np.asarray(played)


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the highest values above 0, at most `count`, in no order."""
    found = np.flatnonzero(values > 0)
    if len(found) > count:
        found = found[np.argpartition(values[found], -count)[-count:]]
    return np.asarray(found)
