"""The latent space of a corpus (LSA), and topics in it that people can read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from recommender.columns import Strings
from recommender.model import Topic
from recommender.recipe import Topics
from recommender.training.compiled import kernel, spread

_POWER_ITERATIONS = 2  # of the randomized decomposition; more did not change the lists' quality
_TOPIC_TERMS = 8


@dataclass(frozen=True)
class LatentSpace:
    """A truncated singular value decomposition of the TF-IDF rows."""

    terms: np.ndarray  # (n_latent_terms,) int32, ascending columns of the TF-IDF rows
    components: np.ndarray  # (n_latent_terms, n_components) float32
    estimator: TruncatedSVD | None  # None where the corpus is too small for one

    def project(self, rows: csr_array, threads: int) -> np.ndarray:
        """Return the rows in the latent space, (n, n_components) float32, of unit length or zero."""
        latent = np.zeros((rows.shape[0], self.components.shape[1]), dtype=np.float32)
        place = np.full(rows.shape[1], -1, dtype=np.int32)
        place[self.terms] = np.arange(len(self.terms))

        def stripe(start: int, end: int) -> None:
            _project(rows.indptr, rows.indices, rows.data, place, self.components, start, end, latent)

        list(spread(stripe, rows.shape[0], threads))
        return latent


def fit_latent_space(rows: csr_array, df: np.ndarray, recipe: Topics, seed: int) -> LatentSpace:
    """Fit the latent space on the terms of highest df, and on a sample where articles are many.

    The number of components is the recipe's, but at most a quarter of the articles.
    """
    n = rows.shape[0]
    frequent = np.sort(np.argsort(-df, kind="stable")[: recipe.max_terms]).astype(np.int32)
    count = min(recipe.components, n // 4, len(frequent) - 1)
    if count < 1:
        return LatentSpace(np.zeros(0, np.int32), np.zeros((0, 0), np.float32), None)
    chosen = np.arange(n)
    if n > recipe.max_fit_articles:
        drawn = np.random.default_rng(seed).choice(n, recipe.max_fit_articles, replace=False)
        chosen = np.sort(drawn)
    svd = TruncatedSVD(count, n_iter=_POWER_ITERATIONS, random_state=seed)
    # One BLAS thread, for more would add up in an order of their own; identical articles have no variance.
    with threadpool_limits(1), np.errstate(divide="ignore", invalid="ignore"):
        svd.fit(rows[chosen][:, frequent])
    components = np.ascontiguousarray(svd.components_.T, dtype=np.float32)
    return LatentSpace(frequent, components, svd)


def topic_count(n: int, recipe: Topics) -> int:
    """Return how many topics a corpus of n articles gets: the recipe's, or 1.2 n^0.4 between 20 and 150."""
    wanted = recipe.count or int(np.clip(1.2 * n**0.4, 20, 150))
    return min(wanted, n // 5)


def fit_topics(latent: np.ndarray, count: int, recipe: Topics, seed: int) -> KMeans | None:
    """Cluster the articles by direction in the latent space; None where there are too few."""
    placed = latent[latent.any(axis=1)] if latent.shape[1] else latent[:0]
    if count < 1 or len(np.unique(placed, axis=0)) < count:
        return None
    if len(placed) > recipe.max_fit_articles:
        drawn = np.random.default_rng(seed).choice(len(placed), recipe.max_fit_articles, replace=False)
        placed = placed[np.sort(drawn)]
    with threadpool_limits(1):  # threads would add up the centroids in an order of their own
        return KMeans(count, n_init=1, max_iter=100, random_state=seed).fit(placed)


def name_topics(
    rows: csr_array, first_topic: np.ndarray, count: int, columns: np.ndarray, terms: Strings
) -> list[Topic]:
    """Name each topic by its distinctive terms, no two alike.

    `first_topic` is (n,) int, -1 for none; `columns` are the terms that may name a topic.
    """
    members = np.flatnonzero(first_topic >= 0)
    sizes = np.bincount(first_topic[members], minlength=count)
    ones = np.ones(len(members), dtype=np.float32)
    belongs = csr_array((ones, (first_topic[members], members)), shape=(count, rows.shape[0]))
    inside = (belongs @ rows[:, columns]).toarray() / np.maximum(sizes, 1)[:, None]
    overall = inside.T @ (sizes / max(sizes.sum(), 1))
    telling = inside * np.log1p(inside / np.maximum(overall, 1e-9))
    taken: set[str] = set()
    topics = []
    for topic in range(count):
        best = [
            terms[columns[at]]
            for at in np.argsort(-telling[topic], kind="stable")[:60]
            if telling[topic, at] > 0
        ]
        distinct = _distinct(best)[:_TOPIC_TERMS]
        name, slug = _title(distinct, taken, topic)
        topics.append(Topic(slug=slug, name=name, terms=distinct, articles=int(sizes[topic])))
    return topics


def _distinct(terms: Sequence[str]) -> list[str]:
    """Drop the terms that share a word with a better one."""
    kept: list[str] = []
    used: set[str] = set()
    for term in terms:
        parts = set(term.split()) | {part.rstrip("s") for part in term.split()}
        if not parts & used:
            kept.append(term)
            used |= parts
    return kept


def _title(terms: list[str], taken: set[str], number: int) -> tuple[str, str]:
    """Return a name and a slug that no earlier topic has."""
    for length in range(min(3, len(terms)), len(terms) + 1):
        name = ", ".join(terms[:length])
        slug = re.sub(r"\s+", "-", "-".join(terms[: max(1, length - 1)]))
        if name and name not in taken and slug not in taken:
            break
    else:
        name, slug = ", ".join([*terms[:2], str(number + 1)]), f"topic-{number + 1}"
    taken |= {name, slug}
    return name, slug


@kernel
def _project(
    offsets: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    place: np.ndarray,
    components: np.ndarray,
    start: int,
    end: int,
    latent: np.ndarray,
) -> None:
    """Fill in the unit latent rows start..end, added up in double precision."""
    width = components.shape[1]
    total = np.empty(width, dtype=np.float64)
    for row in range(start, end):
        total[:] = 0.0
        for at in range(offsets[row], offsets[row + 1]):
            term = place[columns[at]]
            if term >= 0:
                value = np.float64(values[at])
                for component in range(width):
                    total[component] += value * components[term, component]
        length = 0.0
        for component in range(width):
            length += total[component] * total[component]
        if length > 0.0:
            for component in range(width):
                latent[row, component] = total[component] / np.sqrt(length)
