"""Run one peer on a corpus: `python -m tests.benchmarks.training.peers NAME CORPUS.jsonl K STEP LISTS.npy`.

A peer finds the k most related articles of every STEP-th article with the library that a user would choose
instead. It is a process of its own, from start to exit, and imports only its own library. It prints how long
preparation and queries took as JSON, and writes the lists.
"""

# ruff: noqa: PLC0415  a peer loads only its own library, and some are not installed

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_BATCH = 500  # queries of brute force at a time
_NO_ROW = -1
_MORE_LIKE_THIS = {"min_doc_frequency": 2, "min_term_frequency": 1, "max_query_terms": 25}
_HEAP_BYTES = 512 << 20  # of tantivy's writer

Lists = np.ndarray  # (queries, k) int32, the best row first, padded with -1
Search = Callable[[np.ndarray, int], Lists]  # from rows and k


@dataclass(frozen=True)
class Peer:
    """A peer: what it is, which packages it needs, and how it prepares to search."""

    title: str
    modules: Mapping[str, str]  # that are imported → their names for pip
    prepare: Callable[[Sequence[str]], Search]  # from the texts

    def missing(self) -> list[str]:
        """Return the packages, by their names for pip, that are not installed."""
        return [package for module, package in self.modules.items() if find_spec(module) is None]


def brute_force(texts: Sequence[str]) -> Search:
    """Prepare scikit-learn's brute-force neighbours."""
    from sklearn.neighbors import NearestNeighbors

    vectors = _tfidf(texts)
    nearest = NearestNeighbors(metric="cosine", algorithm="brute", n_jobs=_cores()).fit(vectors)

    def search(rows: np.ndarray, k: int) -> Lists:
        parts = [
            nearest.kneighbors(
                vectors[rows[start : start + _BATCH]], min(k + 1, len(texts)), return_distance=False
            )
            for start in range(0, len(rows), _BATCH)
        ]
        return _lists([part for block in parts for part in block], rows, k)

    return search


def sparse_product(module: str) -> Callable[[Sequence[str]], Search]:
    """Return how to prepare a library that multiplies sparse matrices and keeps the best of each row."""

    def prepare(texts: Sequence[str]) -> Search:
        sp_matmul_topn: Callable[..., Any] = importlib.import_module(module).sp_matmul_topn
        vectors = _tfidf(texts)
        transposed = vectors.T.tocsr()

        def search(rows: np.ndarray, k: int) -> Lists:
            best = sp_matmul_topn(vectors[rows], transposed, top_n=k + 1, sort=True, n_threads=_cores())
            return _lists(np.split(best.indices, best.indptr[1:-1]), rows, k)

        return search

    return prepare


def more_like_this(texts: Sequence[str]) -> Search:
    """Prepare tantivy's index and its MoreLikeThis query of 25 terms."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=True, tokenizer_name="en_stem")
    builder.add_integer_field("row", stored=True)
    index = tantivy.Index(builder.build())
    writer = index.writer(heap_size=_HEAP_BYTES, num_threads=_cores())
    for row, text in enumerate(texts):
        writer.add_document(tantivy.Document(text=text, row=row))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()
    # Addresses are looked up once: to open every article that was found would take most of the time.
    address_of, row_of = {}, {}
    for _, address in searcher.search(tantivy.Query.all_query(), len(texts)).hits:
        row = searcher.doc(address)["row"][0]
        address_of[row], row_of[address.segment_ord, address.doc] = address, row

    def search(rows: np.ndarray, k: int) -> Lists:
        found = []
        for row in rows.tolist():
            query = tantivy.Query.more_like_this_query(address_of[row], **_MORE_LIKE_THIS)
            hits = searcher.search(query, k + 1).hits
            found.append([row_of[address.segment_ord, address.doc] for _, address in hits])
        return _lists(found, rows, k)

    return search


_SKLEARN = {"sklearn": "scikit-learn"}
PEERS: dict[str, Peer] = {
    "scikit-learn": Peer("scikit-learn brute force", _SKLEARN, brute_force),
    "sparse_dot_topn": Peer(
        "scikit-learn + sparse_dot_topn",
        _SKLEARN | {"sparse_dot_topn": "sparse-dot-topn"},
        sparse_product("sparse_dot_topn"),
    ),
    "sp_matmul_rs": Peer(
        "scikit-learn + sp_matmul_rs",
        _SKLEARN | {"sp_matmul_rs": "sp-matmul-rs"},
        sparse_product("sp_matmul_rs"),
    ),
    "tantivy": Peer("tantivy MoreLikeThis", {"tantivy": "tantivy"}, more_like_this),
}


def run(name: str, corpus: Path, k: int, query_step: int, lists: Path) -> dict[str, float]:
    """Run a peer, write its lists to `lists`, and return its times and numbers of articles and queries."""
    with corpus.open(encoding="utf-8") as lines:
        articles = map(json.loads, lines)
        texts = [f"{article.get('title', '')}. {article.get('body', '')}" for article in articles]
    rows = np.arange(0, len(texts), query_step)
    start, cpu = time.perf_counter(), time.process_time()
    search = PEERS[name].prepare(texts)
    prepared, prepared_cpu = time.perf_counter(), time.process_time()
    found = search(rows, k)
    end, end_cpu = time.perf_counter(), time.process_time()
    np.save(lists, found)
    return {
        "articles": len(texts),
        "queries": len(rows),
        "prepare_seconds": prepared - start,
        "query_seconds": end - prepared,
        "prepare_cpu_seconds": prepared_cpu - cpu,
        "query_cpu_seconds": end_cpu - prepared_cpu,
    }


def _tfidf(texts: Sequence[str]) -> Any:
    """Return scikit-learn's TF-IDF with usual options, float32 CSR."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    options: dict[str, Any] = {"stop_words": "english", "sublinear_tf": True, "min_df": 2, "max_df": 0.5}
    return TfidfVectorizer(**options, dtype=np.float32).fit_transform(texts)


def _lists(found: Sequence[Any], rows: np.ndarray, k: int) -> Lists:
    """Return k rows for each query, without the query itself."""
    lists = np.full((len(rows), k), _NO_ROW, dtype=np.int32)
    for items, row, ranked in zip(lists, rows, found, strict=True):
        others = [other for other in ranked if other != row][:k]
        items[: len(others)] = others
    return lists


def _cores() -> int:
    allowed = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(allowed(0)) if allowed else os.cpu_count() or 1


if __name__ == "__main__":
    name, corpus, k, query_step, lists = sys.argv[1:]
    print(json.dumps(run(name, Path(corpus), int(k), int(query_step), Path(lists))))  # noqa: T201 the result
