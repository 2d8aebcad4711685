"""Definitions of trending that sites use, and ours, as scores of all articles refresh by refresh of a log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recommender.training.backtest.click_log import Log
from recommender.trending import half_lives, roots, step_of, stops_of

Scores = Iterator[np.ndarray]  # (columns,) float64 of each tick; 0: would not be listed
_HOUR, _DAY = 60, 1440  # minutes


@dataclass(frozen=True)
class Definition:
    """A way to score articles. It sees the events before a tick, and all ticks in order."""

    name: str
    label: str
    scores: Callable[[Log, Sequence[int]], Scores]


def definitions(half_life: float, top: int, *, fitted: float | None = None) -> list[Definition]:
    """Return ours, with this half-life and with a fitted one, and what sites use instead."""
    ours = [Definition("ours", f"ours ({half_life:g} min)", ours_with(half_life))]
    if fitted is not None and fitted != half_life:
        label = f"ours ({fitted:g} min, fitted)"
        ours.append(Definition("ours_fitted", label, ours_with(fitted)))
    windows = {15: "last 15 minutes", _HOUR: "last hour", 3 * _HOUR: "last 3 hours", _DAY: "last 24 hours"}
    return [
        *ours,
        *(Definition(f"last_{span}", label, last(span)) for span, label in windows.items()),
        Definition("decay_12", "half-life 12 min", decay(12)),
        Definition("decay_12_held", "12 min, sticky", decay(12, held=1.3, top=top)),
        Definition("decay_60", "half-life 1 h", decay(_HOUR)),
        Definition("decay_240", "half-life 4 h", decay(4 * _HOUR)),
        Definition("hacker_news", "Hacker News", hacker_news),
        Definition("reddit", "Reddit hot", reddit),
        Definition("mastodon", "Mastodon", mastodon),
    ]


def last(span: int) -> Callable[[Log, Sequence[int]], Scores]:
    """Return the sum of the last so many minutes."""

    def scores(log: Log, ticks: Sequence[int]) -> Scores:
        return (log.sums(tick - span, tick) for tick in ticks)

    return scores


def decay(half_life: float, held: float = 1, top: int = 0) -> Callable[[Log, Sequence[int]], Scores]:
    """Return the sum of all events, each halved every half-life; what is listed counts `held` times that."""

    def scores(log: Log, ticks: Sequence[int]) -> Scores:
        total, before, listed = np.zeros(len(log.ids)), log.begin, np.zeros(0, dtype=np.int64)
        for tick in ticks:
            inside = log.between(before, tick)
            weights = np.exp2((log.minutes[inside] + 0.5 - tick) / half_life) * log.counts[inside]
            total = total * np.exp2((before - tick) / half_life)
            total += np.bincount(log.columns[inside], weights, len(total))
            before, found = tick, total.copy()
            found[listed] *= held
            if held != 1:
                listed = np.argsort(-found[: log.articles], kind="stable")[:top]
            yield found

    return scores


def hacker_news(log: Log, ticks: Sequence[int]) -> Scores:
    """Yield (views - 1)^0.8 / (age in hours + 2)^1.8: the published source (news.arc), views for votes."""
    for tick, total in _totals(log, ticks):
        age = np.maximum(tick - log.first, 0) / _HOUR
        yield np.where(total > 0, np.maximum(total - 1, 1e-9) ** 0.8 / (age + 2) ** 1.8, 0)


def reddit(log: Log, ticks: Sequence[int]) -> Scores:
    """Yield log10(views) + publication / 45,000 s, as Reddit's source published in 2008 has it."""
    since = np.maximum(log.first - log.begin, 0) * 60 / 45_000
    for _, total in _totals(log, ticks):
        yield np.where(total > 0, np.log10(np.maximum(total, 1)) + since + 1, 0)


def mastodon(log: Log, ticks: Sequence[int]) -> Scores:
    """Yield what Mastodon's trending links go by (app/models/trends/links.rb), with views for accounts.

    (today - yesterday)^2 / yesterday, if above 0; the highest of two days, halved every 8 hours since.
    """
    best, moment = np.zeros(len(log.ids)), np.full(len(log.ids), log.begin)
    for tick in ticks:
        midnight = (tick - 1) // _DAY * _DAY
        today, yesterday = log.sums(midnight, tick), log.sums(midnight - _DAY, midnight)
        expected = np.maximum(yesterday, 1)
        best[moment < tick - 2 * _DAY] = 0
        found = np.where((today > expected) & (today >= 5), (today - expected) ** 2 / expected, 0)  # noqa: PLR2004 its threshold
        higher = found > best
        best[higher], moment[higher] = found[higher], tick
        yield best * np.exp2((moment - tick) / (8 * _HOUR))


def ours_with(half_life: float) -> Callable[[Log, Sequence[int]], Scores]:
    """Return what `recommender.trending.ranking` ranks by, the minutes of a log taken once and in order."""

    def scores(log: Log, ticks: Sequence[int]) -> Scores:
        step, wanted = step_of(half_life), set(ticks)
        begins = {int(stops_of(tick, half_life)[0]) for tick in ticks}
        played = {begin: np.zeros(len(log.ids)) for begin in begins if begin <= log.begin}
        for tick, sums in _decayed(log, ticks, half_life):
            if tick % step and tick not in wanted:
                continue
            found, slack = roots(sums, half_life)
            at_tick = {begin: np.clip(each, found - slack, found + slack) for begin, each in played.items()}
            if tick in begins:
                at_tick[tick] = found
            begin = int(stops_of(tick, half_life)[0])
            if tick in wanted:
                yield at_tick[begin] ** 2
            if tick % step == 0:
                played = {begun: each for begun, each in at_tick.items() if begun >= begin}

    return scores


def _decayed(log: Log, ticks: Sequence[int], half_life: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each minute up to the last tick, and the decayed counts before it (half-lives, columns)."""
    lives = np.array(half_lives(half_life))[:, None]
    sums = np.zeros((len(lives), len(log.ids)))
    keep, fresh = np.exp2(-1 / lives), np.exp2(-0.5 / lives)
    bounds = np.searchsorted(log.minutes, np.arange(log.begin, ticks[-1] + 1)).tolist()
    for minute, (start, end) in enumerate(pairwise(bounds), log.begin):
        sums *= keep
        sums[:, log.columns[start:end]] += fresh * log.counts[start:end]
        yield minute + 1, sums


def _totals(log: Log, ticks: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    total, before = np.zeros(len(log.ids)), log.begin
    for tick in ticks:
        total += log.sums(before, tick)
        before = tick
        yield tick, total


def by_name(found: Sequence[Definition]) -> Mapping[str, Definition]:
    """Return definitions by their names."""
    return {each.name: each for each in found}
