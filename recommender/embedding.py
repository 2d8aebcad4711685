"""The embedding of an article: its TF-IDF and latent vectors, computed from the model's arrays alone.

An embedding equals the result of `transform` of the scikit-learn estimators fitted in training, rounded to
fixed point (see `fixed_point`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.fixed_point import rounded
from recommender.text import TermRules

_BLOCK = 1 << 15  # postings that are added at a time


@dataclass(frozen=True)
class Embedding:
    """The vectors of one article: sparse TF-IDF, and dense in the latent space, with its given vector."""

    columns: np.ndarray  # (m,) int32, ascending term numbers
    values: np.ndarray  # (m,) float32, nearly of unit length unless empty
    latent: np.ndarray  # (n_components,) float32, nearly of unit length unless all zero
    rescale: float = 1.0  # as in `Vectors`

    def cosine(self, other: "Embedding") -> float:
        """Return the cosine of the two TF-IDF vectors."""
        ours, theirs = self.shared(other)
        return float(self.values[ours].astype(np.float64) @ other.values[theirs])

    def shared(self, other: "Embedding") -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the shared terms in this embedding and in the other one, ascending."""
        if not len(self.columns):
            return (nothing := np.empty(0, dtype=np.int64)), nothing
        places = np.minimum(np.searchsorted(self.columns, other.columns), len(self.columns) - 1)
        theirs = np.flatnonzero(self.columns[places] == other.columns)
        return places[theirs], theirs

    def similarity(self, other: "Embedding", weight: float) -> float:
        """Return the similarity to another embedding, as `Vectors.scores` does."""
        latent = self.latent.astype(np.float64) @ other.latent.astype(np.float64)
        similarity = (1 - weight) * self.cosine(other) + weight * float(latent)
        return similarity * max(self.rescale, other.rescale)

    def moved(self, others: Sequence[tuple["Embedding", float]]) -> "Embedding":
        """Return the mean of this embedding (weight 1) and others with their weights, not normalized.

        All of them must have a given vector, or none.
        """
        columns = np.unique(np.concatenate([self.columns, *(other.columns for other, _ in others)]))
        values, latent, total = np.zeros(len(columns)), self.latent.astype(np.float64), 1.0
        values[np.searchsorted(columns, self.columns)] = self.values
        for other, weight in others:
            values[np.searchsorted(columns, other.columns)] += weight * other.values.astype(np.float64)
            latent += weight * other.latent.astype(np.float64)
            total += weight
        values, latent = (values / total).astype(np.float32), (latent / total).astype(np.float32)
        return replace(self, columns=columns, values=values, latent=latent)

    def heaviest(self, n: int) -> "Embedding":
        """Return the embedding with its n largest terms alone; of equals, the first."""
        if len(self.columns) <= n:
            return self
        columns = np.sort(np.argsort(-self.values, kind="stable")[:n])
        return replace(self, columns=self.columns[columns], values=self.values[columns])


NO_STRINGS = Strings.of(())


@dataclass(frozen=True)
class Vocabulary:
    """The terms of a corpus, their weights, and the projection into the latent space."""

    terms: Strings  # sorted by their bytes
    weights: np.ndarray  # (n_terms,) float32, inverse document frequency with the recipe's adjustments
    latent_terms: np.ndarray  # (n_latent_terms,) int32, ascending term numbers used by the latent space
    components: np.ndarray  # (n_latent_terms, n_components) float32
    stems: Strings = NO_STRINGS  # sorted by their bytes: the stems that differ from their most frequent word
    forms: Strings = NO_STRINGS  # the most frequent word of each of these stems

    def spelt(self, term: str) -> str:
        """Return a term with each stem replaced by the word that it represents most often."""
        rows = ((part, self.stems.find(part)) for part in term.split(" "))
        return " ".join(part if row is None else self.forms[row] for part, row in rows)

    def embed(self, article: Article, rules: TermRules) -> Embedding:
        """Return the embedding of an article; unknown terms are ignored."""
        return self.embed_counts(Counter(rules.terms(article.title, article.body, article.lang)))

    def embed_counts(self, counts: Mapping[str, int]) -> Embedding:
        """Return the embedding of a text from its term counts; unknown terms are ignored."""
        terms = sorted(counts)  # their rows are in the same order
        rows = self.terms.find_all(terms)
        known = rows >= 0
        columns = rows[known].astype(np.int32)
        tf = 1 + np.log(np.array([counts[term] for term in terms], dtype=np.float64)[known])
        values = rounded(unit(tf * self.weights[columns]))
        return Embedding(columns, values, self._latent(columns, values))

    def _latent(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        if not len(self.latent_terms) or not len(columns):
            return np.zeros(self.components.shape[1], dtype=np.float32)
        places = np.minimum(np.searchsorted(self.latent_terms, columns), len(self.latent_terms) - 1)
        used = self.latent_terms[places] == columns
        # In float64, because training adds up in a different order.
        projected = values[used].astype(np.float64) @ self.components[places[used]].astype(np.float64)
        return rounded(unit(projected))


def unit(vector: np.ndarray) -> np.ndarray:
    """Return the vector scaled to length 1, or unchanged if it is all zero."""
    length = np.sqrt(np.dot(vector, vector))
    return vector / length if length > 0 else vector


def sums_of_postings(
    rows: np.ndarray, values: np.ndarray, starts: np.ndarray, ends: np.ndarray, weights: np.ndarray, n: int
) -> np.ndarray:
    """Return the sum for each of n rows, (n,) float64, over lists of postings, each times its weight.

    List i is `rows[starts[i]:ends[i]]` and `values[starts[i]:ends[i]]`.
    """
    lengths, entries = ends - starts, np.cumsum(ends - starts)
    spans, sums, first = list(map(slice, starts.tolist(), ends.tolist())), np.zeros(n), 0
    size = min(int(lengths.sum()), _BLOCK + int(lengths.max(initial=0)))
    block_rows, products = np.empty(size, dtype=np.int64), np.empty(size)
    while first < len(spans):
        # The memory of a block is used again, and the types are those of the additions.
        before = entries[first] - lengths[first]
        end = max(first + 1, int(np.searchsorted(entries, before + _BLOCK, side="right")))
        used = slice(int(entries[end - 1] - before))
        np.concatenate([rows[span] for span in spans[first:end]], out=block_rows[used])
        np.concatenate([values[span] for span in spans[first:end]], out=products[used])
        products[used] *= np.repeat(weights[first:end], lengths[first:end])
        np.add.at(sums, block_rows[used], products[used])
        first = end
    return sums
