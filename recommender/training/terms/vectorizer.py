"""TF-IDF vectors from term counts, with scikit-learn's semantics, and the fitted estimator for notebooks.

`counting` counts the terms, not scikit-learn's vectorizer. The vocabulary, the weights and the vectors are
the same as those of a TfidfVectorizer with sublinear term frequency, which a test checks; the recipe can
raise the weights to a power, and reduce those of pairs and pieces of words. The fitted estimators are
published beside the arrays for notebooks. The service never opens them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.article import Article
from recommender.columns import Strings
from recommender.recipe import Terms
from recommender.text import TermRules, detect_language, plain_text
from recommender.training.kernels import (
    Float32s,
    Float64s,
    Int32s,
    Int64s,
    OutFloat32s,
    OutInt32s,
    OutInt64s,
    kernel,
    run_ranges,
)
from recommender.training.terms.counting import PAIR, PIECE, WORD, TermCounts

_RANGE_ENTRIES = 300_000  # in a range of terms, at least,
_TERM_RANGES = 64  # and at most this number of ranges


@dataclass(frozen=True)
class ArticleAnalyzer:
    """The analyzer of the fitted TfidfVectorizer, for an Article, a mapping with its fields, or a text."""

    rules: TermRules

    def __call__(self, document: Article | Mapping[str, Any] | str) -> list[str]:
        """Return the terms of a document; HTML is converted to text, and a missing language is detected."""
        if isinstance(document, Article):
            return self.rules.terms(document.title, document.body, document.lang)
        fields = {"body": document} if isinstance(document, str) else document
        title, body = (plain_text(str(fields.get(name) or "")) for name in ("title", "body"))
        lang = fields.get("lang") or detect_language(f"{title}\n{body}")
        return self.rules.terms(title, body, lang)


def term_weights(counts: TermCounts, idf: np.ndarray, recipe: Terms, piece_weight: float = 0.0) -> np.ndarray:
    """Return the weight of each term, (n_terms,) float32.

    It is the inverse document frequency `idf` to the power of `idf_power`, times `pair_weight` for a pair of
    words or `piece_weight` for a piece of a word.
    """
    by_kind = {WORD: 1.0, PAIR: recipe.pair_weight, PIECE: piece_weight}
    weights = idf**recipe.idf_power * np.array([by_kind[kind] for kind in sorted(by_kind)])[counts.kinds]
    return np.asarray(weights, dtype=np.float32)


def tfidf(counts: TermCounts, weights: np.ndarray, threads: int = 1) -> csr_array:
    """Return unit TF-IDF rows with sublinear term frequency, (n, n_terms) float32."""
    n, entries = len(counts.offsets) - 1, len(counts.columns)
    values = np.empty(entries, dtype=np.float32)
    factors = 1 + np.log(np.arange(1, int(counts.counts.max(initial=0)) + 1))  # of each count, from 1

    def fill(start: int, end: int) -> None:
        _fill_values(counts.offsets[start : end + 1], counts.columns, counts.counts, weights, factors, values)

    list(run_ranges(fill, n, threads))
    # Indices of 4 bytes, as in the published arrays, unless there are too many entries for them.
    offsets = counts.offsets.astype(np.int32 if entries <= np.iinfo(np.int32).max else np.int64)
    return csr_array((values, counts.columns, offsets), shape=(n, len(counts.terms)))


def by_term(rows: csr_array, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the offsets of the postings of each term, the rows and the values.

    They are the arrays of `rows.tocsc()`: (n_terms + 1,) int64, (entries,) int32 and (entries,) float32. The
    rows ascend for each term.
    """
    sizes = np.zeros(rows.shape[1] + 1, dtype=np.int64)
    _count_columns(rows.indices, sizes)
    offsets = np.cumsum(sizes)
    term_rows = np.empty(len(rows.indices), dtype=np.int32)
    values = np.empty(len(rows.data), dtype=rows.data.dtype)
    ranges = max(threads, min(_TERM_RANGES, len(rows.data) // _RANGE_ENTRIES))
    edges = np.searchsorted(offsets, np.linspace(0, offsets[-1], ranges + 1).astype(np.int64))
    edges[0], edges[-1] = 0, rows.shape[1]

    def fill(first: int, beyond: int) -> None:
        ends = offsets[:-1].copy()
        starts = rows.indptr[:-1].astype(np.int64)
        for at in range(first, beyond):
            _fill_postings(
                rows.indptr, rows.indices, rows.data, edges[at], edges[at + 1], at == first,
                starts, ends, term_rows, values,
            )  # fmt: skip

    list(run_ranges(fill, ranges, threads, ranges_per_thread=1))
    return offsets, term_rows, values


@kernel
def _fill_values(
    offsets: Int64s,
    columns: Int32s,
    counts: Int32s,
    weights: Float32s,
    factors: Float64s,
    values: OutFloat32s,
) -> None:
    """Write the TF-IDF values of consecutive rows; `offsets` are theirs."""
    for row in range(len(offsets) - 1):
        squares = 0.0
        for at in range(offsets[row], offsets[row + 1]):
            squares += (factors[counts[at] - 1] * np.float64(weights[columns[at]])) ** 2
        length = np.sqrt(squares)
        for at in range(offsets[row], offsets[row + 1]):
            values[at] = factors[counts[at] - 1] * np.float64(weights[columns[at]]) / length


@kernel
def _count_columns(columns: Int32s, sizes: OutInt64s) -> None:
    """Add the number of entries of each column to sizes[column + 1]."""
    for column in columns:
        sizes[column + 1] += 1


@kernel
def _fill_postings(
    offsets: Int32s,
    columns: Int32s,
    row_values: Float32s,
    first: int,
    beyond: int,
    is_first: bool,  # noqa: FBT001 kernels take no keywords
    starts: OutInt64s,
    ends: OutInt64s,
    term_rows: OutInt32s,
    values: OutFloat32s,
) -> None:
    """Write the postings of terms first..beyond at `ends`, and move these.

    `starts` is where the terms of the range begin in each row; it is moved to where those of the next begin.
    A range is small enough for the processor's cache.
    """
    for row in range(len(starts)):
        at, end = starts[row], offsets[row + 1]
        while is_first and at < end and columns[at] < first:
            at += 1
        while at < end and columns[at] < beyond:
            place = ends[columns[at]]
            term_rows[place], values[place] = row, row_values[at]
            ends[columns[at]] = place + 1
            at += 1
        starts[row] = at


@dataclass(frozen=True)
class PackedVectorizer:
    """The arguments of `fitted_vectorizer`, which unpickling calls: its result takes seconds to pickle."""

    arguments: tuple[TermRules, Strings, np.ndarray, int, int]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the function that unpickling calls, and its arguments."""
        return fitted_vectorizer, self.arguments


def fitted_vectorizer(
    rules: TermRules, terms: Iterable[str], weights: np.ndarray, min_df: int, max_df: int
) -> TfidfVectorizer:
    """Return a TfidfVectorizer as if fitted on the articles, but with these weights in place of its idf.

    With `idf_power` and `pair_weight` 1, the weights of words and pairs equal scikit-learn's idf.
    """
    vectorizer = TfidfVectorizer(
        analyzer=ArticleAnalyzer(rules), sublinear_tf=True, min_df=min_df, max_df=max_df, dtype=np.float64
    )
    vectorizer.vocabulary_ = {term: column for column, term in enumerate(terms)}
    vectorizer.fixed_vocabulary_ = False
    vectorizer.idf_ = weights.astype(np.float64)
    return vectorizer
