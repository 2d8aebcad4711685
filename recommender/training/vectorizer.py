"""TF-IDF with scikit-learn's semantics, from terms counted in bulk; and its estimator for notebooks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.article import Article
from recommender.text import TermRules, detect_language, plain_text
from recommender.training.terms import TermCounts


@dataclass(frozen=True)
class ArticleAnalyzer:
    """The analyzer of the fitted TfidfVectorizer: an Article, a mapping with its fields, or a raw text."""

    rules: TermRules

    def __call__(self, document: Article | Mapping[str, Any] | str) -> list[str]:
        """Return the terms of a document; HTML becomes text, and a missing language is detected."""
        if isinstance(document, Article):
            return self.rules.terms(document.title, document.body, document.lang)
        fields = {"body": document} if isinstance(document, str) else document
        title, body = (plain_text(str(fields.get(name) or "")) for name in ("title", "body"))
        lang = fields.get("lang") or detect_language(f"{title}\n{body}")
        return self.rules.terms(title, body, lang)


def idf_of(df: np.ndarray, n: int) -> np.ndarray:
    """Return the smoothed inverse document frequency as scikit-learn defines it, (n_terms,) float32."""
    return (1 + np.log((1 + n) / (1 + df))).astype(np.float32)


def tfidf(counts: TermCounts, idf: np.ndarray) -> csr_array:
    """Return unit TF-IDF rows with sublinear term frequency, (n, n_terms) float32."""
    values = (1 + np.log(counts.counts)) * idf[counts.columns]
    lengths = np.diff(counts.offsets)
    filled = np.flatnonzero(lengths)
    squares = np.zeros(len(lengths))
    squares[filled] = np.add.reduceat(values**2, counts.offsets[filled])
    values /= np.repeat(np.sqrt(squares), lengths)
    shape = (len(lengths), len(counts.terms))
    return csr_array((values.astype(np.float32), counts.columns, counts.offsets), shape=shape)


def fitted_vectorizer(
    rules: TermRules, terms: Iterable[str], idf: np.ndarray, min_df: int, max_df: int
) -> TfidfVectorizer:
    """Return the TfidfVectorizer that scikit-learn's own `fit` on the articles would have come to."""
    vectorizer = TfidfVectorizer(
        analyzer=ArticleAnalyzer(rules), sublinear_tf=True, min_df=min_df, max_df=max_df, dtype=np.float64
    )
    vectorizer.vocabulary_ = {term: column for column, term in enumerate(terms)}
    vectorizer.fixed_vocabulary_ = False
    vectorizer.idf_ = idf.astype(np.float64)
    return vectorizer
