"""The TF-IDF rows of articles by a vocabulary that was fitted before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recommender.article import Article
from recommender.embedding import Vocabulary
from recommender.fixed_point import round_rows
from recommender.text import TermRules
from recommender.training.terms.byte_order import places_in
from recommender.training.terms.counting import WORD, TermCounts, count_terms
from recommender.training.terms.vectorizer import tfidf


@dataclass(frozen=True)
class KnownTerms:
    """The terms of articles that a vocabulary contains, and how many words it does not contain."""

    rows: csr_array  # (n, n_terms) float32, TF-IDF in fixed point
    words: np.ndarray  # (n,) int64, the number of distinct words of each article
    unknown: np.ndarray  # (n,) int64, those of them that the vocabulary does not contain

    @classmethod
    def of(
        cls, articles: Sequence[Article], vocabulary: Vocabulary, rules: TermRules, threads: int
    ) -> "KnownTerms":
        """Count the terms of the articles; the row of each is the same in any selection of articles."""
        n, n_terms = len(articles), len(vocabulary.terms)
        if not n:
            nothing = np.zeros(0, dtype=np.int64)
            empty = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int32)
            return cls(csr_array(empty, shape=(0, n_terms)), nothing, nothing)
        counts = count_terms(articles, rules, 1, n, threads)
        column_of = places_in(counts.terms, vocabulary.terms)
        owners = np.repeat(np.arange(n), np.diff(counts.offsets))
        columns, is_word = column_of[counts.columns], (counts.kinds == WORD)[counts.columns]
        known = columns >= 0
        known_counts = TermCounts(
            terms=vocabulary.terms,
            df=np.bincount(columns[known], minlength=n_terms),
            offsets=np.concatenate([[0], np.cumsum(known)])[counts.offsets],
            columns=columns[known].astype(np.int32),
            counts=counts.counts[known],
            kinds=np.zeros(n_terms, dtype=np.uint8),  # the weights are known
            distinct=counts.distinct,
            forms={},
        )
        rows = tfidf(known_counts, np.asarray(vocabulary.weights), threads)
        rows.data = round_rows(rows.data, rows.indptr)
        words = np.bincount(owners[is_word], minlength=n)
        return cls(rows, words, np.bincount(owners[is_word & ~known], minlength=n))
