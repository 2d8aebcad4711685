"""The column `vector` of files and data frames."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.given_vectors import GivenVector
from recommender.training.readers.corpus import Corpus, read_articles

TITLES = ["Ferry stops in winter", "Ferry fares rise", "Court clears guard"]
VECTORS: list[list[float] | None] = [[3, 4], None, [0, -1]]
TABLE = pa.table({"id": ["0", "1", "2"], "title": TITLES, "vector": VECTORS})
EXPECTED = [GivenVector.of([3, 4]), None, GivenVector.of([0, -1])]


def written(folder: Path, kind: str) -> Any:
    path = folder / f"corpus.{kind}"
    match kind:
        case "jsonl":
            path.write_text("\n".join(map(json.dumps, TABLE.to_pylist())))
        case "csv":
            texts = ["" if vector is None else json.dumps(vector) for vector in VECTORS]
            pd.DataFrame({"id": [0, 1, 2], "title": TITLES, "vector": texts}).to_csv(path)
        case "parquet":
            pq.write_table(TABLE, path)
        case "fixed.parquet":
            kinds = pa.schema(
                [("id", pa.string()), ("title", pa.string()), ("vector", pa.list_(pa.float32(), 2))]
            )
            pq.write_table(TABLE.cast(kinds), path)
        case "pandas":
            return TABLE.to_pandas()  # with arrays of numpy in its cells
        case "arrow":
            return TABLE
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "fixed.parquet", "pandas", "arrow"])
def test_vectors_are_read_from_every_kind_of_table(tmp_path: Path, kind: str) -> None:
    corpus = read_articles(written(tmp_path, kind))

    assert [article.vector for article in corpus] == EXPECTED
    assert not corpus.report.fields_refused


def refused(folder: Path, *vectors: Any) -> tuple[Corpus, list[str]]:
    rows = [{"id": str(row), "title": TITLES[0], "vector": vector} for row, vector in enumerate(vectors)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    corpus = read_articles(folder / "corpus.jsonl")
    refusals = corpus.report.refused_fields
    return corpus, [f"{refusal.article_id} {refusal.reason}: {refusal.detail}" for refusal in refusals]


def test_a_vector_of_another_length_is_refused_but_not_its_article(tmp_path: Path) -> None:
    corpus, messages = refused(tmp_path, None, [1, 2], [1, 2, 3], [2, 1])

    assert [article.vector is None for article in corpus] == [True, False, True, False]
    assert messages == ["2 vector: another length: vector of article '2' has 3 numbers, that of '1' has 2"]


def test_a_malformed_vector_is_refused_with_its_value(tmp_path: Path) -> None:
    corpus, messages = refused(tmp_path, [0, 0], "abc", [1, "x"], [1, 2])

    assert [article.vector is None for article in corpus] == [True, True, True, False]
    assert messages == [
        "0 vector: no vector: vector is [0, 0] (list); all its numbers are 0",
        "1 vector: no vector: vector is 'abc'; the text is not a JSON list of numbers",
        "2 vector: no vector: vector is [1, 'x'] (list); it contains 'x', which is not a number",
    ]
