"""Definitions of trending, ours and those of other sites: the scores of all articles at each tick."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recommender.training.backtest.click_log import Log
from recommender.trending import half_lives, roots, step_of, stops_of

Scores = Iterator[np.ndarray]  # (columns,) float64 per tick; articles with 0 are not listed
_HOUR, _DAY = 60, 1440  # minutes


@dataclass(frozen=True)
class Definition:
    """A way to score articles. At each tick it uses only the events before it; ticks are in order."""

    name: str
    label: str
    scores: Callable[[Log, Sequence[int]], Scores]


def definitions(half_life: float, top: int, *, fitted: float | None = None) -> list[Definition]:
    """Return our definition with this and with the fitted half-life, and the definitions of other sites."""
    ours = [Definition("ours", f"ours ({half_life:g} min)", ours_with(half_life))]
    if fitted is not None and fitted != half_life:
        label = f"ours ({fitted:g} min, fitted)"
        ours.append(Definition("ours_fitted", label, ours_with(fitted)))
    windows = {15: "last 15 minutes", _HOUR: "last hour", 3 * _HOUR: "last 3 hours", _DAY: "last 24 hours"}
    return [
        *ours,
        *(Definition(f"last_{span}", label, last(span)) for span, label in windows.items()),
        Definition("decay_12", "half-life 12 min", decay(12)),
        Definition("decay_12_held", "12 min, sticky", decay(12, bonus=1.3, top=top)),
        Definition("decay_60", "half-life 1 h", decay(_HOUR)),
        Definition("decay_240", "half-life 4 h", decay(4 * _HOUR)),
        Definition("hacker_news", "Hacker News", hacker_news),
        Definition("reddit", "Reddit hot", reddit),
        Definition("mastodon", "Mastodon", mastodon),
    ]


def last(span: int) -> Callable[[Log, Sequence[int]], Scores]:
    """Return a definition that scores by the sum of the last `span` minutes."""

    def scores(log: Log, ticks: Sequence[int]) -> Scores:
        return (log.sums(tick - span, tick) for tick in ticks)

    return scores


def decay(half_life: float, bonus: float = 1, top: int = 0) -> Callable[[Log, Sequence[int]], Scores]:
    """Return a definition that scores by the sum of all events, each halved every half-life.

    The scores of articles in the previous list of `top` are multiplied by `bonus`.
    """

    def scores(log: Log, ticks: Sequence[int]) -> Scores:
        total, before, listed = np.zeros(len(log.ids)), log.begin, np.zeros(0, dtype=np.int64)
        for tick in ticks:
            inside = log.between(before, tick)
            weights = np.exp2((log.minutes[inside] + 0.5 - tick) / half_life) * log.counts[inside]
            total = total * np.exp2((before - tick) / half_life)
            total += np.bincount(log.columns[inside], weights, len(total))
            before, boosted = tick, total.copy()
            boosted[listed] *= bonus
            if bonus != 1:
                listed = np.argsort(-boosted[: log.articles], kind="stable")[:top]
            yield boosted

    return scores


def hacker_news(log: Log, ticks: Sequence[int]) -> Scores:
    """Yield (views - 1)^0.8 / (hours of age + 2)^1.8, as in the published news.arc, with views for votes."""
    for tick, total in _totals(log, ticks):
        age = np.maximum(tick - log.first, 0) / _HOUR
        yield np.where(total > 0, np.maximum(total - 1, 1e-9) ** 0.8 / (age + 2) ** 1.8, 0)


def reddit(log: Log, ticks: Sequence[int]) -> Scores:
    """Yield log10(views) + publication time / 45,000 s, as in Reddit's source, published in 2008."""
    since = np.maximum(log.first - log.begin, 0) * 60 / 45_000
    for _, total in _totals(log, ticks):
        yield np.where(total > 0, np.log10(np.maximum(total, 1)) + since + 1, 0)


def mastodon(log: Log, ticks: Sequence[int]) -> Scores:
    """Yield the score of Mastodon's trending links (app/models/trends/links.rb), with views for accounts.

    (today - yesterday)^2 / yesterday, if above 0; the highest of two days, halved every 8 hours since.
    """
    best, best_at = np.zeros(len(log.ids)), np.full(len(log.ids), log.begin)
    for tick in ticks:
        midnight = (tick - 1) // _DAY * _DAY
        today, yesterday = log.sums(midnight, tick), log.sums(midnight - _DAY, midnight)
        expected = np.maximum(yesterday, 1)
        best[best_at < tick - 2 * _DAY] = 0
        current = np.where((today > expected) & (today >= 5), (today - expected) ** 2 / expected, 0)  # noqa: PLR2004 its threshold
        higher = current > best
        best[higher], best_at[higher] = current[higher], tick
        yield best * np.exp2((best_at - tick) / (8 * _HOUR))


def ours_with(half_life: float) -> Callable[[Log, Sequence[int]], Scores]:
    """Return our definition: the scores of `trending.ranking`, computed in one pass over a log."""

    def scores(log: Log, ticks: Sequence[int]) -> Scores:
        step, reported = step_of(half_life), set(ticks)
        starts = {int(stops_of(tick, half_life)[0]) for tick in ticks}
        # The value of every column by the minute at which its hysteresis starts.
        values_of = {start: np.zeros(len(log.ids)) for start in starts if start <= log.begin}
        for tick, sums in _decayed(log, ticks, half_life):
            if tick % step and tick not in reported:
                continue
            root, slack = roots(sums, half_life)
            at_tick = {
                start: np.clip(values, root - slack, root + slack) for start, values in values_of.items()
            }
            if tick in starts:
                at_tick[tick] = root
            first = int(stops_of(tick, half_life)[0])
            if tick in reported:
                yield at_tick[first] ** 2
            if tick % step == 0:
                values_of = {start: values for start, values in at_tick.items() if start >= first}

    return scores


def _decayed(log: Log, ticks: Sequence[int], half_life: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each minute up to the last tick, and the decayed counts before it, (half-lives, columns)."""
    lives = np.array(half_lives(half_life))[:, None]
    sums = np.zeros((len(lives), len(log.ids)))
    per_minute, per_half_minute = np.exp2(-1 / lives), np.exp2(-0.5 / lives)
    bounds = np.searchsorted(log.minutes, np.arange(log.begin, ticks[-1] + 1)).tolist()
    for minute, (start, end) in enumerate(pairwise(bounds), log.begin):
        sums *= per_minute
        sums[:, log.columns[start:end]] += per_half_minute * log.counts[start:end]
        yield minute + 1, sums


def _totals(log: Log, ticks: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    total, before = np.zeros(len(log.ids)), log.begin
    for tick in ticks:
        total += log.sums(before, tick)
        before = tick
        yield tick, total
