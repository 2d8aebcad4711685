"""JSON is read in all shapes: lines, arrays, objects with a list of posts, and objects one after another."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.training.formats.files import Limits, TooLargeError, limited
from recommender.training.formats.json_documents import MAX_DEPTH
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = {"id": "1", "title": "Ferry"}, {"id": "2", "title": "Tram"}


def read(path: Path, content: Any, **options: Any) -> Corpus:
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return read_articles(path, now=NOW, max_bad=1, **options)


def ids(corpus: Corpus) -> list[str]:
    return [article.id for article in corpus.articles]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([ONE, TWO]),
        json.dumps([ONE, TWO], indent=1),
        f"[\n{json.dumps(ONE)},\n{json.dumps(TWO)}\n]\n",
        "\ufeff" + json.dumps([ONE, TWO], indent=2),
        json.dumps({"posts": [ONE, TWO], "meta": {"pages": 1}}),
        json.dumps({"count": 2, "rows": [ONE, TWO]}, indent=4),
        json.dumps({"anything": [ONE, TWO]}),
        json.dumps({"response": {"docs": [ONE, TWO]}}, indent=1),
        json.dumps({"data": {"posts": {"edges": [{"node": ONE}, {"node": TWO, "cursor": "x"}]}}}),
        json.dumps({"hits": {"total": 2, "hits": [{"_id": i["id"], "_source": i} for i in (ONE, TWO)]}}),
        json.dumps(ONE, indent=2) + "\n" + json.dumps(TWO, indent=2),
        json.dumps(ONE) + "\n" + json.dumps(TWO) + "\n",
        "\n" + json.dumps(ONE) + "\n\n" + json.dumps(TWO),
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".txt"])
def test_all_shapes_give_the_same_articles(tmp_path: Path, content: str, suffix: str) -> None:
    assert ids(read(tmp_path / f"a{suffix}", content)) == ["1", "2"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_single_object_is_an_article_even_if_it_contains_a_list(tmp_path: Path, indent: int | None) -> None:
    post = ONE | {"authors": [{"name": "Ann"}, {"name": "Ben"}]}

    (article,) = read(tmp_path / "a.json", json.dumps(post, indent=indent)).articles

    assert article.authors == ("Ann", "Ben")


def test_a_packed_array_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps([ONE, TWO]).encode()))

    assert ids(read_articles(path)) == ["1", "2"]


def test_an_element_that_is_no_object_is_refused_with_its_position(tmp_path: Path) -> None:
    report = read(tmp_path / "a.json", [ONE, 7, [TWO], None]).report

    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [
        (2, "no JSON object"),
        (3, "no JSON object"),
        (4, "no JSON object"),
    ]


def test_an_element_that_is_nested_too_deeply_is_refused_alone(tmp_path: Path) -> None:
    deep = '{"id": 3, "x": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}"

    corpus = read(tmp_path / "a.json", f"[{json.dumps(ONE)}, {deep}, {json.dumps(TWO)}]")

    assert ids(corpus) == ["1", "2"]
    assert corpus.report.refused_by_reason == {"nested too deeply": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"id": 1, "title": "One"}, {"id": 2, "ti', r"not valid JSON .*in record 2\).*truncated"),
        ('[\n{"id": 1}\n{"id": 2}\n]', r"not valid JSON .*in record 2"),
        ('[{"id": 1, "title": NaN}]', r"not valid JSON .*in record 1"),
        ('{"a": [{"x": 1}], "b": [{"y": 1}]}', r"several lists: a, b; .*jq -c '\.a\[\]' a\.json"),
        (
            '{"code": "rest_no_route", "message": "No route", "data": {"status": 404}}',
            "error response .*No route",
        ),
        ('{"errors": [{"message": "Authorization failed"}]}', "error response of an API"),
        ('{\n"name": "site",\n"version": {"a": 1}\n}', "no list of posts; its keys: 'name'"),
        ("callback([1]);", "is not JSON: it begins with b'callback"),
        ('[{"title": "One"}]', "1 rows read, refused missing id"),
    ],
)
def test_a_document_without_posts_is_refused_once_with_the_cause(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read(tmp_path / "a.json", content)


@pytest.mark.parametrize("line", ['{"id": 1, "title": "cut', "warning: 2 posts", '{"id":'])
def test_a_broken_first_line_of_json_lines_refuses_that_line_only(tmp_path: Path, line: str) -> None:
    corpus = read(tmp_path / "a.jsonl", f"{line}\n{json.dumps(TWO)}\n")

    assert ids(corpus) == ["2"]
    assert corpus.report.refused_by_reason == {"not JSON": 1}


def test_columns_are_mapped_in_a_document(tmp_path: Path) -> None:
    document = {"items": [{"nid": 5, "headline": "Ferry", "mood": "calm"}]}

    corpus = read(tmp_path / "a.json", document, columns={"id": "nid", "title": "headline"})

    assert ids(corpus) == ["5"]
    assert corpus.report.unknown_columns == {"mood": 1}
    with pytest.raises(CorpusError, match="no field 'node' in any record"):
        read(tmp_path / "a.json", document, columns={"id": "node", "title": "headline"})


def test_drafts_in_a_document_are_skipped(tmp_path: Path) -> None:
    corpus = read(tmp_path / "a.json", [ONE | {"status": "published"}, TWO | {"status": "draft"}])

    assert ids(corpus) == ["1"]
    assert corpus.report.skipped == {"draft": 1}


def test_objects_in_lists_of_names_are_replaced_by_their_names(tmp_path: Path) -> None:
    post = ONE | {"category": {"id": 4, "name": "News"}, "tags": [{"label": "Sea"}, "Harbour"]}
    post |= {"authors": {"nodes": [{"name": "Ann"}]}}

    (article,) = read(tmp_path / "a.json", [post]).articles

    assert (article.category, article.tags, article.authors) == ("News", ("Sea", "Harbour"), ("Ann",))


@pytest.mark.slow
def test_the_limit_applies_to_each_record_of_a_document(tmp_path: Path) -> None:
    small = [{"id": str(n), "title": "x" * 100_000} for n in range(15)]
    path = tmp_path / "a.json"

    with limited(Limits(row_bytes=1 << 20)):
        assert len(read(path, {"posts": small}).articles) == 15
        with pytest.raises(TooLargeError, match=r"a\.json: record 3 has .*--max-row-mib"):
            read(path, {"posts": [ONE, TWO, {"id": "3", "title": "x" * 1_300_000}]})
        with pytest.raises(TooLargeError, match="--max-row-mib"):
            read(path, '{"posts": [{"id": ' + "[" * 1_300_000)


def test_a_date_that_proves_the_order_of_day_and_month_counts_in_a_document(tmp_path: Path) -> None:
    posts = [ONE | {"published_at": "25/03/2024"}, TWO | {"published_at": "01/02/2024"}]

    assert read(tmp_path / "a.json", posts).articles[1].published_at == datetime(2024, 2, 1, tzinfo=UTC)
