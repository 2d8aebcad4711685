"""Trending scores and ranks, computed from counts of events alone.

Everything here is a pure function of the counts and a tick, the minute for which ranks are computed. No state
is carried from one tick to the next, so all workers compute the same ranks, and a clock that is set back gets
the same ranks as before.

**Decay.** S(h) is the sum of count x 2^(-age / h): exponential smoothing (Brown 1959). At a steady rate it
converges to rate x h / ln 2. So h / ln 2, the time constant, is how long it effectively observes.

**Small counts.** Rates are estimated with half-lives h, 2h, 8h, 32h … up to four days. With the longest, the
rate is S / time constant. With each shorter one it is (S + 1) / (time constant + 1 / longer), where `longer`
is the rate at the next longer half-life: the mean of a gamma posterior whose prior is worth one event at that
rate (Gelman et al., Bayesian Data Analysis, 2.6). So articles with many events are scored by the window's own
half-life, and articles with few events mostly by longer ones. The window's half-life alone gives lists that
change by chance, and poor ones where views are few. With the prior, one setting suits a site with 150 views a
minute and a site with one view in seven minutes.

**Trend.** S(h) estimates the rate h / ln 2 ago, and S(2h) the rate twice as long ago. The line through their
logarithms, extended to the tick, gives rate(h) x rate(h) / rate(2h): double exponential smoothing (Holt 1957)
of the logarithm. It removes the lag that smoothing causes.

**Hysteresis.** Articles with steady reading must not swap ranks because of random variation. The square root
of a Poisson count has the same noise at every rate (Bartlett 1936), and so has that of the extrapolated rate:
as S(h) and S(2h) sum the same events, its standard deviation is sqrt(11 / 48 x time constant) / (time
constant + 1 / longer). So the score is the square of a value that follows the square root of the rate through
the play operator of hysteresis (Krasnoselskii and Pokrovskii 1989): it does not move while the root is within
two standard deviations, and is dragged along beyond that. The operator is replayed from the counts in steps
of a twelfth of the half-life, from the start of the last full round of 60 steps. On a portal's log, 93 % of
the lists of ten are the same as with a replay that never restarts.

Hysteresis applies to each article, so it works for lists of any length and for categories. A factor that
favours the articles in the current list of ten makes lists calmer still, but slower with news.

**Rejected.** A rate since publication: no gain. Boosted trees over ten half-lives, the article's age and the
hour: .002 more overlap with the articles that are read next, at 2.7 times the changes. `training.backtest`
compares definitions on a log of views.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from recommender.model import NO_MOMENT

NO_CATEGORY = -1
UNRANKED = 0
EVENT_WEIGHTS: Mapping[str, float] = {"view": 1.0, "click": 1.0, "like": 2.0, "comment": 3.0, "share": 5.0}
_MINUTE = 60_000_000  # microseconds
_HOUR, _DAY = 60, 1440  # minutes
_RATIO = 4  # of a half-life to the next shorter one, except between the first two
_LONGEST = 4 * _DAY  # half-life
_PRIOR = 1.0  # events that the rate at the longer half-life is worth as a prior
_DEVIATIONS = 2.0  # half-width of the hysteresis, in standard deviations
# The variance of the logarithm is 4/2 + 1/4 - 4/3, from S(h), S(2h) and both; that of the root is a quarter.
_TREND_NOISE = 11 / 48
_STEPS = 60  # in a round of the replay
_STEPS_IN_HALF_LIFE = 12
_REPLAYED = 500  # articles with the highest rates; the others have no hysteresis


@dataclass(frozen=True)
class Window:
    """A value of the parameter `window`; all in minutes."""

    half_life: float  # after which an event counts half
    period: int  # `change` compares with the ranks this long ago


WINDOWS: Mapping[str, Window] = {
    "1h": Window(half_life=12, period=_HOUR),
    "24h": Window(half_life=4 * _HOUR, period=_DAY),
    "7d": Window(half_life=28 * _HOUR, period=_DAY),
}
DEFAULT_WINDOW = "1h"


@dataclass(frozen=True)
class EventCounts:
    """Weighted counts of events by article and minute, in any order; entries for the same pair add up.

    Counts that were merged into hours have the first minute of the hour.
    """

    rows: np.ndarray  # (n,) int32, row of the article among the candidates
    minutes: np.ndarray  # (n,) int64, since 1970: minute m is the bucket from m to m + 1
    counts: np.ndarray  # (n,) float64: number of events times the weight of their type

    def __post_init__(self) -> None:
        """Check that the columns have equal lengths."""
        if not len(self.rows) == len(self.minutes) == len(self.counts):
            raise ValueError(f"{len(self.rows)} rows, {len(self.minutes)} minutes, {len(self.counts)} counts")


@dataclass(frozen=True)
class Candidates:
    """The articles that may be listed. The caller removes withdrawn, blocked and sensitive ones.

    Articles under embargo may be included; they are left out here until they are published.
    """

    ids: Sequence[str]  # in row order
    published: np.ndarray  # (a,) int64, microseconds since 1970; NO_MOMENT: undated
    categories: np.ndarray  # (a,) int32, code of the primary category; NO_CATEGORY: none

    def __post_init__(self) -> None:
        """Check that the columns have equal lengths."""
        if not len(self.ids) == len(self.published) == len(self.categories):
            raise ValueError(
                f"{len(self.ids)} ids, {len(self.published)} moments, {len(self.categories)} categories"
            )

    @cached_property
    def newest(self) -> np.ndarray:
        """All rows (a,) int32, newest first, undated last, equal moments by id."""
        by_id = np.argsort(np.array(self.ids, dtype=object), kind="stable")
        moments = self.published[by_id]
        sort_keys = np.where(moments == NO_MOMENT, np.iinfo(np.int64).max, -moments)
        return by_id[np.argsort(sort_keys, kind="stable")].astype(np.int32)


@dataclass(frozen=True)
class ArticleRank:
    """The rank of an article, overall and in its category. Ranks start at 1; None: it has no events."""

    rank: int | None
    of: int  # number of ranked articles
    category_rank: int | None
    category_of: int  # number of ranked articles in the article's category
    score: float  # expected weighted events per hour; 0 if unranked
    change: int | None  # places climbed since the period before; None: it was or is unranked
    new: bool  # is ranked now, and was not then


@dataclass(frozen=True)
class Ranking:
    """The candidates published by a tick, best first: those with events by score, then the rest by date."""

    tick: int  # minutes since 1970
    basis: Literal["views", "recent"]  # recent: no candidate has events
    order: np.ndarray  # (published,) int32 rows, best first
    scores: np.ndarray  # (a,) float64 by row: weighted events per hour
    ranks: np.ndarray  # (a,) int32 by row, from 1; UNRANKED without events
    category_ranks: np.ndarray  # (a,) int32 by row, likewise
    category_sizes: np.ndarray  # (a,) int32 by row: number of ranked articles in its category
    previous_ranks: np.ndarray  # (a,) int32 by row: ranks a period ago among the same candidates

    @property
    def ranked(self) -> int:
        """The number of ranked articles."""
        return int(np.count_nonzero(self.ranks))

    def article_rank(self, row: int) -> ArticleRank:
        """Return the rank of the candidate in this row."""
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
        """Return the first `limit` rows in order, optionally only those in the mask `among` (a,) bool."""
        order = self.order if among is None else self.order[among[self.order]]
        return order[:limit]


def tick_of(now: int) -> int:
    """Return the tick at a moment in microseconds: the current minute, whose own counts are left out."""
    return now // _MINUTE


def event_weights(weight_of: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of each event type: these, and the default for each type that is not among them."""
    return {**EVENT_WEIGHTS, **weight_of}


def windows(half_life_of: Mapping[str, float]) -> dict[str, Window]:
    """Return the windows by name: with these half-lives in minutes, and the default for each other name."""
    return {
        name: Window(half_life_of.get(name, window.half_life), window.period)
        for name, window in WINDOWS.items()
    }


def ranking(counts: EventCounts, candidates: Candidates, tick: int, window: Window) -> Ranking:
    """Return the ranking of the candidates published by a tick, from the events before the tick.

    Equal scores are ordered newest first, then by id. The result depends on the arguments only: not on the
    order of the counts, and not on earlier calls.
    """
    ticks = np.array([tick - window.period, tick])
    previous_scores, scores = _scores(counts, len(candidates.ids), ticks, window.half_life)
    order, ranks = _order_and_ranks(scores, candidates, tick)
    category_ranks, category_sizes = _by_category(order, ranks, candidates.categories)
    return Ranking(
        tick=tick,
        basis="views" if ranks.any() else "recent",
        order=order,
        scores=np.where(ranks, scores, np.float32(0)),
        ranks=ranks,
        category_ranks=category_ranks,
        category_sizes=category_sizes,
        previous_ranks=_order_and_ranks(previous_scores, candidates, tick - window.period)[1],
    )


def _order_and_ranks(scores: np.ndarray, candidates: Candidates, tick: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the published rows in order, and the rank of each row."""
    newest = candidates.newest
    published = newest[candidates.published[newest] <= tick * _MINUTE]
    order = published[np.argsort(-scores[published], kind="stable")]
    ranks = np.zeros(len(scores), dtype=np.int32)
    ranks[order] = np.arange(1, len(order) + 1)
    ranks[scores <= 0] = UNRANKED
    return order, ranks


def _by_category(
    order: np.ndarray, ranks: np.ndarray, categories: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row its rank in its category, and the number of ranked articles in the category."""
    categorized = order[(ranks[order] != UNRANKED) & (categories[order] != NO_CATEGORY)]
    grouped = categorized[np.argsort(categories[categorized], kind="stable")]
    sizes = np.bincount(categories[grouped], minlength=categories.max(initial=NO_CATEGORY) + 1)
    firsts = np.cumsum(sizes) - sizes
    category_ranks = np.zeros_like(ranks)
    category_ranks[grouped] = np.arange(1, len(grouped) + 1) - firsts[categories[grouped]]
    return category_ranks, np.append(sizes, 0)[categories].astype(np.int32)  # NO_CATEGORY is -1, the last


def _scores(counts: EventCounts, n_articles: int, ticks: np.ndarray, half_life: float) -> np.ndarray:
    """Return the scores at each tick: weighted events per hour, (ticks, articles) float32.

    They are 0 without events. In single precision, they do not depend on the order in which counts are added.
    """
    past = counts.minutes < ticks[-1]
    if not past.all():
        counts = EventCounts(counts.rows[past], counts.minutes[past], counts.counts[past])
    sums = _decayed(counts, n_articles, ticks, half_life)
    values, half_widths = roots(sums, half_life)
    for position, tick in enumerate(ticks.tolist()):
        highest = _highest(values[position] + half_widths[position], _REPLAYED)
        stops = stops_of(tick, half_life)
        replayed_sums = _replayed(counts, sums[:, position, highest], highest, stops, half_life)
        values[position, highest] = _hysteresis(*roots(replayed_sums, half_life))
    return np.asarray(_HOUR * values**2, dtype=np.float32)


def half_lives(shortest: float) -> list[float]:
    """Return the half-lives with which rates are estimated in a window, the shortest first."""
    lives = [shortest, 2 * shortest]
    while lives[-1] * _RATIO <= _LONGEST:
        lives.append(lives[-1] * _RATIO)
    return lives


def step_of(half_life: float) -> int:
    """Return the minutes between two stops of the replay."""
    return max(1, round(half_life / _STEPS_IN_HALF_LIFE))


def stops_of(tick: int, half_life: float) -> np.ndarray:
    """Return the stops of the replay, up to the tick; all ticks of a round have the same first stop."""
    step = step_of(half_life)
    start = (tick // (step * _STEPS) - 1) * step * _STEPS
    return np.unique(np.append(np.arange(start, tick, step), tick))


def _decayed(counts: EventCounts, n_articles: int, stops: np.ndarray, half_life: float) -> np.ndarray:
    """Return the decayed sums of the counts before each stop: (half-lives, stops, articles) float64."""
    stop_of = np.searchsorted(stops, counts.minutes, side="right")
    ages = stops[stop_of] - counts.minutes - 1  # of the end of a bucket
    cells = stop_of * n_articles + counts.rows
    gaps = np.diff(stops, prepend=stops[0])
    sums = []
    for life in half_lives(half_life):
        weights = np.exp2(-(np.arange(ages.max(initial=0) + 1) + 0.5) / life)
        added = np.bincount(cells, counts.counts * weights[ages], minlength=len(stops) * n_articles)
        sums.append(added.reshape(len(stops), n_articles).astype(np.float64, copy=False))
        for stop in range(1, len(stops)):
            sums[-1][stop] += sums[-1][stop - 1] * np.exp2(-gaps[stop] / life)
    return np.array(sums)


def _replayed(
    counts: EventCounts, sums: np.ndarray, rows: np.ndarray, stops: np.ndarray, half_life: float
) -> np.ndarray:
    """Return the decayed sums of some rows at each stop (half-lives, stops, rows), given those at the last.

    Only the counts after the first stop are read; the sums at the last stop contain the earlier ones.
    """
    recent = np.flatnonzero((counts.minutes >= stops[0]) & (counts.minutes < stops[-1]))
    column = np.full(max(counts.rows.max(initial=0), rows.max(initial=0)) + 1, -1)
    column[rows] = np.arange(len(rows))
    recent = recent[column[counts.rows[recent]] >= 0]
    recent_counts = EventCounts(column[counts.rows[recent]], counts.minutes[recent], counts.counts[recent])
    decayed = _decayed(recent_counts, len(rows), stops, half_life)
    earlier = np.maximum(sums - decayed[:, -1], 0)[:, None]
    growth = np.exp2((stops[-1] - stops) / np.array(half_lives(half_life))[:, None])
    return np.asarray(decayed + earlier * growth[:, :, None])


def roots(sums: np.ndarray, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the square root of each article's rate per minute, and the half-width of its hysteresis.

    `sums` is (half-lives, …, articles): the decayed counts for each of `half_lives(half_life)`.
    """
    time_constants = [life / np.log(2) for life in half_lives(half_life)]
    longer = rate = sums[-1] / time_constants[-1]
    wait = np.zeros_like(rate)  # minutes per event at the rate of the longer half-life
    with np.errstate(divide="ignore"):  # infinite for articles without events
        for total, time_constant in zip(sums[-2::-1], time_constants[-2::-1], strict=True):
            longer, wait = rate, _PRIOR / rate
            rate = (total + _PRIOR) / (time_constant + wait)
    trend = np.divide(rate, longer, out=np.ones_like(rate), where=longer > 0)
    deviation = np.sqrt(_TREND_NOISE * time_constants[0]) / (time_constants[0] + wait)
    return np.sqrt(rate * trend), _DEVIATIONS * deviation


def _hysteresis(inputs: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
    """Return the output of the play operator at the last stop, (articles,); both are (stops, articles)."""
    output = inputs[0]
    for value, half_width in zip(inputs[1:], half_widths[1:], strict=True):
        output = np.clip(output, value - half_width, value + half_width)
    return np.asarray(output)


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of up to `count` of the highest values above 0, in any order."""
    positive = np.flatnonzero(values > 0)
    if len(positive) > count:
        positive = positive[np.argpartition(values[positive], -count)[-count:]]
    return np.asarray(positive)
