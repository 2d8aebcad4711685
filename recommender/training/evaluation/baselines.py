"""Systems to compare a model with: simple baselines, and the model without one of its ingredients."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.columns import Labels
from recommender.fixed_point import is_fixed, round_matrix, round_rows
from recommender.manifest import Manifest
from recommender.model import Articles, Model, Vectors
from recommender.neighbors import NO_ROW, top_k
from recommender.recipe import Recipe
from recommender.training.evaluation.evaluate import System
from recommender.training.neighbors.all_pairs import all_neighbors
from recommender.training.neighbors.lists import build_related_lists
from recommender.training.neighbors.tiles import with_postings
from recommender.training.train import train

_ANY = 2**31  # articles: fast enough for every corpus
_CHUNK = 256  # articles scored against the whole corpus at a time


def baselines() -> list[System]:
    """Return the baseline systems, the simplest first.

    >>> recommender.baselines()[0].label
    'newest in category'
    """
    return [
        System("newest_in_category", "newest in category", newest_in_category, _ANY),
        System("random_in_category", "random in category", random_in_category, _ANY),
        System("shared_taxonomy", "shared taxonomy", shared_taxonomy, 50_000),
        System("sklearn_tfidf", "scikit-learn TF-IDF", sklearn_tfidf, _ANY),
        System("bm25", "BM25 (bm25s)", bm25, 5_000),
        System("terms_only", "our terms only", terms_only, _ANY),
        System("latent_only", "our latent space only", latent_only, _ANY),
    ]


def ablations(manifest: Manifest) -> list[System]:
    """Return one system per ingredient that the model uses: the model without that ingredient.

    >>> recommender.ablations(model.manifest)[0].label
    'ours without bigrams'
    """
    return [
        System(f"without_{name}", f"ours without {label}", partial(rank, recipe=recipe), _ANY)
        for name, (label, rank, table, choices) in _WITHOUT.items()
        if (recipe := _changed_recipe(manifest, table, choices))
    ]


def newest_in_category(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank the newest articles of the same category; articles without a category form one group."""
    articles = model.articles
    categories = np.asarray(articles.category.codes)
    by_age = categories[articles.newest]
    newest_of = {
        category: np.asarray(articles.newest)[by_age == category][: k + 1]
        for category in np.unique(categories).tolist()
    }
    return _without_self((newest_of[categories[row]] for row in rows), rows, k)


def random_in_category(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank random articles of the same category, drawn with the recipe's seed."""
    categories = np.asarray(model.articles.category.codes)
    members_of = {
        category: np.flatnonzero(categories == category) for category in np.unique(categories).tolist()
    }
    generator = np.random.default_rng(model.manifest.recipe.seed)

    def lists() -> Iterator[np.ndarray]:
        for row in rows:
            members = members_of[categories[row]]
            yield generator.choice(members, min(k + 1, len(members)), replace=False)

    return _without_self(lists(), rows, k)


def shared_taxonomy(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank by the number of shared tags and categories, at least 1; ties are broken by the newest."""
    newest = np.asarray(model.articles.newest)
    labels = _taxonomy(model.articles)
    by_age = labels[newest].T.tocsr()

    def lists() -> Iterator[np.ndarray]:
        for start in range(0, len(rows), _CHUNK):
            for shared in (labels[rows[start : start + _CHUNK]] @ by_age).toarray():
                best = top_k(shared, k + 1)
                yield newest[best[shared[best] > 0]]

    return _without_self(lists(), rows, k)


def sklearn_tfidf(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    """Rank by cosine of scikit-learn's TF-IDF: English stop words, sublinear TF, other defaults unchanged."""
    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True, dtype=np.float32)
    vectors = _vectors(vectorizer.fit_transform(_texts(model.articles)))
    return _ranked(vectors, 0.0, rows, k, threads)


def bm25(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank by BM25, with the article's whole text as the query."""
    import bm25s  # noqa: PLC0415 loaded only when used

    texts = list(_texts(model.articles))
    terms = bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    index = bm25s.BM25()
    index.index(terms, show_progress=False)
    return _without_self((top_k(index.get_scores(terms[row]), k + 1) for row in rows), rows, k)


def terms_only(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    """Rank by our TF-IDF without the latent space."""
    vectors = replace(model.vectors, latent=model.vectors.latent[:, :0], rescale=None)
    return _ranked(vectors, 0.0, rows, k, threads)


def latent_only(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    """Rank by cosine in our latent space."""
    no_terms = csr_array((len(model.articles), 0), dtype=np.float32)
    width = model.topic_space.centroids.shape[1]
    vectors = replace(_vectors(no_terms), latent=np.asarray(model.vectors.latent[:, :width]))
    return _ranked(vectors, 1.0, rows, k, threads)


def retrained(model: Model, rows: np.ndarray, k: int, threads: int, *, recipe: Recipe) -> np.ndarray:
    """Rank by a model trained on the same articles with another recipe."""
    articles = (model.articles.article(row) for row in range(len(model.articles)))
    other_model = train(articles, recipe, now=model.manifest.trained_at, threads=threads).model
    return np.asarray(other_model.neighbors.rows[rows][:, :k])


def relisted(model: Model, rows: np.ndarray, k: int, threads: int, *, recipe: Recipe) -> np.ndarray:
    """Rank by the lists computed from the model's own vectors with another recipe."""
    adapted = model.manifest.adapted
    update = {
        key: min(getattr(adapted, key), getattr(recipe.neighbors, key))
        for key in ("feedback", "expansion", "hub_correction")
    }
    adapted = adapted.model_copy(update=update)
    vectors = _in_fixed_point(model.vectors)
    lists = build_related_lists(vectors, adapted, recipe, threads, titles=model.articles.titles)
    return np.asarray(lists.neighbors.rows[rows][:, :k])


# Ingredient → (label, how to rank without it, table of the recipe, values in that table that switch it off).
_WITHOUT: dict[str, tuple[str, Callable[..., np.ndarray], str, dict[str, Any]]] = {
    "bigrams": ("bigrams", retrained, "terms", {"ngrams": 1}),
    "title_weight": ("title weight", retrained, "terms", {"title_weight": 1}),
    "lead_weight": ("lead weight", retrained, "terms", {"lead_weight": 1}),
    "term_weights": ("term weights", retrained, "terms", {"idf_power": 1.0, "pair_weight": 1.0}),
    "stop_words": ("stop words", retrained, "terms", {"stop_words": False}),
    "stems": ("stems", retrained, "terms", {"stems": False}),
    "pieces": ("pieces of words", retrained, "terms", {"piece_weight": 0.0}),
    "latent_space": ("latent space", retrained, "topics", {"components": 0}),
    "vectors": ("given vectors", retrained, "neighbors", {"vector_weight": 0.0}),
    "feedback": ("feedback", relisted, "neighbors", {"feedback": 0.0}),
    "expansion": ("document expansion", relisted, "neighbors", {"expansion": 0.0}),
    "hub_correction": ("hub correction", relisted, "neighbors", {"hub_correction": 0.0}),
}


def _changed_recipe(manifest: Manifest, table: str, choices: dict[str, Any]) -> Recipe | None:
    """Return the recipe with these choices, or None if the model was effectively trained with them."""
    original = getattr(manifest.recipe, table)
    effective = original.model_dump() | _effective_choices(manifest)
    if all(effective[key] == value for key, value in choices.items()):
        return None
    return manifest.recipe.model_copy(update={table: original.model_copy(update=choices)})


def _effective_choices(manifest: Manifest) -> dict[str, Any]:
    """Return the recipe values that training adapted to the corpus."""
    terms, adapted = manifest.recipe.terms, manifest.adapted
    return adapted.model_dump() | {
        "lead_weight": terms.lead_weight if adapted.lead_words else 1,
        "stems": terms.stems and adapted.main_lang not in adapted.unstemmed,
    }


def _ranked(vectors: Vectors, weight: float, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    return np.asarray(all_neighbors(_in_fixed_point(vectors), weight, k, threads).rows[rows])


def _without_self(lists: Iterator[np.ndarray], rows: np.ndarray, k: int) -> np.ndarray:
    """Return each list without its own article, cut at k and padded with NO_ROW, (m, k) int32."""
    ranked = np.full((len(rows), k), NO_ROW, dtype=np.int32)
    for position, (row, items) in enumerate(zip(rows, lists, strict=True)):
        others = items[items != row][:k]
        ranked[position, : len(others)] = others
    return ranked


def _texts(articles: Articles) -> Iterator[str]:
    pairs = zip(articles.titles, articles.bodies, strict=True)
    return (f"{title}. {body}" for title, body in pairs)


def _taxonomy(articles: Articles) -> csr_array:
    """Return 1 for every tag and category of each article, (n, tags + categories) float32."""
    n = len(articles)

    def matrix(labels: Labels) -> csr_array:
        ones = np.ones(len(labels.codes), dtype=np.float32)
        return csr_array((ones, labels.codes, labels.offsets), shape=(n, len(labels.names)))

    tags, categories = matrix(articles.tags), matrix(articles.categories)
    shape = (n, tags.shape[1] + categories.shape[1])
    left = csr_array((tags.data, tags.indices, tags.indptr), shape=shape)
    right = csr_array((categories.data, categories.indices + tags.shape[1], categories.indptr), shape=shape)
    return csr_array(left + right)


def _in_fixed_point(vectors: Vectors) -> Vectors:
    """Return the vectors in fixed point; those of models of earlier releases are not."""
    if is_fixed(vectors.values) and is_fixed(vectors.latent.ravel()):
        return vectors
    entries = (vectors.values, vectors.columns, vectors.offsets)
    rows = csr_array(entries, shape=(len(vectors.latent), len(vectors.term_offsets) - 1))
    return replace(_vectors(rows), latent=round_matrix(vectors.latent), rescale=vectors.rescale)


def _vectors(rows: Any) -> Vectors:
    """Return sparse unit vectors as `Vectors` without a latent space, in fixed point."""
    rows.sort_indices()
    rows.data = round_rows(rows.data, rows.indptr)
    return with_postings(rows, np.zeros((rows.shape[0], 0), dtype=np.float32))
