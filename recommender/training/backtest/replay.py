"""A log replayed: how well definitions of trending foretell what will be read, and what each costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict

from recommender.model import from_microseconds
from recommender.training.backtest.click_log import Log
from recommender.training.backtest.definitions import Definition, Scores, definitions, last, ours_with
from recommender.trending import WINDOWS

HALF_LIVES = (6, 8, 10, 12, 15, 20, 30, 45, 60, 90, 120)  # minutes, that fitting chooses from
DEFAULT_HALF_LIFE = WINDOWS["1h"].half_life
_CLEARLY = 0.005  # by so much must another half-life be better than the default: less is chance
_QUIET = 0.45  # changes of ours at most, of those of the last 15 minutes
_HOUR, _DAY = 60, 1440  # minutes
_BURSTS_EVERY, _BURST_PLACE = 3 * _HOUR, 5
_FLOOD_VIEWS, _FLOOD_MINUTES = 20_000, 6 * _HOUR
_SETTLED = 6 * _HOUR  # before, a log is too empty for made-up articles to tell anything


class BacktestError(ValueError):
    """A log that nothing can be replayed on; the message says why."""


@dataclass(frozen=True)
class BacktestSettings:
    """What is asked: the next `horizon`'s `top` articles, told every `refresh`; minutes."""

    horizon: int = _HOUR
    top: int = 10
    refresh: int = 5
    fit: float = 0.5  # of the log, before the part reported on; in whole days where there are two
    source_cap: int = 3  # of a flood from one address, so much counts in each of these windows
    source_window: int = 30


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DefinitionResult(_Record):
    """How one definition did."""

    name: str
    label: str
    overlap: float  # of its list with what is then read most, as a share
    ndcg: float  # of its list, with what is then read as gains
    churn: float  # articles that a refresh puts in place of others
    full: float  # share of its lists that need not be filled up with the newest
    burst_minutes: float | None  # until a burst is listed, the median; None: not within an hour
    flood_rank: int | None  # the best that a flood reaches, counted view by view
    capped_flood_rank: int | None  # counted as the service does


class BacktestReport(_Record):
    """A backtest: what was replayed, the half-life that suits it, and the definitions, ours first."""

    events: float
    articles: int
    begin: AwareDatetime  # of the part reported on
    end: AwareDatetime
    fitted_on: tuple[AwareDatetime, AwareDatetime] | None
    top: int
    horizon_minutes: int
    refresh_minutes: int
    half_life_minutes: float  # that fits, or the default
    bursts: int
    floods: int
    truth_churn: float  # of a list that knew the future
    rows: list[DefinitionResult]

    def row(self, name: str) -> DefinitionResult:
        """Return the row of a definition. Raises KeyError."""
        return {row.name: row for row in self.rows}[name]


@dataclass(frozen=True)
class _Part:
    """Refreshes of a log, and what was read after each."""

    log: Log
    ticks: list[int]
    plan: BacktestSettings

    @cached_property
    def goals(self) -> np.ndarray:
        """What is read within the horizon of each tick, (ticks, articles) float32."""
        horizon = self.plan.horizon
        found = [self.log.sums(tick, tick + horizon)[: self.log.articles] for tick in self.ticks]
        return np.array(found, dtype=np.float32)

    @cached_property
    def best(self) -> list[np.ndarray]:
        """The columns that are read most after each tick, those that are read at all."""
        return [_positive(goal, self.plan.top) for goal in self.goals]

    def measured(self, scores: Scores) -> dict[str, float]:
        """Return overlap, ndcg, churn and full of the lists that scores give."""
        found: dict[str, list[float]] = {"overlap": [], "ndcg": [], "churn": [], "full": []}
        before: np.ndarray | None = None
        first = self.log.first[: self.log.articles]
        for tick, score, goal, best in zip(self.ticks, scores, self.goals, self.best, strict=True):
            listed, full = _list(score[: self.log.articles], first < tick, self.plan.top)
            found["full"].append(full)
            if before is not None:
                found["churn"].append(len(np.setdiff1d(listed, before, assume_unique=True)))
            before = listed
            if len(best):
                found["overlap"].append(len(np.intersect1d(listed, best, assume_unique=True)) / len(best))
                found["ndcg"].append(_gain(goal[listed]) / _gain(goal[best]))
        return {name: float(np.mean(values)) if values else 0.0 for name, values in found.items()}


def backtest(
    log: Log, plan: BacktestSettings | None = None, *, progress: Callable[[str], None] = lambda _: None
) -> BacktestReport:
    """Replay a log against all definitions; the half-life is fitted on its first part.

    Each refresh is a multiple of `refresh` minutes since 1970, at least an hour after the log begins. Raises
    BacktestError for a log that is too short.
    """
    plan = plan or BacktestSettings()
    boundary = _boundary(log, plan)
    ticks = _ticks(log, log.begin + _HOUR, log.end - plan.horizon, plan)
    if not (told := [tick for tick in ticks if tick >= boundary]):
        wanted = _HOUR + plan.horizon + plan.refresh
        raise BacktestError(
            f"the log has {log.end - log.begin} minutes; {wanted} are needed, and more to fit"
        )
    fitted = None
    if boundary > log.begin:
        progress("fitting")
        fitted = fitted_half_life(log.until(boundary), plan)
    settled = [tick for tick in told if tick >= log.begin + _SETTLED] or told
    bursts, floods = _bursts(log, settled, plan), _floods(settled, plan)
    planted = log.with_planted([*bursts, *(flood for pair in floods for flood in pair)])
    part = _Part(log, told, plan)
    rows = []
    for definition in definitions(DEFAULT_HALF_LIFE, plan.top, fitted=fitted):
        progress(definition.label)
        rows.append(_row(definition, part, planted, ticks, len(bursts)))
    return BacktestReport(
        events=log.events,
        articles=log.articles,
        begin=_moment(told[0]),
        end=_moment(log.end),
        fitted_on=(_moment(log.begin), _moment(boundary)) if fitted else None,
        top=plan.top,
        horizon_minutes=plan.horizon,
        refresh_minutes=plan.refresh,
        half_life_minutes=fitted or DEFAULT_HALF_LIFE,
        bursts=len(bursts),
        floods=len(floods),
        truth_churn=part.measured(iter(part.goals))["churn"],
        rows=rows,
    )


def fitted_half_life(log: Log, plan: BacktestSettings) -> float:
    """Return the half-life in minutes that suits a log: overlap and nDCG count the same.

    Of those whose lists change at most .45 times as often as with the last 15 minutes, or, where there is
    none, of all. The default stays unless another is better by .005.
    """
    ticks = _ticks(log, log.begin + _HOUR, log.end - plan.horizon, plan)
    if not ticks:
        return DEFAULT_HALF_LIFE
    part = _Part(log, ticks, plan)
    found = {each: part.measured(ours_with(each)(log, ticks)) for each in HALF_LIVES}
    bound = _QUIET * part.measured(last(15)(log, ticks))["churn"]
    quiet = {each: found[each] for each in HALF_LIVES if found[each]["churn"] <= bound} or found
    value_of = {each: (one["overlap"] + one["ndcg"]) / 2 for each, one in quiet.items()}
    best = max(value_of, key=lambda each: value_of[each])
    default = value_of.get(int(DEFAULT_HALF_LIFE))
    return DEFAULT_HALF_LIFE if default is not None and value_of[best] < default + _CLEARLY else best


def _row(
    definition: Definition, part: _Part, planted: Log, ticks: Sequence[int], bursts: int
) -> DefinitionResult:
    """Measure one definition; what is planted is ranked beside the real articles, and moves none of them."""
    kept = []
    plants = _plants(planted)
    best = np.full(planted.planted, planted.articles + 1)
    noticed = np.full(planted.planted, np.inf)
    reported = set(part.ticks)
    for tick, score in zip(ticks, definition.scores(planted, ticks), strict=True):
        if tick in reported:
            kept.append(score[: planted.articles])
            for plant, start, end in plants:
                if start < tick <= end + part.plan.refresh and score[planted.articles + plant] > 0:
                    rank = 1 + int((kept[-1] > score[planted.articles + plant]).sum())
                    best[plant] = min(best[plant], rank)
                    if rank <= part.plan.top:
                        noticed[plant] = min(noticed[plant], tick - start)
    wait = float(np.median(noticed[:bursts])) if bursts else np.inf
    raw, capped = best[bursts::2], best[bursts + 1 :: 2]
    return DefinitionResult(
        name=definition.name,
        label=definition.label,
        **part.measured(iter(kept)),
        burst_minutes=wait if np.isfinite(wait) else None,
        flood_rank=int(raw.min()) if raw.size else None,
        capped_flood_rank=int(capped.min()) if capped.size else None,
    )


def _plants(planted: Log) -> list[tuple[int, int, int]]:
    """Return of each planted article its number, its first minute and its last."""
    minutes = [
        planted.minutes[planted.columns == column] for column in range(planted.articles, len(planted.ids))
    ]
    return [(number, int(each[0]), int(each[-1])) for number, each in enumerate(minutes)]


def _bursts(log: Log, ticks: Sequence[int], plan: BacktestSettings) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return articles that for an hour are read as the fifth most read one: minutes and counts."""
    found = []
    for number, start in enumerate(range(ticks[0], ticks[-1] - _HOUR, _BURSTS_EVERY)):
        begin = start + number % plan.refresh
        read = np.sort(log.sums(begin, begin + _HOUR))[-_BURST_PLACE:]
        counts = np.diff(np.floor(np.arange(_HOUR + 1) * read[0] / _HOUR))
        if len(read) == _BURST_PLACE and counts.any():
            found.append((begin + np.flatnonzero(counts), counts[counts > 0]))
    return found


def _floods(ticks: Sequence[int], plan: BacktestSettings) -> list[tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """Return 20,000 views over 6 hours, one after the other: as they come, and what the service counts."""
    even = np.diff(np.floor(np.arange(_FLOOD_MINUTES + 1) * _FLOOD_VIEWS / _FLOOD_MINUTES))
    capped = np.arange(0, _FLOOD_MINUTES, plan.source_window)
    return [
        (
            (start + np.arange(_FLOOD_MINUTES), even),
            (start + capped, np.full(len(capped), float(plan.source_cap))),
        )
        for start in range(ticks[0], ticks[-1] - _FLOOD_MINUTES, _FLOOD_MINUTES)
    ]


def _list(scores: np.ndarray, published: np.ndarray, top: int) -> tuple[np.ndarray, bool]:
    """Return the columns of a list, filled up with the newest, and whether it was full without."""
    listed = _positive(scores, top)
    if len(listed) == top:
        return listed, True
    others = np.flatnonzero(published & (scores <= 0))
    return np.concatenate([listed, others[: top - len(listed)]]), False


def _positive(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the highest values above 0, highest first, equal ones in order."""
    found = np.flatnonzero(values > 0)
    if len(found) > count:
        found = found[values[found] >= np.partition(values[found], -count)[-count]]
    return np.asarray(found[np.argsort(-values[found], kind="stable")][:count])


def _gain(values: np.ndarray) -> float:
    """Return the discounted gain of values in their order (Järvelin and Kekäläinen 2002)."""
    return float((values / np.log2(np.arange(len(values)) + 2)).sum())


def _boundary(log: Log, plan: BacktestSettings) -> int:
    """Return the minute where fitting ends and reporting begins."""
    minutes = log.end - log.begin
    if not plan.fit or minutes < 2 * (_HOUR + plan.horizon):
        return log.begin
    boundary = log.begin + round(plan.fit * minutes)
    return round(boundary / _DAY) * _DAY if minutes >= 2 * _DAY else boundary


def _ticks(log: Log, start: int, end: int, plan: BacktestSettings) -> list[int]:
    begin = -(-max(start, log.begin) // plan.refresh) * plan.refresh
    return list(range(begin, end + 1, plan.refresh))


def _moment(minute: int) -> datetime:
    found = from_microseconds(minute * 60_000_000)
    if found is None:
        raise ValueError(f"{minute} is no minute")
    return found
