"""A log of what was read when, as counts by minute, to replay definitions of trending on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recommender.training.readers.files import CorpusError, format_of, opened
from recommender.trending import EVENT_WEIGHTS

_MINUTE_SECONDS = 60
_DAY = 1440  # minutes
_CONSIDERED = 3000  # articles; what was never among so many in any hour or day is in no list of ten
_NEEDED = ("ts", "article_id")


@dataclass(frozen=True)
class Log:
    """Weighted events by minute and article. Columns are articles, the newest first, then by id.

    Rows are sorted by minute, and each pair of minute and column is there once. An article counts as
    published with its first event.
    """

    ids: Sequence[str]  # of the columns
    minutes: np.ndarray  # (n,) int64, since 1970
    columns: np.ndarray  # (n,) int64
    counts: np.ndarray  # (n,) float64
    events: float  # weighted, those of articles that no column is of, too
    planted: int = 0  # so many of the last columns are no real articles, and no list shows them

    @property
    def articles(self) -> int:
        """How many columns are real articles."""
        return len(self.ids) - self.planted

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
        found = np.full(len(self.ids), np.iinfo(np.int64).max)
        np.minimum.at(found, self.columns, self.minutes)
        return found

    def between(self, start: int, end: int) -> slice:
        """Return where the rows of the minutes from `start` to before `end` are."""
        return slice(*np.searchsorted(self.minutes, [start, end]).tolist())

    def until(self, end: int) -> "Log":
        """Return the log up to before a minute, with the same columns."""
        inside = self.between(self.begin, end)
        return replace(
            self, minutes=self.minutes[inside], columns=self.columns[inside], counts=self.counts[inside]
        )

    def sums(self, start: int, end: int) -> np.ndarray:
        """Return the counts of the minutes from `start` to before `end`: (columns,) float64."""
        inside = self.between(start, end)
        return np.bincount(self.columns[inside], self.counts[inside], len(self.ids)).astype(np.float64)

    def with_planted(self, plants: Sequence[tuple[np.ndarray, np.ndarray]]) -> "Log":
        """Return the log with made-up articles behind the real ones, each of minutes and their counts."""
        at = len(self.ids)
        columns = [np.full(len(minutes), at + number) for number, (minutes, _) in enumerate(plants)]
        minutes = np.concatenate([self.minutes, *(minutes for minutes, _ in plants)])
        order = np.argsort(minutes, kind="stable")
        return Log(
            ids=[*self.ids, *(f"planted {number}" for number in range(len(plants)))],
            minutes=minutes[order],
            columns=np.concatenate([self.columns, *columns])[order],
            counts=np.concatenate([self.counts, *(counts for _, counts in plants)])[order],
            events=self.events,
            planted=self.planted + len(plants),
        )


def read_log(
    path: str | Path,
    *,
    weights: Mapping[str, float] = EVENT_WEIGHTS,
    visitor_window_minutes: int = 0,
    sample: float = 1.0,
    seed: int = 0,
) -> Log:
    """Read a log with the columns `ts article_id [visitor_id] [type] [count]`: Parquet, CSV or JSON lines.

    With a visitor window a visitor counts once per article and type in it. A `sample` below 1 keeps that
    share of the rows, drawn by the seed: the log of a smaller site. Raises CorpusError for a file that cannot
    be read, lacks a column, or holds a value that is none.
    """
    path = Path(path)
    frame = _frame(path)
    if missing := [name for name in _NEEDED if name not in frame]:
        raise CorpusError(
            f"{path} has no column {missing[0]}; there are {', '.join(map(str, frame.columns))}"
        )
    frame = frame[[name for name in (*_NEEDED, "visitor_id", "type", "count") if name in frame]]
    frame = frame.assign(ts=_seconds(path, frame["ts"]))
    if sample < 1:
        frame = frame[np.random.default_rng(seed).random(len(frame)) < sample]
    if visitor_window_minutes and "visitor_id" in frame:
        frame = frame[_counted(frame, visitor_window_minutes * _MINUTE_SECONDS)]
    counts = _weighted(path, frame, weights)
    if not counts.sum():
        raise CorpusError(f"{path} holds no events that count")
    return _log(frame["article_id"].astype(str), frame["ts"].to_numpy() // _MINUTE_SECONDS, counts)


def log_of(ids: Sequence[str], minutes: np.ndarray, counts: np.ndarray) -> Log:
    """Return a log of events: an article, a minute and a count each, in any order."""
    return _log(pd.Series(list(ids), dtype=str), np.asarray(minutes), np.asarray(counts, dtype=np.float64))


def _frame(path: Path) -> pd.DataFrame:
    kind = format_of(path)
    try:
        with opened(path) as stream:
            if kind == "parquet":
                return pd.read_parquet(stream)
            if kind == "csv":
                separator = "\t" if ".tsv" in path.suffixes else ","
                return pd.read_csv(stream, sep=separator, dtype={"article_id": str, "visitor_id": str})
            return pd.read_json(stream, lines=True, dtype=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise CorpusError(f"{path} cannot be read as {kind}: {error}") from None


def _seconds(path: Path, moments: Any) -> np.ndarray:
    """Return moments as seconds since 1970; numbers are seconds, naive ones UTC."""
    if pd.api.types.is_numeric_dtype(moments):
        return np.asarray(moments, dtype=np.float64).astype(np.int64)
    try:
        aware = pd.to_datetime(moments, utc=True, format=None if _is_date(moments) else "ISO8601")
    except ValueError as error:
        raise CorpusError(f"{path}: a ts is no ISO 8601 moment: {error}") from None
    if aware.isna().any():
        raise CorpusError(f"{path}: row {int(aware.isna().to_numpy().argmax()) + 1} has no ts")
    return np.asarray(aware.dt.as_unit("s").astype(np.int64))


def _is_date(moments: Any) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(moments))


def _weighted(path: Path, frame: pd.DataFrame, weights: Mapping[str, float]) -> np.ndarray:
    counts = np.ones(len(frame))
    if "count" in frame:
        given = pd.to_numeric(frame["count"], errors="coerce").to_numpy(dtype=np.float64)
        if not (given >= 0).all():
            row = int(np.argmin(given >= 0)) + 1
            raise CorpusError(f"{path}: the count of row {row} is no number from 0")
        counts = given
    if "type" in frame:
        counts = counts * frame["type"].map(dict(weights)).fillna(0).to_numpy(dtype=np.float64)
    return counts


def _counted(frame: pd.DataFrame, window_seconds: int) -> np.ndarray:
    """Return what counts of each visitor (rows,) bool: an event at least a window after the last that did."""
    who = ["article_id", "visitor_id", *(["type"] if "type" in frame else [])]
    known = frame["visitor_id"].notna().to_numpy()
    groups = frame.groupby(who, sort=False, dropna=False).ngroup().to_numpy()
    moments = frame["ts"].to_numpy()
    left = np.flatnonzero(known)
    left = left[np.lexsort((moments[left], groups[left]))]
    counted = ~known
    while len(left):  # each round settles the first of every visitor and article, and what it covers
        firsts = np.flatnonzero(np.diff(groups[left], prepend=-1))
        counted[left[firsts]] = True
        sizes = np.diff(np.append(firsts, len(left)))
        since = moments[left] - np.repeat(moments[left[firsts]], sizes)
        left = left[since >= window_seconds]
    return counted


def _log(ids: "pd.Series[str]", minutes: np.ndarray, counts: np.ndarray) -> Log:
    """Return the log of the articles that may come into a list, each minute and article once."""
    codes, names = pd.factorize(ids)
    kept = _considered(codes, minutes, counts, len(names))
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, codes, minutes)
    kept = kept[np.lexsort((np.asarray(names)[kept], -first[kept]))]
    column_of = np.full(len(names), -1)
    column_of[kept] = np.arange(len(kept))
    known = (column_of[codes] >= 0) & (counts > 0)
    cells, where = np.unique(minutes[known] * len(kept) + column_of[codes[known]], return_inverse=True)
    return Log(
        ids=[str(name) for name in np.asarray(names)[kept]],
        minutes=cells // len(kept),
        columns=cells % len(kept),
        counts=np.bincount(where, counts[known]),
        events=float(counts.sum()),
    )


def _considered(codes: np.ndarray, minutes: np.ndarray, counts: np.ndarray, articles: int) -> np.ndarray:
    """Return the articles that were read most in their best hour or day, at most 3,000 of each."""
    found = []
    for span in (_MINUTE_SECONDS, _DAY):
        cells, where = np.unique(minutes // span * articles + codes, return_inverse=True)
        best = np.zeros(articles)
        np.maximum.at(best, cells % articles, np.bincount(where, counts))
        found.append(np.argsort(-best, kind="stable")[:_CONSIDERED])
    return np.unique(np.concatenate(found))
