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
from recommender.training.terms.counting import PAIR, PIECE, WORD, TermCounts


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


def term_weights(counts: TermCounts, recipe: Terms, piece_weight: float = 0.0) -> np.ndarray:
    """Return the weight of each term, (n_terms,) float32.

    It is the inverse document frequency, smoothed as in scikit-learn, to the power of `idf_power`, times
    `pair_weight` for a pair of words or `piece_weight` for a piece of a word.
    """
    n = len(counts.offsets) - 1
    idf = 1 + np.log((1 + n) / (1 + counts.df))
    by_kind = {WORD: 1.0, PAIR: recipe.pair_weight, PIECE: piece_weight}
    weights = idf**recipe.idf_power * np.array([by_kind[kind] for kind in sorted(by_kind)])[counts.kinds]
    return np.asarray(weights, dtype=np.float32)


def tfidf(counts: TermCounts, weights: np.ndarray) -> csr_array:
    """Return unit TF-IDF rows with sublinear term frequency, (n, n_terms) float32."""
    values = (1 + np.log(counts.counts)) * weights[counts.columns]
    lengths = np.diff(counts.offsets)
    filled = np.flatnonzero(lengths)
    squares = np.zeros(len(lengths))
    squares[filled] = np.add.reduceat(values**2, counts.offsets[filled])
    values /= np.repeat(np.sqrt(squares), lengths)
    shape = (len(lengths), len(counts.terms))
    return csr_array((values.astype(np.float32), counts.columns, counts.offsets), shape=shape)


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
