"""The latent space of a corpus (LSA), and the topics: clusters in it that have readable names.

Topics are for people to read, so not every cluster becomes one. k-means computes 1.3 times as many clusters
as topics are wanted. Three kinds of clusters are removed: those with very few articles, those whose common
terms are one repeated passage (such as a newsletter's notice) or words of one site, and the least coherent
ones. Clusters with similar terms are merged. The articles of a removed cluster belong to the nearest
remaining topic. There are 1.2 n^0.4 topics, between 20 and 150, but at most one for five articles.

A training soon after another should find nearly the same topics. So k-means starts from Ward's clusters of a
sample of the articles, chosen by a hash of their ids. With 5 % new articles, 84 of 105 clusters of a news
archive stay the same; with a random start, 63 do. Starting from the clusters of the previous model would keep
more, but then the arrays would depend on the history of trainings.
"""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from recommender.article import Article
from recommender.model import Topic, TopicSpace
from recommender.recipe import Topics
from recommender.training.kernels import (
    Float32Rows,
    Float32s,
    Int32s,
    Int64s,
    OutFloat32Rows,
    kernel,
    run_ranges,
)
from recommender.training.topics.naming import NamingTerms, TopicDescription, name_topics
from recommender.training.topics.standing_words import function_words, site_words

_POWER_ITERATIONS = 2  # of the randomized decomposition; more did not change the quality of the lists
_OVERPRODUCTION = 1.3  # clusters per topic, to select from
_WARD_ARTICLES = 3000  # used to initialize k-means: Ward's method needs quadratic memory
_LEAST_ARTICLES = 3  # a topic has at least this many, and
_LEAST_SHARE = 0.1  # this share of the mean size
_INCOHERENT_PART = 10  # at most one topic in 10 is removed because its terms rarely occur together
_BLOCK = 16_384


@dataclass(frozen=True)
class LatentSpace:
    """A truncated singular value decomposition of the TF-IDF rows."""

    terms: np.ndarray  # (n_latent_terms,) int32, ascending columns of the TF-IDF rows
    components: np.ndarray  # (n_latent_terms, n_components) float32
    estimator: TruncatedSVD | None  # None if the corpus is too small

    def project(self, rows: csr_array, threads: int) -> np.ndarray:
        """Project the rows into the latent space, (n, n_components) float32, of unit length or zero."""
        latent = np.zeros((rows.shape[0], self.components.shape[1]), dtype=np.float32)
        place = np.full(rows.shape[1], -1, dtype=np.int32)
        place[self.terms] = np.arange(len(self.terms))
        offsets, columns = rows.indptr.astype(np.int64), rows.indices.astype(np.int32, copy=False)

        def stripe(start: int, end: int) -> None:
            _project(offsets, columns, rows.data, place, self.components, start, end, latent)

        list(run_ranges(stripe, rows.shape[0], threads))
        return latent


def fit_latent_space(rows: csr_array, df: np.ndarray, count: int, recipe: Topics, seed: int) -> LatentSpace:
    """Fit the latent space on the terms of highest df, and on a sample of the articles if there are many.

    It has `count` components, but fewer than there are terms.
    """
    n = rows.shape[0]
    frequent = np.sort(np.argsort(-df, kind="stable")[: recipe.max_terms]).astype(np.int32)
    count = min(count, len(frequent) - 1)
    if count < 1:
        return LatentSpace(np.zeros(0, np.int32), np.zeros((0, 0), np.float32), None)
    selection = np.arange(n)
    if n > recipe.max_fit_articles:
        drawn = np.random.default_rng(seed).choice(n, recipe.max_fit_articles, replace=False)
        selection = np.sort(drawn)
    svd = TruncatedSVD(count, n_iter=_POWER_ITERATIONS, random_state=seed)
    # One BLAS thread, because several add up in a different order. Identical articles have no variance.
    with threadpool_limits(1), np.errstate(divide="ignore", invalid="ignore"):
        svd.fit(rows[selection][:, frequent])
    components = np.ascontiguousarray(svd.components_.T, dtype=np.float32)
    return LatentSpace(frequent, components, svd)


def topic_count(n: int, recipe: Topics) -> int:
    """Return the number of topics for n articles: the recipe's, or 1.2 n^0.4 between 20 and 150."""
    wanted = recipe.count or int(np.clip(1.2 * n**0.4, 20, 150))
    return min(wanted, n // 5, recipe.max_fit_articles)


@dataclass(frozen=True)
class TopicModel:
    """The topics of a corpus."""

    space: TopicSpace
    topics: list[Topic]
    estimator: KMeans | None  # predicts each article's first topic; None if there are no topics


def fit_topics(
    latent: np.ndarray,
    naming: NamingTerms,
    articles: Sequence[Article],
    recipe: Topics,
    seed: int,
    listed: Collection[str] = (),
) -> TopicModel:
    """Find and name the topics of the articles; there are none if the articles are too few or too similar.

    There are at most `topic_count` topics. 1.3 times as many clusters are computed; then the smallest, those
    of boilerplate and the least coherent are removed, and clusters with similar terms are merged. `listed`
    has the languages whose stop words have been left out.
    """
    count = topic_count(len(articles), recipe)
    order = _sampling_order(articles, seed)
    drawn = _sample(latent, order, recipe.max_fit_articles)
    wide = cluster_articles(latent, math.ceil(_OVERPRODUCTION * count), recipe, order)
    if count < 1 or wide is None or len(wide.cluster_centers_) < count:
        no_topics = np.full(len(articles), -1, dtype=np.int32)
        return TopicModel(TopicSpace(np.zeros((0, latent.shape[1]), np.float32), no_topics), [], None)
    centroids = _normalized(wide.cluster_centers_)
    clusters = assign_topics(latent[drawn], centroids)
    sample, present = [articles[row] for row in drawn.tolist()], naming.present[drawn].tocsc()
    naming = replace(
        naming,
        function_words=function_words(naming.words, present, clusters, sample, listed),
        site_words=site_words(naming.words, present, sample),
    )
    descriptions = naming.restricted_to(drawn).describe(clusters, len(centroids))
    centroids = _select_topics(centroids, descriptions, count)
    centroids, first, descriptions = _without_incoherent(latent, centroids, naming)
    topics = name_topics(naming, descriptions, first, lambda row: _text(articles[row]))
    return TopicModel(TopicSpace(centroids, first), topics, _predictor(wide, centroids, latent[drawn]))


def cluster_articles(latent: np.ndarray, clusters: int, recipe: Topics, order: np.ndarray) -> KMeans | None:
    """Cluster the articles by direction in the latent space; None if all their vectors are zero.

    `order` has all rows in sampling order. k-means is initialized with Ward clusters of the first rows, which
    depend little on single articles, so that a slightly larger corpus has similar topics. There are fewer
    clusters if fewer than `clusters` articles differ.
    """
    start_rows = latent[_sample(latent, order, min(_WARD_ARTICLES, recipe.max_fit_articles))]
    clusters = min(clusters, len(np.unique(start_rows, axis=0)))
    if clusters < 1:
        return None
    with threadpool_limits(1):  # several threads add up the centroids in a different order
        labels = (
            AgglomerativeClustering(clusters).fit_predict(start_rows)
            if clusters > 1
            else np.zeros(len(start_rows), int)
        )
        centroids = np.array([start_rows[labels == label].mean(axis=0) for label in range(clusters)])
        fit_rows = latent[_sample(latent, order, recipe.max_fit_articles)]
        return KMeans(clusters, init=centroids, n_init=1, max_iter=100).fit(fit_rows)


def assign_topics(latent: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the nearest centroid of each row, (n,) int32; -1 for a row of zeros."""
    first = np.full(len(latent), -1, dtype=np.int32)
    with threadpool_limits(1):  # the same sums for any number of threads
        for start in range(0, len(latent), _BLOCK):
            block = latent[start : start + _BLOCK]
            nearest = np.argmax(block @ centroids.T, axis=1)
            first[start : start + _BLOCK] = np.where(block.any(axis=1), nearest, -1)
    return first


def _sampling_order(articles: Sequence[Article], seed: int) -> np.ndarray:
    """Return all rows ordered by a hash of their ids: new articles do not change the order of the others."""
    key = seed.to_bytes(4, "little")
    digests = [hashlib.blake2b(a.id.encode(), digest_size=8, key=key).digest() for a in articles]
    return np.argsort(np.frombuffer(b"".join(digests), dtype="<u8"), kind="stable")


def _sample(latent: np.ndarray, order: np.ndarray, most: int) -> np.ndarray:
    """Return the first `most` rows in sampling order that are not zero, ascending."""
    nonzero = np.asarray(latent.any(axis=1))
    return np.sort(order[nonzero[order]][:most])


def _select_topics(centroids: np.ndarray, descriptions: Sequence[TopicDescription], count: int) -> np.ndarray:
    """Return the centroids of the `count` most coherent topics, without small and boilerplate topics.

    Topics with similar terms are merged.
    """
    sizes = np.array([description.articles for description in descriptions], dtype=np.float64)
    least = max(_LEAST_ARTICLES, _LEAST_SHARE * sizes.mean())
    selected = [
        topic
        for topic, description in enumerate(descriptions)
        if sizes[topic] >= least and not description.is_boilerplate
    ] or list(range(len(descriptions)))
    centroids = centroids.copy()
    for larger, smaller in combinations(sorted(selected, key=lambda topic: (-sizes[topic], topic)), 2):
        similar = descriptions[larger].resembles(descriptions[smaller])
        if similar and larger in selected and smaller in selected:
            centroids[larger] = sizes[larger] * centroids[larger] + sizes[smaller] * centroids[smaller]
            selected.remove(smaller)
    best = sorted(selected, key=lambda topic: (-descriptions[topic].coherence, topic))[:count]
    return _normalized(centroids[sorted(best)])


def _without_incoherent(
    latent: np.ndarray, centroids: np.ndarray, naming: NamingTerms
) -> tuple[np.ndarray, np.ndarray, list[TopicDescription]]:
    """Return the centroids without those of negative coherence, the articles' topics, and the descriptions.

    At most one topic in ten is removed, because its articles move to their next topic and may make that
    incoherent.
    """
    fewest = len(centroids) - len(centroids) // _INCOHERENT_PART
    while True:
        first = assign_topics(latent, centroids)
        descriptions = naming.describe(first, len(centroids))
        least = min(range(len(descriptions)), key=lambda at: (descriptions[at].coherence, at))
        if len(centroids) == fewest or descriptions[least].coherence >= 0:
            return centroids, first, descriptions
        centroids = np.delete(centroids, least, axis=0)


def _predictor(fitted: KMeans, centroids: np.ndarray, rows: np.ndarray) -> KMeans:
    """Return the estimator with the topics as its clusters; it predicts the nearest topic of unit rows."""
    fitted.set_params(n_clusters=len(centroids), init="k-means++")
    fitted.cluster_centers_ = centroids
    fitted.labels_ = fitted.predict(rows)
    fitted.inertia_ = -fitted.score(rows)
    return fitted


def _normalized(centers: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(centers, axis=1, keepdims=True)
    return np.asarray(centers / np.maximum(lengths, 1e-12), dtype=np.float32)


def _text(article: Article) -> str:
    return article.body or article.title


@kernel
def _project(
    offsets: Int64s,
    columns: Int32s,
    values: Float32s,
    place: Int32s,
    components: Float32Rows,
    start: int,
    end: int,
    latent: OutFloat32Rows,
) -> None:
    """Compute the unit latent rows start..end, adding up in double precision."""
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
