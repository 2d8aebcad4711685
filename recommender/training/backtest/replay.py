"""Replay a log to measure how well definitions of trending predict what will be read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from recommender.model import from_microseconds
from recommender.training.backtest.click_log import EventSource, Log, read_log
from recommender.training.backtest.definitions import Definition, Scores, definitions, last, ours_with
from recommender.training.backtest.report import BacktestReport, DefinitionResult, HalfLifeResult
from recommender.trending import WINDOWS
from recommender.wrong_type import wrong_type

HALF_LIVES = (6, 8, 10, 12, 15, 20, 30, 45, 60, 90, 120)  # minutes; the candidates for fitting
DEFAULT_HALF_LIFE = WINDOWS["1h"].half_life
_MIN_GAIN = 0.005  # by which another half-life must be better than the default; less may be chance
_MAX_CHURN = 0.45  # churn of ours, relative to that of the last 15 minutes
_HOUR, _DAY = 60, 1440  # minutes
_BURSTS_EVERY, _BURST_RANK = 3 * _HOUR, 5
_FLOOD_VIEWS, _FLOOD_MINUTES = 20_000, 6 * _HOUR
MAX_CELLS = 300_000_000  # ticks times articles; each takes 12 bytes
_WARM_UP = 6 * _HOUR  # at its beginning, a log has too few events to measure synthetic articles


class BacktestError(ValueError):
    """The log cannot be replayed; the message says why.

    >>> import pandas as pd
    >>> recommender.backtest(pd.DataFrame({"ts": ["2027-01-01"], "article_id": ["a"]}))
    Traceback (most recent call last):
    recommender.training.backtest.replay.BacktestError: the log covers 1 minutes; 125 are needed, and more...
    """


@dataclass(frozen=True)
class BacktestSettings:
    """The task: every `refresh` minutes, predict the `top` articles of the next `horizon` minutes.

    Raises ValueError if a number is outside its range.

    >>> recommender.BacktestSettings(top=5, horizon=120).refresh
    5
    """

    horizon: int = _HOUR
    top: int = 10
    refresh: int = 5
    fit: float = 0.5  # share of the log before the reported part; whole days if the log has at least two
    source_cap: int = 3  # views of a flood from one address that count in each `source_window`
    source_window: int = 30  # minutes

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("horizon", "top", "refresh", "source_window"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 1")
        if not 0 <= self.fit < 1:
            raise ValueError(f"fit is {self.fit!r}; it must be a share of the log, from 0 to below 1")


@dataclass(frozen=True)
class _Part:
    """Ticks of a log, and the reads after each."""

    log: Log
    ticks: list[int]
    settings: BacktestSettings

    @cached_property
    def gains(self) -> np.ndarray:
        """The reads within the horizon of each tick, (ticks, articles) float32."""
        horizon = self.settings.horizon
        sums = [self.log.sums(tick, tick + horizon)[: self.log.articles] for tick in self.ticks]
        return np.array(sums, dtype=np.float32)

    @cached_property
    def best(self) -> list[np.ndarray]:
        """The most read columns after each tick, without columns that are not read."""
        return [_positive(gains, self.settings.top) for gains in self.gains]

    def measured(self, scores: Scores) -> dict[str, float]:
        """Return overlap, ndcg, churn and full of the lists with these scores."""
        values: dict[str, list[float]] = {"overlap": [], "ndcg": [], "churn": [], "full": []}
        previous: np.ndarray | None = None
        first = self.log.first[: self.log.articles]
        for tick, score, gains, best in zip(self.ticks, scores, self.gains, self.best, strict=True):
            listed, full = _list(score[: self.log.articles], first < tick, self.settings.top)
            values["full"].append(full)
            if previous is not None:
                values["churn"].append(len(np.setdiff1d(listed, previous, assume_unique=True)))
            previous = listed
            if len(best):
                common = np.intersect1d(listed, best, assume_unique=True)
                values["overlap"].append(len(common) / len(best))
                values["ndcg"].append(_dcg(gains[listed]) / _dcg(gains[best]))
        return {name: float(np.mean(column)) if column else 0.0 for name, column in values.items()}


def backtest(
    events: EventSource | Log,
    settings: BacktestSettings | None = None,
    *,
    visitor_window_minutes: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> BacktestReport:
    """Replay a log against all definitions, with a half-life fitted on the first part of the log.

    `events` is a file or a data frame, as `read_events` reads and returns it; `visitor_window_minutes` is the
    time in which a visitor counts once per article. Ticks are multiples of `refresh` minutes since 1970, at
    least an hour after the log begins. Raises CorpusError for an invalid event, and BacktestError if the log
    is too short, or too long for memory.

    >>> events = recommender.read_events(recommender.sample_file("views.parquet"))
    >>> report = recommender.backtest(events[events["ts"] < "2026-09-21T04:00Z"])
    >>> report.half_life_minutes
    12.0
    """
    settings = BacktestSettings() if settings is None else settings
    if not isinstance(settings, BacktestSettings):
        raise wrong_type("backtest", "BacktestSettings", settings, "pass BacktestSettings(top=5)")
    log = (
        events if isinstance(events, Log) else read_log(events, visitor_window_minutes=visitor_window_minutes)
    )
    boundary = _boundary(log, settings)
    ticks, reported = _checked_ticks(log, boundary, settings)
    fitted, half_lives = None, []
    if boundary > log.begin:
        progress("fitting")
        half_lives = half_life_results(log.until(boundary), settings)
        fitted = fitted_half_life(half_lives)
    after_warm_up = [tick for tick in reported if tick >= log.begin + _WARM_UP] or reported
    bursts, floods = _bursts(log, after_warm_up, settings), _floods(after_warm_up, settings)
    extended = log.with_synthetic([*bursts, *(flood for pair in floods for flood in pair)])
    part = _Part(log, reported, settings)
    rows = []
    for definition in definitions(DEFAULT_HALF_LIFE, settings.top, fitted=fitted):
        progress(definition.label)
        rows.append(_measure(definition, part, extended, ticks, len(bursts)))
    return BacktestReport(
        events=log.events,
        articles=log.articles,
        begin=_time(reported[0]),
        end=_time(log.end),
        fitted_on=(_time(log.begin), _time(boundary)) if fitted else None,
        top=settings.top,
        horizon_minutes=settings.horizon,
        refresh_minutes=settings.refresh,
        half_life_minutes=fitted or DEFAULT_HALF_LIFE,
        bursts=len(bursts),
        floods=len(floods),
        truth_churn=part.measured(iter(part.gains))["churn"],
        rows=rows,
        half_lives=half_lives,
    )


def _checked_ticks(log: Log, boundary: int, settings: BacktestSettings) -> tuple[list[int], list[int]]:
    """Return all ticks, and those from the boundary on, which are reported."""
    ticks = _ticks(log, log.begin + _HOUR, log.end - settings.horizon, settings)
    if not (reported := [tick for tick in ticks if tick >= boundary]):
        required = _HOUR + settings.horizon + settings.refresh
        raise BacktestError(
            f"the log covers {log.end - log.begin} minutes; {required} are needed, and more for fitting"
        )
    if len(ticks) * log.articles > MAX_CELLS:
        raise BacktestError(
            f"{len(ticks):,} lists of {log.articles:,} articles need too much memory; use a part of the log, "
            "or a longer --refresh"
        )
    return ticks, reported


def half_life_results(log: Log, settings: BacktestSettings) -> list[HalfLifeResult]:
    """Return the measures of our definition with each half-life; none if the log is too short.

    A half-life is steady if it has at most .45 times the churn of the last 15 minutes.
    """
    ticks = _ticks(log, log.begin + _HOUR, log.end - settings.horizon, settings)
    if not ticks:
        return []
    part = _Part(log, ticks, settings)
    max_churn = _MAX_CHURN * part.measured(last(15)(log, ticks))["churn"]
    results = []
    for half_life in HALF_LIVES:
        measures = part.measured(ours_with(half_life)(log, ticks))
        del measures["full"]
        steady = measures["churn"] <= max_churn
        results.append(HalfLifeResult(half_life_minutes=half_life, steady=steady, **measures))
    return results


def fitted_half_life(results: Sequence[HalfLifeResult]) -> float:
    """Return the steady half-life in minutes with the highest mean of overlap and nDCG, or the default.

    All half-lives are considered if none is steady. The default is returned unless another half-life is
    better by at least .005.
    """
    considered = [result for result in results if result.steady] or results
    best = max(considered, key=lambda result: result.quality, default=None)
    default = next((result for result in considered if result.half_life_minutes == DEFAULT_HALF_LIFE), None)
    if best is None or (default is not None and best.quality < default.quality + _MIN_GAIN):
        return DEFAULT_HALF_LIFE
    return best.half_life_minutes


def _measure(
    definition: Definition, part: _Part, extended: Log, ticks: Sequence[int], bursts: int
) -> DefinitionResult:
    """Measure one definition. Synthetic articles are ranked among the real ones, but do not displace them."""
    real_scores = []
    synthetic = _synthetic_articles(extended)
    best_ranks = np.full(extended.synthetic, extended.articles + 1)
    delays = np.full(extended.synthetic, np.inf)
    reported = set(part.ticks)
    for tick, score in zip(ticks, definition.scores(extended, ticks), strict=True):
        if tick in reported:
            real_scores.append(score[: extended.articles])
            for number, start, end in synthetic:
                if start < tick <= end + part.settings.refresh and score[extended.articles + number] > 0:
                    rank = 1 + int((real_scores[-1] > score[extended.articles + number]).sum())
                    best_ranks[number] = min(best_ranks[number], rank)
                    if rank <= part.settings.top:
                        delays[number] = min(delays[number], tick - start)
    delay = float(np.median(delays[:bursts])) if bursts else np.inf
    raw, capped = best_ranks[bursts::2], best_ranks[bursts + 1 :: 2]
    return DefinitionResult(
        name=definition.name,
        label=definition.label,
        **part.measured(iter(real_scores)),
        burst_minutes=delay if np.isfinite(delay) else None,
        flood_rank=int(raw.min()) if raw.size else None,
        capped_flood_rank=int(capped.min()) if capped.size else None,
    )


def _synthetic_articles(extended: Log) -> list[tuple[int, int, int]]:
    """Return the number, first minute and last minute of each synthetic article."""
    minutes_of = [
        extended.minutes[extended.columns == column] for column in range(extended.articles, len(extended.ids))
    ]
    return [(number, int(minutes[0]), int(minutes[-1])) for number, minutes in enumerate(minutes_of)]


def _bursts(
    log: Log, ticks: Sequence[int], settings: BacktestSettings
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return synthetic articles read for an hour as often as the fifth most-read article: minutes, counts."""
    bursts = []
    for number, start in enumerate(range(ticks[0], ticks[-1] - _HOUR, _BURSTS_EVERY)):
        begin = start + number % settings.refresh
        most_read = np.sort(log.sums(begin, begin + _HOUR))[-_BURST_RANK:]
        counts = np.diff(np.floor(np.arange(_HOUR + 1) * most_read[0] / _HOUR))
        if len(most_read) == _BURST_RANK and counts.any():
            bursts.append((begin + np.flatnonzero(counts), counts[counts > 0]))
    return bursts


def _floods(
    ticks: Sequence[int], settings: BacktestSettings
) -> list[tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """Return consecutive floods of 20,000 views over 6 hours: uncapped, and as the service counts them."""
    even = np.diff(np.floor(np.arange(_FLOOD_MINUTES + 1) * _FLOOD_VIEWS / _FLOOD_MINUTES))
    capped = np.arange(0, _FLOOD_MINUTES, settings.source_window)
    return [
        (
            (start + np.arange(_FLOOD_MINUTES), even),
            (start + capped, np.full(len(capped), float(settings.source_cap))),
        )
        for start in range(ticks[0], ticks[-1] - _FLOOD_MINUTES, _FLOOD_MINUTES)
    ]


def _list(scores: np.ndarray, published: np.ndarray, top: int) -> tuple[np.ndarray, bool]:
    """Return the columns of a list, and whether it was full before the newest articles filled it up."""
    listed = _positive(scores, top)
    if len(listed) == top:
        return listed, True
    newest = np.flatnonzero(published & (scores <= 0))
    return np.concatenate([listed, newest[: top - len(listed)]]), False


def _positive(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the highest values above 0, highest first, ties in order."""
    positions = np.flatnonzero(values > 0)
    if len(positions) > count:
        positions = positions[values[positions] >= np.partition(values[positions], -count)[-count]]
    return np.asarray(positions[np.argsort(-values[positions], kind="stable")][:count])


def _dcg(gains: np.ndarray) -> float:
    """Return the discounted cumulative gain (Järvelin and Kekäläinen 2002)."""
    return float((gains / np.log2(np.arange(len(gains)) + 2)).sum())


def _boundary(log: Log, settings: BacktestSettings) -> int:
    """Return the minute at which fitting ends and reporting begins."""
    minutes = log.end - log.begin
    if not settings.fit or minutes < 2 * (_HOUR + settings.horizon):
        return log.begin
    boundary = log.begin + round(settings.fit * minutes)
    return round(boundary / _DAY) * _DAY if minutes >= 2 * _DAY else boundary


def _ticks(log: Log, start: int, end: int, settings: BacktestSettings) -> list[int]:
    begin = -(-max(start, log.begin) // settings.refresh) * settings.refresh
    return list(range(begin, end + 1, settings.refresh))


def _time(minute: int) -> datetime:
    time = from_microseconds(minute * 60_000_000)
    if time is None:
        raise ValueError(f"minute {minute} is outside the supported dates")
    return time
