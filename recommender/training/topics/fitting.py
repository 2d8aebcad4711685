"""The topics of a corpus: clusters in its latent space that have readable names.

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
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from recommender.article import Article
from recommender.manifest import Topic
from recommender.recipe import Topics
from recommender.topic_space import TopicSpace
from recommender.training.kernels import run_all
from recommender.training.topics.naming import NamingTerms, TopicDescription, name_topics
from recommender.training.topics.standing_words import function_words, site_words

_OVERPRODUCTION = 1.3  # clusters per topic, to select from
_WARD_ARTICLES = 3000  # used to initialize k-means: Ward's method needs quadratic memory
_NAMING_ARTICLES = 15_000  # at most, whose terms select and name the topics
_LEAST_ARTICLES = 3  # a topic has at least this many, and
_LEAST_SHARE = 0.1  # this share of the mean size
_INCOHERENT_PART = 10  # at most one topic in 10 is removed because its terms rarely occur together
_BLOCK = 16_384


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
    naming_terms: Callable[[np.ndarray], NamingTerms],
    articles: Sequence[Article],
    recipe: Topics,
    seed: int,
    listed: Collection[str] = (),
    threads: int = 1,
) -> TopicModel:
    """Find and name the topics of the articles; there are none if the articles are too few or too similar.

    There are at most `topic_count` topics. 1.3 times as many clusters are computed; then the smallest, those
    of boilerplate and the least coherent are removed, and clusters with similar terms are merged.
    Terms, names and coherence are those of a sample of the articles; `articles` of a topic counts all.
    `naming_terms` returns the terms of a sample of the articles, whose rows it receives. `listed` has the
    languages whose stop words have been left out.
    """
    count = topic_count(len(articles), recipe)
    order = _sampling_order(articles, seed)
    drawn = _sample(latent, order, _NAMING_ARTICLES)
    clustering = (cluster_articles, latent, math.ceil(_OVERPRODUCTION * count), recipe, order)
    wide, naming = run_all([clustering, (naming_terms, drawn)], threads)
    if count < 1 or wide is None or len(wide.cluster_centers_) < count:
        no_topics = np.full(len(articles), -1, dtype=np.int32)
        return TopicModel(TopicSpace(np.zeros((0, latent.shape[1]), np.float32), no_topics), [], None)
    centroids = _normalized(wide.cluster_centers_)
    clusters = assign_topics(latent[drawn], centroids)
    sample = [articles[row] for row in drawn.tolist()]
    naming = replace(
        naming,
        function_words=function_words(naming.words, naming.present, clusters, sample, listed),
        site_words=site_words(naming.words, naming.present, sample),
    )
    centroids = _select_topics(centroids, naming.describe(clusters, len(centroids)), count)
    centroids, clusters, descriptions = _without_incoherent(latent[drawn], centroids, naming)
    first = assign_topics(latent, centroids)
    topics = name_topics(naming, descriptions, clusters, lambda row: _text(sample[row]))
    sizes = np.bincount(first[first >= 0], minlength=len(topics)).tolist()
    topics = [topic.model_copy(update={"articles": n}) for topic, n in zip(topics, sizes, strict=True)]
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
        labels = _ward_clusters(start_rows, clusters)
        centroids = np.array([start_rows[labels == label].mean(axis=0) for label in range(clusters)])
        fit_rows = latent[_sample(latent, order, recipe.max_fit_articles)]
        return KMeans(clusters, init=centroids, n_init=1, max_iter=100).fit(fit_rows)


def _ward_clusters(rows: np.ndarray, clusters: int) -> np.ndarray:
    """Return the cluster of each unit row by Ward's method, (n,) int32."""
    n = len(rows)
    if n == 1:
        return np.zeros(1, dtype=np.int32)
    # One product of matrices is much faster than computing the distance of each pair.
    cosines = squareform(rows @ rows.T, checks=False).astype(np.float64)
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    merges = linkage(distances, "ward")[: n - clusters, :2].astype(np.int32)
    merged = np.repeat(np.arange(n, n + len(merges)), 2)
    edges = coo_array((np.ones(len(merged)), (merged, merges.ravel())), shape=(2 * n, 2 * n))
    return np.asarray(connected_components(edges, directed=False)[1][:n])


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
        both = larger in selected and smaller in selected
        if both and descriptions[larger].resembles(descriptions[smaller]):
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


def predictor_of(centroids: np.ndarray) -> KMeans | None:
    """Return an estimator that predicts the nearest of these topics; None if there are none."""
    if not len(centroids):
        return None
    with threadpool_limits(1):
        fitted = KMeans(len(centroids), init=centroids, n_init=1, max_iter=1).fit(centroids)
        return _predictor(fitted, centroids, centroids)


def _normalized(centers: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(centers, axis=1, keepdims=True)
    return np.asarray(centers / np.maximum(lengths, 1e-12), dtype=np.float32)


def _text(article: Article) -> str:
    return article.body or article.title
