"""Small files that unpack to much are refused early, with the file, its size, the limit and the option."""

import gzip
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from recommender.dates import DateReader
from recommender.training.analytics.exports import ExportOptions, view_rows
from recommender.training.backtest.click_log import read_log
from recommender.training.formats.files import Limits, TooLargeError, limited
from recommender.training.readers.corpus import CorpusError, read_articles
from tests.support.cli import in_a_process

MIB = 1 << 20
A_ROW = b'{"id": "a", "title": "Ferry", "body": "The ferry sails."}\n'
SMALL = Limits(file_bytes=2 * MIB, row_bytes=MIB)
ITEM = (
    b"<item><wp:post_type>post</wp:post_type><wp:status>publish</wp:status>"
    b"<wp:post_id>1</wp:post_id>%b</item>"
)
WXR = (
    b'<?xml version="1.0"?><rss xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    b'xmlns:wp="http://wordpress.org/export/1.2/"><channel>%b</channel></rss>'
)
FEED = b"<rss version='2.0'><channel><title>t</title>%b</channel></rss>"

VIEWS = ExportOptions(DateReader(datetime(2026, 11, 30, tzinfo=UTC)))


def packed(folder: Path, name: str, parts: Iterator[bytes]) -> Path:
    path = folder / name
    content = b"".join(parts)
    pack = partial(gzip.compress, compresslevel=1) if name.endswith(".gz") else zstandard.compress
    path.write_bytes(pack(content))
    return path


def repeated(before: bytes, part: bytes, count: int, after: bytes = b"") -> Iterator[bytes]:
    yield before
    for _ in range(count):
        yield part
    yield after


def table(folder: Path, **columns: Any) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    return path


def wxr(part: bytes, count: int) -> Iterator[bytes]:
    before, after = (WXR % (ITEM % b"<content:encoded>\0</content:encoded>")).split(b"\0")
    return repeated(before, part, count, after)


X = b"x" * 1024
Bomb = Callable[[Path, int], Path]  # a function from a folder and a size in KiB to a file
ROW_BOMBS: dict[str, Bomb] = {
    "jsonl line": lambda folder, kib: packed(
        folder, "a.jsonl.gz", repeated(A_ROW + b'{"id": "b", "title": "', X, kib, b'"}\n')
    ),
    "jsonl brackets": lambda folder, kib: packed(
        folder, "a.jsonl.zst", repeated(b'{"id":', b"[" * 1024, kib)
    ),
    "jsonl without an end": lambda folder, kib: packed(
        folder, "a.ndjson.gz", repeated(A_ROW, b" " * 1024, kib)
    ),
    "csv field": lambda folder, kib: packed(folder, "a.csv.gz", repeated(b'id,title\n1,"', X, kib, b'"\n')),
    "csv field of lines": lambda folder, kib: packed(
        folder, "a.csv.gz", repeated(b'id,title\n1,"', b"x\n" * 512, kib, b'"\n')
    ),
    "csv header": lambda folder, kib: packed(folder, "a.csv.gz", repeated(b"id,title", b",x" * 512, kib)),
    "tsv": lambda folder, kib: packed(folder, "a.tsv.zst", repeated(b"id\ttitle\n1\t", X, kib, b"\n")),
    "feed": lambda folder, kib: packed(
        folder, "a.rss.gz", repeated(FEED[:40], b"<item><title>x</title></item>" * 36, kib, FEED[-16:])
    ),
    "wxr text": lambda folder, kib: packed(folder, "a.xml.gz", wxr(X, kib)),
    "wxr attribute": lambda folder, kib: packed(
        folder, "a.xml.zst", repeated(WXR[:170] + b"<a b='", X, kib, b"'/>" + WXR[-16:])
    ),
    "wxr outside of items": lambda folder, kib: packed(
        folder, "a.xml.gz", repeated(WXR.partition(b"%b")[0], b"<wp:author>x</wp:author>" * 43, kib)
    ),
    "parquet value": lambda folder, kib: table(folder, id=["a", "b"], title=["x", "x" * 1024 * kib]),
    "parquet dictionary": lambda folder, kib: table(folder, id=list("abcd"), title=["x" * 1024 * kib] * 4),
    "parquet list": lambda folder, kib: table(
        folder, id=["a", "b"], title=["x", "y"], tags=[["z"], ["x" * 1024] * kib]
    ),
    "parquet many elements": lambda folder, kib: table(
        folder, id=["a"], title=["x"], tags=[["z"] * (kib * 200)]
    ),
}
FILE_BOMBS: dict[str, Bomb] = {
    "jsonl": lambda folder, kib: packed(
        folder, "a.jsonl.gz", repeated(b"", (b"{}" + b" " * 1021 + b"\n"), kib)
    ),
    "blank lines": lambda folder, kib: packed(
        folder, "a.jsonl.zst", repeated(A_ROW, b" " * 1023 + b"\n", kib)
    ),
    "csv": lambda folder, kib: packed(
        folder, "a.csv.gz", repeated(b"id,title\n", (b"1," + b"a" * 1022 + b"\n"), kib)
    ),
    "wxr": lambda folder, kib: packed(
        folder, "a.xml.gz", repeated(WXR.partition(b"%b")[0], b"<item><a>%b</a></item>" % X, kib)
    ),
    "parquet in gzip": lambda folder, kib: packed(folder, "a.parquet.gz", repeated(b"PAR1", X, kib)),
    "parquet columns": lambda folder, kib: table(
        folder, id=list(map(str, range(kib))), title=["x" * 1000] * kib, body=["y" * 1000] * kib
    ),
}


@pytest.mark.parametrize("bomb", ROW_BOMBS.values(), ids=ROW_BOMBS)
def test_a_row_that_is_too_large_is_refused(tmp_path: Path, bomb: Bomb) -> None:
    path = bomb(tmp_path, 1100)

    with limited(SMALL), pytest.raises(TooLargeError) as refused:
        read_articles(path, max_bad=1)

    assert str(refused.value).startswith(str(path))
    assert "at most 1 MiB are allowed" in str(refused.value)
    assert "--max-row-mib" in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", ROW_BOMBS.values(), ids=ROW_BOMBS)
def test_a_row_below_the_limit_is_read_or_refused_for_another_reason(tmp_path: Path, bomb: Bomb) -> None:
    path = bomb(tmp_path, 100)

    with limited(Limits(file_bytes=512 * MIB, row_bytes=MIB)):
        try:
            read_articles(path, max_bad=1)
        except CorpusError as error:
            assert not isinstance(error, TooLargeError)  # noqa: PT017 both outcomes are right


@pytest.mark.slow
@pytest.mark.parametrize("bomb", FILE_BOMBS.values(), ids=FILE_BOMBS)
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, bomb: Bomb) -> None:
    path = bomb(tmp_path, 2100)

    with limited(SMALL), pytest.raises(TooLargeError) as refused:
        read_articles(path, max_bad=1)

    message = re.escape(f"{path} has over N MiB unpacked; at most 2 MiB are allowed")
    assert re.match(message.replace("N", "[23]"), str(refused.value))  # Parquet is counted by batches of rows
    assert "--max-file-mib" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "before", "part"),
    [
        ("a.csv.gz", b"article_id,ts\n", b"x" * 1024),
        ("a.csv.gz", b'article_id,ts\n"', b"x\n" * 512),
        ("a.jsonl.gz", b'{"ts":"', b"x" * 1024),
    ],
)
def test_views_have_the_same_limits(tmp_path: Path, name: str, before: bytes, part: bytes) -> None:
    path = packed(tmp_path, name, repeated(before, part, 1100))

    with limited(SMALL), pytest.raises(TooLargeError, match="--max-row-mib"):
        list(view_rows(path, VIEWS))


def test_views_in_parquet_have_the_same_limits(tmp_path: Path) -> None:
    path = table(tmp_path, article_id=["x" * 2 * MIB] * 4, ts=["2026-01-01"] * 4)

    for read in (lambda: list(view_rows(path, VIEWS)), partial(read_log, path)):
        with limited(SMALL), pytest.raises(TooLargeError, match="--max-"):
            read()


def test_a_log_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, "log.csv.gz", repeated(b"ts,article_id\n", b"1,a\n" * 256, 2100))

    with limited(SMALL), pytest.raises(TooLargeError, match="--max-file-mib"):
        read_log(path)


def test_a_log_in_parquet_is_read_as_before(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        ts=[1_500_000_060, 1_500_000_060, 1_500_000_120],
        article_id=["a", "a", "b"],
        count=[1, 2, 3],
        other=["x", "y", None],
    )

    log = read_log(path)

    assert (sorted(log.ids), log.counts.tolist()) == (["a", "b"], [3, 3])


def test_missing_and_repeated_values_of_parquet_are_read(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        id=["1", "2", "3"],
        title=["a", "a", None],
        body=[None, "b", "b"],
        tags=[["x", None, "x"], None, []],
        authors=pa.array([["x"], ["y", "x"], None], pa.large_list(pa.large_string())),
        category=pa.array(["c", None, "c"]).dictionary_encode(),
    )

    articles = read_articles(path).articles

    assert [(article.title, article.body) for article in articles] == [("a", ""), ("a", "b"), ("", "b")]
    assert [article.tags for article in articles] == [("x",), (), ()]
    assert [article.authors for article in articles] == [("x",), ("y", "x"), ()]
    assert [article.category for article in articles] == ["c", None, "c"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kib"),
    [
        *((name, 300_000) for name in ROW_BOMBS if "parquet" not in name),
        *(("parquet value", 300_000), ("parquet many elements", 50_000)),
    ],
)
def test_a_bomb_takes_little_memory_with_the_default_limits(tmp_path: Path, name: str, kib: int) -> None:
    path = ROW_BOMBS[name](tmp_path, kib)

    ended = in_a_process(sys.executable, "-c", _MEASURE, path)

    assert re.search("are allowed|more than 1,000,000 tags", ended.stdout), (
        name,
        ended.stdout,
        ended.stderr[-500:],
    )
    assert int(ended.stdout.split()[-1]) < 900, (name, ended.stdout)


_MEASURE = """
import re, sys
from recommender.training.readers.corpus import CorpusError, read_articles
try:
    read_articles(sys.argv[1], max_bad=1)
except CorpusError as error:
    print(error)
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""
