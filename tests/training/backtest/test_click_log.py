"""Event logs are read from files and aggregated by minute and article."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.sample_files import sample_file
from recommender.training.backtest.click_log import Log, log_of, read_events, read_log
from recommender.training.formats.files import CorpusError
from recommender.training.readers.corpus import read_articles

ROWS: list[dict[str, object]] = [
    {"ts": "2026-03-01T10:00:05Z", "article_id": "a", "visitor_id": "1"},
    {"ts": "2026-03-01T10:00:50Z", "article_id": "a", "visitor_id": "2"},
    {"ts": "2026-03-01T11:10:00+01:00", "article_id": "b", "visitor_id": "1"},
    {"ts": "2026-03-01T10:20:00Z", "article_id": "a", "visitor_id": "1"},
    {"ts": "2026-03-01T10:40:00Z", "article_id": "a", "visitor_id": "1"},
]
TEN = 29_539_320  # 10:00 on that day, in minutes since 1970


def rows_of(log: Log) -> list[tuple[int, str, float]]:
    """Return the rows of a log: minutes after ten, article, count."""
    articles = [log.ids[column] for column in log.columns]
    return list(zip((log.minutes - TEN).tolist(), articles, log.counts.tolist(), strict=True))


EVERY = [(0, "a", 2.0), (10, "b", 1.0), (20, "a", 1.0), (40, "a", 1.0)]


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz", "log.csv", "log.parquet"])
def test_each_format_is_read_alike(tmp_path: Path, name: str) -> None:
    path, frame = tmp_path / name, pd.DataFrame(ROWS)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    elif name.endswith(".jsonl"):
        path.write_text(lines)
    elif name.endswith(".csv"):
        frame.to_csv(path, index=False)
    else:
        frame.assign(ts=pd.to_datetime(frame["ts"], utc=True, format="ISO8601")).to_parquet(path)

    log = read_log(path)

    assert rows_of(log) == EVERY
    assert log.ids == ["b", "a"]  # the newest first
    assert (log.begin, log.end, log.articles, log.events) == (TEN, TEN + 41, 2, 5)


def jsonl(tmp_path: Path, rows: list[dict[str, object]]) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_visitor_counts_once_in_the_window_and_again_after_it(tmp_path: Path) -> None:
    nobody: dict[str, object] = {"ts": "2026-03-01T10:40:30Z", "article_id": "a", "visitor_id": None}
    log = read_log(jsonl(tmp_path, [*ROWS, nobody]), visitor_window_minutes=30)

    assert rows_of(log) == [(0, "a", 2.0), (10, "b", 1.0), (40, "a", 2.0)]


def test_types_are_weighted_and_counts_are_used(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"ts": TEN * 60, "article_id": 1, "type": "view", "count": 30},
        {"ts": TEN * 60 + 59, "article_id": 1, "type": "share", "count": 2},
        {"ts": TEN * 60, "article_id": 2, "type": "scroll", "count": 9},
    ]

    log = read_log(jsonl(tmp_path, rows), weights={"view": 1, "share": 5})

    assert rows_of(log) == [(0, "1", 40.0)]
    assert log.events == 40


def test_a_sample_depends_on_its_seed(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"ts": TEN * 60 + at * 60, "article_id": at % 7} for at in range(2000)])

    first, again, other = (read_log(path, sample=0.1, seed=seed).events for seed in (1, 1, 2))

    assert first == again != other
    assert first == pytest.approx(200, rel=0.3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"time": 1, "article_id": "a"}, "has no column ts; its columns are time, article_id"),
        ({"ts": "yesterday", "article_id": "a"}, "row 1 has the ts 'yesterday', which is not ISO 8601"),
        ({"ts": None, "article_id": "a"}, "row 1 has no ts"),
        (
            {"ts": TEN * 60, "article_id": "a", "count": -1},
            "the count of row 1 is not a number of at least 0",
        ),
        ({"ts": TEN * 60, "article_id": "a", "count": 1e999}, "the count of row 1 is not a number"),
        ({"ts": TEN * 60, "article_id": "a", "count": 0}, "contains no events with a weight above 0"),
    ],
)
def test_an_invalid_log_is_rejected(tmp_path: Path, row: dict[str, object], message: str) -> None:
    with pytest.raises(CorpusError, match=f"log.jsonl:? {message}"):
        read_log(jsonl(tmp_path, [row]))


@pytest.mark.parametrize("per_second", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_size_of_a_number_shows_its_unit(tmp_path: Path, suffix: str, per_second: int) -> None:
    seconds = [TEN * 60, TEN * 60 + 61]
    frame = pd.DataFrame({"ts": [second * per_second for second in seconds], "article_id": ["a", "b"]})
    path = tmp_path / f"log.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)

    assert rows_of(read_log(path)) == [(0, "a", 1.0), (1, "b", 1.0)]


def test_numbers_and_texts_in_one_column_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"ts,article_id\n{TEN * 60_000},a\n2026-03-01T10:01:00Z,b\n{TEN * 60}.5,c\n")

    assert rows_of(read_log(path)) == [(0, "a", 1.0), (0, "c", 1.0), (1, "b", 1.0)]


@pytest.mark.parametrize(
    "ts",
    ["0", "20260301", "-1772359200", "1e300", "17723592000000000000000", "inf", "9999-12-31", "1970-01-01"],
)
def test_a_time_that_is_not_plausible_is_refused_with_its_row(tmp_path: Path, ts: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"ts,article_id\n{TEN * 60},a\n{ts},b\n")

    with pytest.raises(CorpusError, match=r"row 2 has the ts '.*', which is not"):
        read_log(path)


def test_a_log_that_covers_years_is_refused_with_its_first_and_last_row(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"ts,article_id\n{TEN * 60},a\n2025-03-01,b\n{TEN * 60 + 5},c\n")

    message = r"covers 365 days, from row 2 \(2025-03-01 00:00\) to row 3 \(2026-03-01 10:00\); at most 92"
    with pytest.raises(CorpusError, match=message):
        read_log(path)


def test_a_damaged_file_is_rejected_by_name(tmp_path: Path) -> None:
    for name, damaged in (("log.parquet", b"PAR1 and no more"), ("log.jsonl", b'{"ts": \n')):
        (tmp_path / name).write_bytes(damaged)

        with pytest.raises(CorpusError, match=name):
            read_log(tmp_path / name)


def test_sums_and_parts_contain_the_events_between_their_minutes() -> None:
    log = log_of(["a", "b", "a", "a"], np.array([5, 5, 6, 9]), np.array([1, 2, 3, 4]))

    assert dict(zip(log.ids, log.sums(5, 9), strict=True)) == {"a": 4, "b": 2}
    assert log.until(9).sums(0, 100).tolist() == log.sums(0, 9).tolist()
    assert dict(zip(log.ids, log.first, strict=True)) == {"a": 5, "b": 5}


def test_synthetic_articles_come_after_the_real_ones() -> None:
    log = log_of(["a", "b"], np.array([5, 7]), np.array([1, 2]))

    extended = log.with_synthetic([(np.array([6, 8]), np.array([1.0, 9.0]))])

    assert (extended.articles, extended.synthetic) == (2, 1)
    assert extended.sums(0, 100).tolist() == [*log.sums(0, 100).tolist(), 10]
    assert extended.minutes.tolist() == [5, 6, 7, 8]


def test_articles_never_among_the_most_read_are_left_out() -> None:
    ids = [str(number) for number in range(9000)]
    counts = np.ones(9000)
    counts[4000:4100] = 5

    log = log_of(ids, np.zeros(9000, dtype=int), counts)

    assert {str(number) for number in range(4000, 4100)} <= set(log.ids)
    assert log.articles == 3000
    assert log.events == 9400


def test_the_views_of_the_sample_are_of_its_articles() -> None:
    events = read_events(sample_file("views.parquet"))

    assert set(events["article_id"]) <= {article.id for article in read_articles(sample_file())}
    assert (events["ts"].max() - events["ts"].min()).days == 3


def test_events_of_a_frame_are_those_of_its_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS).assign(device="phone")
    frame.to_csv(tmp_path / "log.csv", index=False)

    events, read = read_events(frame), read_events(tmp_path / "log.csv")

    pd.testing.assert_frame_equal(events, read)
    assert events.columns.tolist() == ["ts", "article_id", "visitor_id"]
    assert events["ts"].tolist()[2] == pd.Timestamp("2026-03-01T10:10:00Z")
