"""Event logs for backtests: weighted counts per article and minute, read from files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from recommender.training.formats.files import CorpusError, opened
from recommender.training.formats.parquet import table
from recommender.training.formats.tables import whole
from recommender.training.readers.detection import format_of
from recommender.training.readers.frames import DataFrame, as_pandas, refuse_repeated
from recommender.trending import EVENT_WEIGHTS
from recommender.wrong_type import wrong_type

EventSource = str | Path | DataFrame  # a file or a data frame of events

_MINUTE_SECONDS = 60
_DAY = 1440  # minutes
_TOP_ARTICLES = 3000  # per hour and per day; an article that is never among them is in no list of ten
_REQUIRED = ("ts", "article_id")
_COLUMNS = (*_REQUIRED, "visitor_id", "type", "count")
MAX_DAYS = 92
_DAY_SECONDS = 86_400
# The least number that is in a unit, and the unit per second: in seconds, 1e11 is after the year 5100.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds since 1970


@dataclass(frozen=True)
class Log:
    """Weighted events by minute and article. Columns are articles, the newest first, then by id.

    Rows are sorted by minute, and each pair of minute and column occurs once. An article counts as published
    at its first event.
    """

    ids: Sequence[str]  # of the columns
    minutes: np.ndarray  # (n,) int64, since 1970
    columns: np.ndarray  # (n,) int64
    counts: np.ndarray  # (n,) float64
    events: float  # weighted; includes events of articles without a column
    synthetic: int = 0  # the number of synthetic articles; they are the last columns, and in no list

    @property
    def articles(self) -> int:
        """The number of columns that are real articles."""
        return len(self.ids) - self.synthetic

    @property
    def begin(self) -> int:
        """The first minute."""
        return int(self.minutes[0])

    @property
    def end(self) -> int:
        """The minute after the last."""
        return int(self.minutes[-1]) + 1

    @cached_property
    def first(self) -> np.ndarray:
        """The minute of the first event of each column, (columns,) int64."""
        first = np.full(len(self.ids), np.iinfo(np.int64).max)
        np.minimum.at(first, self.columns, self.minutes)
        return first

    def between(self, start: int, end: int) -> slice:
        """Return the slice of the rows from minute `start` up to but not including `end`."""
        return slice(*np.searchsorted(self.minutes, [start, end]).tolist())

    def until(self, end: int) -> "Log":
        """Return the log before a minute, with the same columns."""
        inside = self.between(self.begin, end)
        return replace(
            self, minutes=self.minutes[inside], columns=self.columns[inside], counts=self.counts[inside]
        )

    def sums(self, start: int, end: int) -> np.ndarray:
        """Return the counts from minute `start` up to but not including `end`, (columns,) float64."""
        inside = self.between(start, end)
        return np.bincount(self.columns[inside], self.counts[inside], len(self.ids)).astype(np.float64)

    def with_synthetic(self, articles: Sequence[tuple[np.ndarray, np.ndarray]]) -> "Log":
        """Return the log with synthetic articles after the real ones; each has minutes and their counts."""
        begin = len(self.ids)
        columns = [np.full(len(minutes), begin + number) for number, (minutes, _) in enumerate(articles)]
        minutes = np.concatenate([self.minutes, *(minutes for minutes, _ in articles)])
        order = np.argsort(minutes, kind="stable")
        return Log(
            ids=[*self.ids, *(f"synthetic {number}" for number in range(len(articles)))],
            minutes=minutes[order],
            columns=np.concatenate([self.columns, *columns])[order],
            counts=np.concatenate([self.counts, *(counts for _, counts in articles)])[order],
            events=self.events,
            synthetic=self.synthetic + len(articles),
        )


def read_events(source: EventSource) -> pd.DataFrame:
    """Read events from Parquet, CSV or JSON lines, also compressed, or from a data frame of any library.

    The columns are `ts` (a date, ISO 8601, or a number since 1970) and `article_id`, and optionally
    `visitor_id`, `type` (view, click, like, comment or share) and `count`; others are left out. In the
    result, `ts` is datetime64 in UTC, cut to seconds, and `article_id` a string. Raises CorpusError if the
    source cannot be read, has no required column, contains an invalid value, or covers over 92 days.

    >>> events = recommender.read_events(recommender.sample_file("views.parquet"))
    >>> events.dtypes.astype(str).to_dict()
    {'ts': 'datetime64[s, UTC]', 'article_id': 'string'}
    """
    name, frame = _named_frame("read_events", source)
    frame = _checked(name, frame)
    times = pd.Series(frame["ts"].to_numpy().astype("datetime64[s]"), index=frame.index)
    return frame.assign(ts=times.dt.tz_localize("UTC"), article_id=frame["article_id"].astype("string"))


def read_log(
    source: EventSource,
    *,
    weights: Mapping[str, float] = EVENT_WEIGHTS,
    visitor_window_minutes: int = 0,
    sample: float = 1.0,
    seed: int = 0,
) -> Log:
    """Return the log of events in a file or data frame; `read_events` says in which.

    With a visitor window, a visitor counts once per window, article and type. A `sample` below 1 reads that
    share of the rows, drawn with the seed, as the log of a smaller site. Raises CorpusError as `read_events`
    does.
    """
    events = counted_events(
        "backtest",
        source,
        weights=weights,
        visitor_window_minutes=visitor_window_minutes,
        sample=sample,
        seed=seed,
    )
    return _log(events.ids, events.minutes, events.counts)


@dataclass(frozen=True)
class CountedEvents:
    """Events that count, in any order; each has an article, a minute and a weighted count."""

    ids: "pd.Series[str]"  # (n,)
    minutes: np.ndarray  # (n,) int64, since 1970
    counts: np.ndarray  # (n,) float64


def counted_events(
    call: str,
    source: EventSource,
    *,
    weights: Mapping[str, float] = EVENT_WEIGHTS,
    visitor_window_minutes: int = 0,
    sample: float = 1.0,
    seed: int = 0,
) -> CountedEvents:
    """Return the events that count, as `read_log` does; `call` is named if the source has a wrong type."""
    if not visitor_window_minutes >= 0:
        raise ValueError(f"visitor_window_minutes is {visitor_window_minutes}; it must be at least 0")
    name, frame = _named_frame(call, source)
    frame = _checked(name, frame)
    if sample < 1:
        frame = frame[np.random.default_rng(seed).random(len(frame)) < sample]
    if visitor_window_minutes and "visitor_id" in frame:
        frame = frame[_counted(frame, visitor_window_minutes * _MINUTE_SECONDS)]
    counts = _weighted(name, frame, weights)
    if not counts.sum():
        raise CorpusError(f"{name} contains no events with a weight above 0")
    return CountedEvents(frame["article_id"].astype(str), frame["ts"].to_numpy() // _MINUTE_SECONDS, counts)


def log_of(ids: Sequence[str], minutes: np.ndarray, counts: np.ndarray) -> Log:
    """Return a log of events in any order; each has an article id, a minute and a count."""
    return _log(pd.Series(list(ids), dtype=str), np.asarray(minutes), np.asarray(counts, dtype=np.float64))


def _named_frame(call: str, source: EventSource) -> tuple[str, pd.DataFrame]:
    """Return the name of a source in messages, and its rows."""
    if isinstance(source, str | Path):
        return str(source), _frame(Path(source))
    if not isinstance(source, DataFrame):
        raise wrong_type(call, "a file or a data frame", source, "pass a path, or pandas.DataFrame(rows)")
    name = "the data frame of events"
    frame = as_pandas(source, name)
    refuse_repeated(name, frame.columns.tolist())
    if "article_id" in frame:  # whole numbers are floats if one is missing
        frame = frame.assign(article_id=[whole(value) for value in frame["article_id"].tolist()])
    return name, frame


def _checked(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of events, with `ts` in seconds since 1970. Raises CorpusError as `read_events`."""
    if missing := [column for column in _REQUIRED if column not in frame]:
        raise CorpusError(
            f"{name} has no column {missing[0]}; its columns are {', '.join(map(str, frame.columns))}"
        )
    frame = frame[[column for column in _COLUMNS if column in frame]]
    if (unknown := frame["article_id"].isna()).any():
        raise CorpusError(f"{name}: row {int(unknown.to_numpy().argmax()) + 1} has no article_id")
    return frame.assign(ts=_seconds(name, frame["ts"]))


def _frame(path: Path) -> pd.DataFrame:
    kind = format_of(path)
    try:
        if kind == "parquet":
            return cast(pd.DataFrame, table(path, _COLUMNS).to_pandas())
        with opened(path) as stream:
            if kind == "csv":
                separator = "\t" if ".tsv" in path.suffixes else ","
                return pd.read_csv(stream, sep=separator, dtype={"article_id": str, "visitor_id": str})
            return pd.read_json(stream, lines=True, dtype=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise CorpusError(f"{path} cannot be read as {kind}: {error}") from None


def _seconds(path: str | Path, times: Any) -> np.ndarray:
    """Return times as seconds since 1970. Naive times are UTC; the size of a number shows its unit."""
    numbers = np.full(len(times), np.nan)
    if not _is_date(times):
        numbers = pd.to_numeric(times, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    sizes = np.abs(numbers)
    numbers = numbers / np.select([sizes >= least for least, _ in _UNITS], [per for _, per in _UNITS], 1)
    texts = times[np.isnan(numbers)]
    aware = pd.to_datetime(texts, utc=True, format=None if _is_date(times) else "ISO8601", errors="coerce")
    if aware.isna().any():
        row = int(np.flatnonzero(np.isnan(numbers))[aware.isna().to_numpy().argmax()])
        value = times.iloc[row]
        cause = "has no ts" if pd.isna(value) else f"has the ts {str(value)[:100]!r}, which is not ISO 8601"
        raise CorpusError(f"{path}: row {row + 1} {cause}")
    numbers[np.isnan(numbers)] = aware.dt.as_unit("s").astype(np.int64)
    _check_range(path, numbers, times)
    return np.asarray(numbers.astype(np.int64))


def _check_range(path: str | Path, seconds: np.ndarray, times: Any) -> None:
    """Raise CorpusError if a time or the range of all times is not plausible, because the replay is long."""
    if not len(seconds):
        return
    is_plausible = (seconds >= _EARLIEST) & (seconds < _LATEST)
    if not is_plausible.all():
        row = int(np.argmin(is_plausible))
        raise CorpusError(
            f"{path}: row {row + 1} has the ts {str(times.iloc[row])[:100]!r}, which is not between 1990 and "
            "2100; write ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970"
        )
    first, last = int(np.argmin(seconds)), int(np.argmax(seconds))
    days = (seconds[last] - seconds[first]) / _DAY_SECONDS
    if days > MAX_DAYS:
        raise CorpusError(
            f"{path} covers {days:,.0f} days, from row {first + 1} ({_shown(seconds[first])}) to row "
            f"{last + 1} ({_shown(seconds[last])}); at most {MAX_DAYS} are allowed: correct the row or use a "
            "part of the log"
        )


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _is_date(times: Any) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(times))


def _weighted(path: str | Path, frame: pd.DataFrame, weights: Mapping[str, float]) -> np.ndarray:
    counts = np.ones(len(frame))
    if "count" in frame:
        counts = pd.to_numeric(frame["count"], errors="coerce").to_numpy(dtype=np.float64)
        is_count = (counts >= 0) & np.isfinite(counts)
        if not is_count.all():
            row = int(np.argmin(is_count)) + 1
            raise CorpusError(f"{path}: the count of row {row} is not a number of at least 0")
    if "type" in frame:
        counts = counts * frame["type"].map(dict(weights)).fillna(0).to_numpy(dtype=np.float64)
    return counts


def _counted(frame: pd.DataFrame, window_seconds: int) -> np.ndarray:
    """Return which events count, (rows,) bool.

    An event of a visitor counts if it is at least one window after the last counted event of the same
    visitor, article and type. Events without a visitor always count.
    """
    keys = ["article_id", "visitor_id", *(["type"] if "type" in frame else [])]
    known = frame["visitor_id"].notna().to_numpy()
    groups = frame.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    times = frame["ts"].to_numpy()
    remaining = np.flatnonzero(known)
    remaining = remaining[np.lexsort((times[remaining], groups[remaining]))]
    counted = ~known
    while len(remaining):  # each pass counts the first event of every group and drops the rest of its window
        firsts = np.flatnonzero(np.diff(groups[remaining], prepend=-1))
        counted[remaining[firsts]] = True
        sizes = np.diff(np.append(firsts, len(remaining)))
        since = times[remaining] - np.repeat(times[remaining[firsts]], sizes)
        remaining = remaining[since >= window_seconds]
    return counted


def _log(ids: "pd.Series[str]", minutes: np.ndarray, counts: np.ndarray) -> Log:
    """Return the log of the articles that can be in a list; each pair of minute and article occurs once."""
    codes, names = pd.factorize(ids)
    selected = _most_read(codes, minutes, counts, len(names))
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, codes, minutes)
    selected = selected[np.lexsort((np.asarray(names)[selected], -first[selected]))]
    column_of = np.full(len(names), -1)
    column_of[selected] = np.arange(len(selected))
    included = (column_of[codes] >= 0) & (counts > 0)
    keys = minutes[included] * len(selected) + column_of[codes[included]]
    cells, cell_of = np.unique(keys, return_inverse=True)
    return Log(
        ids=[str(name) for name in np.asarray(names)[selected]],
        minutes=cells // len(selected),
        columns=cells % len(selected),
        counts=np.bincount(cell_of, counts[included]),
        events=float(counts.sum()),
    )


def _most_read(codes: np.ndarray, minutes: np.ndarray, counts: np.ndarray, articles: int) -> np.ndarray:
    """Return the articles that were read most in their best hour or day, at most 3,000 of each."""
    selections = []
    for span in (_MINUTE_SECONDS, _DAY):
        cells, cell_of = np.unique(minutes // span * articles + codes, return_inverse=True)
        best = np.zeros(articles)
        np.maximum.at(best, cells % articles, np.bincount(cell_of, counts))
        selections.append(np.argsort(-best, kind="stable")[:_TOP_ARTICLES])
    return np.unique(np.concatenate(selections))
