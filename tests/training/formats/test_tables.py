"""JSON lines, CSV and Parquet give the same articles; errors name the broken part."""

import gzip
import json
import re
import string
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from tests.support.laws import examples

NEWSROOM = Path(__file__).parents[2] / "data"
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def jsonl(path: Path, *rows: object) -> Path:
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def read(*paths: Path, **options: Any) -> Corpus:
    return read_articles(*paths, now=NOW, **options)


def first(path: Path, **options: Any) -> Article:
    return read(path, **options).articles[0]


def test_jsonl_and_csv_and_parquet_give_the_same_articles(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(
        [
            {**row, "id": str(row["id"])}
            for row in map(json.loads, (NEWSROOM / "newsroom.jsonl").read_text(encoding="utf-8").splitlines())
        ]
    )
    pq.write_table(table, tmp_path / "newsroom.parquet")

    from_jsonl = read(NEWSROOM / "newsroom.jsonl").articles

    assert len(from_jsonl) == 3
    assert read(NEWSROOM / "newsroom.csv").articles == from_jsonl
    assert read(tmp_path / "newsroom.parquet").articles == from_jsonl


def test_every_field_of_a_row_is_read() -> None:
    articles = {article.id: article for article in read(NEWSROOM / "newsroom.jsonl").articles}["101"]

    assert articles == Article(
        id="101",
        title="Harbour wall to be raised before the autumn storms",
        body="The town council voted on Monday to raise the harbour wall by sixty centimetres.\n\n"
        "Engineers & fishermen had asked for it since the flood two years ago.",
        url="https://example.org/harbour-wall",
        category="Environment & Climate",
        categories=("Environment & Climate", "Politics"),
        tags=("harbour", "floods"),
        authors=("Mara Lindqvist", "Okafor, Ben"),
        type="news",
        published_at=datetime(2024, 3, 4, 16, 30, tzinfo=UTC),
        updated_at=datetime(2024, 3, 5, 8, 0, tzinfo=UTC),
        lang="en",
        image_url="/media/wall.jpg",
    )


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["newsroom.jsonl", "newsroom.csv", "newsroom.parquet"])
def test_a_compressed_file_gives_the_same_articles_as_the_plain_file(
    tmp_path: Path, name: str, pack: Any
) -> None:
    plain = NEWSROOM / name
    if name.endswith("parquet"):
        plain = parquet(tmp_path / name, id=["a", "b"], title=["One", "Two"])
    packed = write(tmp_path / f"{name}.{'gz' if pack is gzip.compress else 'zst'}", pack(plain.read_bytes()))

    assert read(packed).articles == read(plain).articles


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_truncated_compressed_file_is_named(tmp_path: Path, suffix: str) -> None:
    lines = "".join(f'{{"id": {n}, "title": "Story {n * 7919}"}}\n' for n in range(5000)).encode()
    packed = gzip.compress(lines) if suffix == "gz" else zstandard.compress(lines)
    path = write(tmp_path / f"cut.jsonl.{suffix}", packed[: len(packed) // 2])

    with pytest.raises(CorpusError, match=rf"cut\.jsonl\.{suffix} .*truncated"):
        read(path)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "whole.parquet", id=["a"], title=["One"]).read_bytes()
    path = write(tmp_path / "cut.parquet", whole[:-20])

    with pytest.raises(CorpusError, match=r"cut\.parquet is not a complete Parquet file .* truncated"):
        read(path)


def test_a_parquet_file_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "bad.parquet", id=["a"] * 9, body=[f"{n} words" for n in range(9)])
    content = path.read_bytes()
    write(path, content[:4] + b"\xff" * 60 + content[64:])

    with pytest.raises(CorpusError, match=r"bad\.parquet"):
        read(path)


def test_a_file_without_a_known_suffix_is_recognized_by_its_content(tmp_path: Path) -> None:
    as_jsonl = write(tmp_path / "export1", (NEWSROOM / "newsroom.jsonl").read_bytes())
    as_csv = write(tmp_path / "export2", (NEWSROOM / "newsroom.csv").read_bytes())
    as_parquet = parquet(tmp_path / "export3", id=["a"], title=["One"])

    assert [len(read(path).articles) for path in (as_jsonl, as_csv, as_parquet)] == [3, 3, 1]


def test_a_file_in_no_known_format_is_refused_with_its_beginning(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="unknown format: it begins with b'Dear editor'"):
        read(write(tmp_path / "letter.txt", "Dear editor"))


def test_a_byte_order_mark_is_not_part_of_the_first_value(tmp_path: Path) -> None:
    as_csv = write(tmp_path / "a.csv", b"\xef\xbb\xbfid,title\n1,One\n")
    as_jsonl = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"id": "1", "title": "One"}\n')

    assert first(as_csv).id == first(as_jsonl).id == "1"


def test_utf16_that_is_not_csv_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is UTF-16 text; save it as UTF-8"):
        read(write(tmp_path / "a.jsonl", '{"id": 1, "title": "One"}\n'.encode("utf-16")))


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"[1, 2]", "no JSON object", r"\[1, 2\]"),
        (b'{"id": "1", "title": ', "not JSON", "title"),
        (b'{"id": "1", "title": "caf\xe9"}', "not UTF-8", "0xe9"),
        (b"[" * 100_000, "not JSON", "recursion"),
    ],
)
def test_a_line_that_is_not_an_object_is_refused_with_its_number(
    tmp_path: Path, line: bytes, reason: str, detail: str
) -> None:
    path = write(tmp_path / "a.jsonl", b'{"id": "0", "title": "Zero"}\n\n' + line + b"\n")

    report = read(path, max_bad=1).report

    (refusal,) = report.refused
    assert (refusal.row, refusal.reason) == (3, reason)
    assert re.search(detail, refusal.detail)


def test_parquet_without_an_id_column_is_refused_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no column 'id'; its columns: 'key', 'title'"):
        read(parquet(tmp_path / "a.parquet", key=["a"], title=["One"]))


def test_mapped_columns_are_read_by_their_names_in_the_file(tmp_path: Path) -> None:
    columns = {"id": "nid", "body": "content"}
    as_csv = write(tmp_path / "a.csv", "nid,content,body\n7,The text,another\n")
    as_jsonl = jsonl(tmp_path / "a.jsonl", {"nid": 7, "content": "The text", "body": "another"})
    as_parquet = parquet(tmp_path / "a.parquet", nid=[7], content=["The text"], body=["another"])

    for path in (as_csv, as_jsonl, as_parquet):
        assert (first(path, columns=columns).id, first(path, columns=columns).body) == ("7", "The text")


@pytest.mark.parametrize("name", ["newsroom.csv", "newsroom.jsonl"])
def test_a_mapping_to_a_missing_column_is_refused(name: str) -> None:
    with pytest.raises(CorpusError, match="'contnet'"):
        read(NEWSROOM / name, columns={"body": "contnet"})


def test_unknown_columns_are_counted(tmp_path: Path) -> None:
    as_jsonl = jsonl(tmp_path / "a.jsonl", {"id": 1, "title": "One", "mood": "calm"})
    as_parquet = parquet(tmp_path / "b.parquet", id=[2], title=["Two"], weather=[[0.5]], mood=["calm"])

    assert read(as_jsonl, as_parquet).report.unknown_columns == {"mood": 2, "weather": 1}


def test_empty_fields_and_nan_are_missing(tmp_path: Path) -> None:
    as_csv = write(tmp_path / "a.csv", "id,title,category,lang\n1,One,NaN,\n")
    as_parquet = parquet(tmp_path / "a.parquet", id=["1"], title=["One"], category=[float("nan")])
    as_jsonl = write(tmp_path / "a.jsonl", '{"id": 1, "title": "One", "category": NaN, "tags": null}\n')

    for path in (as_csv, as_parquet, as_jsonl):
        assert (first(path).category, read(path).report.fields_refused) == (None, {})


def test_parquet_dates_of_every_type_become_utc_moments(tmp_path: Path) -> None:
    moment = datetime(2024, 7, 1, 12, 0)  # noqa: DTZ001 - naive on purpose
    paris = pa.timestamp("us", "Europe/Paris")
    columns = {
        "aware": pa.array([datetime(2024, 7, 1, 10, tzinfo=UTC)], paris),
        "naive": pa.array([moment], pa.timestamp("us")),
        "nanoseconds": pa.array([1719828000_000_000_007 + 7200 * 10**9], pa.timestamp("ns")),
    }
    for name, column in columns.items():
        path = parquet(tmp_path / f"{name}.parquet", id=["1"], title=["One"], published_at=column)
        assert first(path, timezone="Europe/Paris").published_at == datetime(2024, 7, 1, 10, tzinfo=UTC)

    day = parquet(tmp_path / "day.parquet", id=["1"], title=["One"], published_at=[date(2024, 7, 1)])
    assert first(day).published_at == datetime(2024, 7, 1, tzinfo=UTC)


def test_an_out_of_range_parquet_timestamp_refuses_only_its_row(tmp_path: Path) -> None:
    for kind, far in ((pa.timestamp("us", "UTC"), 2**62), (pa.date32(), 2**30)):
        dates = pa.array([far, 0], pa.int64() if far > 2**31 else pa.int32()).cast(kind)
        path = parquet(tmp_path / "a.parquet", id=["1", "2"], title=["One", "Two"], published_at=dates)

        corpus = read(path, max_bad=0.5)

        assert [at.published_at for at in corpus.articles] == [datetime(1970, 1, 1, tzinfo=UTC)]
        assert corpus.report.refused_by_reason == {"published_at: impossible date": 1}
        assert str(far) in corpus.report.refused[0].detail


def test_parquet_text_that_is_not_utf8_refuses_only_its_row(tmp_path: Path) -> None:
    text = pa.Array.from_buffers(
        pa.string(), 2, [None, *pa.array([b"caf\xe9", b"tea"], pa.binary()).buffers()[1:]]
    )
    path = parquet(tmp_path / "a.parquet", id=["1", "2"], title=text)

    corpus = read(path, max_bad=1)

    assert [article.title for article in corpus.articles] == ["tea"]
    assert r"caf\xe9" in corpus.report.refused[0].detail


@pytest.mark.slow
def test_a_body_of_five_megabytes_is_read_whole(tmp_path: Path) -> None:
    body = "word " * 1_000_000 + "end"
    as_jsonl = jsonl(tmp_path / "a.jsonl", {"id": 1, "body": body, "lang": "en"})
    as_csv = write(tmp_path / "a.csv", f"id,body,lang\n1,{body},en\n")

    assert first(as_jsonl).body == first(as_csv).body == body


plain = st.text(
    st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"], exclude_characters="<>&[]|;"),
    max_size=40,
).map(lambda text: " ".join(text.split()))
names = st.lists(plain.filter(bool), unique=True, max_size=3).map(tuple)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2025, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
articles = st.builds(
    Article,
    id=st.text(string.ascii_letters + "/,% 日🗞", min_size=1, max_size=20),
    title=plain.filter(bool),
    body=plain,
    url=st.sampled_from([None, "https://example.org/a b?c=d", "/path", "//example.org/x"]),
    category=st.none(),
    categories=st.just(()),
    tags=names,
    authors=names,
    published_at=st.none() | moments,
    updated_at=st.none() | moments,
    lang=st.sampled_from(["en", "de", "ja"]),
)


@given(st.lists(articles, min_size=1, max_size=4, unique_by=lambda article: article.id), names)
@settings(
    max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_an_article_round_trips_as_json(
    tmp_path: Path, written: list[Article], categories: tuple[str, ...]
) -> None:
    rows = [
        {name: getattr(article, name) for name in Article.__slots__} | {"categories": categories}
        for article in written
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row, default=datetime.isoformat) + "\n" for row in rows), "utf-8")

    articles = read(path).articles

    assert [article.id.encode() for article in articles] == sorted(article.id.encode() for article in written)
    for article in written:
        again = next(other for other in articles if other.id == article.id)
        for name in ("title", "body", "url", "tags", "authors", "published_at", "updated_at", "lang"):
            assert getattr(again, name) == getattr(article, name)
        assert (again.categories, again.category) == (categories, categories[0] if categories else None)
