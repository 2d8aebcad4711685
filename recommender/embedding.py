"""Where an article lies: unit TF-IDF and latent coordinates, computed from arrays alone.

The counterpart of the estimators fitted in training: an embedding equals scikit-learn's `transform`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.text import TermRules


@dataclass(frozen=True)
class Embedding:
    """One article as a point: its terms, and its place in the latent space."""

    columns: np.ndarray  # (m,) int32, ascending term numbers
    values: np.ndarray  # (m,) float32, of unit length unless empty
    latent: np.ndarray  # (n_components,) float32, of unit length unless all zero

    def cosine(self, other: "Embedding") -> float:
        """Return the cosine of the terms of two points."""
        _, ours, theirs = np.intersect1d(self.columns, other.columns, assume_unique=True, return_indices=True)
        return float(self.values[ours].astype(np.float64) @ other.values[theirs])

    def moved(self, other: "Embedding", weight: float) -> "Embedding":
        """Return the mean of this point, of weight 1, and another of a weight; no longer of unit length."""
        columns = np.union1d(self.columns, other.columns)
        values = np.zeros(len(columns))
        values[np.searchsorted(columns, self.columns)] = self.values
        values[np.searchsorted(columns, other.columns)] += weight * other.values.astype(np.float64)
        latent = self.latent.astype(np.float64) + weight * other.latent.astype(np.float64)
        mean = 1 + weight
        return Embedding(columns, (values / mean).astype(np.float32), (latent / mean).astype(np.float32))


NONE = Strings.of(())


@dataclass(frozen=True)
class Vocabulary:
    """The terms of a corpus, how much each tells, and how the latent space is made of them."""

    terms: Strings  # sorted by their bytes
    weights: np.ndarray  # (n_terms,) float32, how much each term tells
    latent_terms: np.ndarray  # (n_latent_terms,) int32, ascending term numbers that the latent space sees
    components: np.ndarray  # (n_latent_terms, n_components) float32
    stems: Strings = NONE  # sorted by their bytes: those that stand for another word
    forms: Strings = NONE  # the word that each stands for most often

    def spelt(self, term: str) -> str:
        """Return a term as articles spell it: each stem as the word that it stands for most often."""
        rows = ((part, self.stems.find(part)) for part in term.split(" "))
        return " ".join(part if row is None else self.forms[row] for part, row in rows)

    def embed(self, article: Article, rules: TermRules) -> Embedding:
        """Return where the article lies; unknown terms count for nothing."""
        return self.weighed(Counter(rules.terms(article.title, article.body, article.lang)))

    def weighed(self, counts: Mapping[str, int]) -> Embedding:
        """Return where a text of so many terms lies; unknown ones count for nothing."""
        known = sorted((row, n) for term, n in counts.items() if (row := self.terms.find(term)) is not None)
        columns = np.array([row for row, _ in known], dtype=np.int32)
        tf = 1 + np.log(np.array([n for _, n in known], dtype=np.float64))
        values = unit(tf * self.weights[columns]).astype(np.float32)
        return Embedding(columns, values, self._latent(columns, values))

    def _latent(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        if not len(self.latent_terms) or not len(columns):
            return np.zeros(self.components.shape[1], dtype=np.float32)
        at = np.minimum(np.searchsorted(self.latent_terms, columns), len(self.latent_terms) - 1)
        seen = self.latent_terms[at] == columns
        # float64, for the order of summation differs from training's
        projected = values[seen].astype(np.float64) @ self.components[at[seen]].astype(np.float64)
        return unit(projected).astype(np.float32)


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector at length 1, or as it is when all its entries are zero."""
    length = np.sqrt(np.dot(vector, vector))
    return vector / length if length > 0 else vector
