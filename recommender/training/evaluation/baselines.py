"""What one would show instead: by section, taxonomy, plain TF-IDF or BM25; and ours less an ingredient."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.columns import Labels
from recommender.model import Articles, Manifest, Model, Vectors
from recommender.neighbors import NO_ROW, top_k
from recommender.recipe import Recipe
from recommender.training.evaluation.evaluate import System
from recommender.training.neighbors.all_pairs import all_neighbors
from recommender.training.neighbors.lists import build_related_lists
from recommender.training.train import train

_ANY = 2**31  # articles: quick enough for every corpus
_CHUNK = 256  # articles whose scores against all are held at a time


def baselines() -> list[System]:
    """Return what one would show instead, the simplest first."""
    return [
        System("newest_in_section", "newest in section", newest_in_category, _ANY),
        System("random_in_section", "random in section", random_in_category, _ANY),
        System("shared_taxonomy", "shared taxonomy", shared_taxonomy, 50_000),
        System("sklearn_tfidf", "scikit-learn TF-IDF", sklearn_tfidf, _ANY),
        System("bm25", "BM25 (bm25s)", bm25, 5_000),
        System("terms_only", "our terms only", terms_only, _ANY),
        System("latent_only", "our latent space only", latent_only, _ANY),
    ]


def ablations(manifest: Manifest) -> list[System]:
    """Return ours less one ingredient each, those that a model has by its recipe and its corpus."""
    return [
        System(f"without_{name}", f"ours without {label}", partial(rank, recipe=other), _ANY)
        for name, (label, rank, category, choices) in _WITHOUT.items()
        if (other := _chosen_otherwise(manifest, category, choices))
    ]


def newest_in_category(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank the newest articles of the same section; those without a section are one."""
    articles = model.articles
    categories = np.asarray(articles.category.codes)
    by_age = categories[articles.newest]
    newest_of = {
        category: np.asarray(articles.newest)[by_age == category][: k + 1]
        for category in np.unique(categories).tolist()
    }
    return _filled((newest_of[categories[row]] for row in rows), rows, k)


def random_in_category(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank articles of the same section by chance, by the recipe's seed."""
    categories = np.asarray(model.articles.category.codes)
    members_of = {
        category: np.flatnonzero(categories == category) for category in np.unique(categories).tolist()
    }
    draw = np.random.default_rng(model.manifest.recipe.seed)

    def lines() -> Iterator[np.ndarray]:
        for row in rows:
            members = members_of[categories[row]]
            yield draw.choice(members, min(k + 1, len(members)), replace=False)

    return _filled(lines(), rows, k)


def shared_taxonomy(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank by how many tags and categories are shared, at least one; the newest first among equals."""
    newest = np.asarray(model.articles.newest)
    labels = _taxonomy(model.articles)
    by_age = labels[newest].T.tocsr()

    def lines() -> Iterator[np.ndarray]:
        for start in range(0, len(rows), _CHUNK):
            for shared in (labels[rows[start : start + _CHUNK]] @ by_age).toarray():
                best = top_k(shared, k + 1)
                yield newest[best[shared[best] > 0]]

    return _filled(lines(), rows, k)


def sklearn_tfidf(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    """Rank by cosine of scikit-learn's TF-IDF: English stop words, sublinear, otherwise its defaults."""
    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True, dtype=np.float32)
    vectors = _vectors(vectorizer.fit_transform(_texts(model.articles)))
    return _ranked(vectors, 0.0, rows, k, threads)


def bm25(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:  # noqa: ARG001
    """Rank by BM25, the article's whole text being the query."""
    import bm25s  # noqa: PLC0415 loaded where it is asked for

    texts = list(_texts(model.articles))
    terms = bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    index = bm25s.BM25()
    index.index(terms, show_progress=False)
    return _filled((top_k(index.get_scores(terms[row]), k + 1) for row in rows), rows, k)


def terms_only(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    """Rank by our TF-IDF without the latent space."""
    vectors = replace(model.vectors, latent=model.vectors.latent[:, :0])
    return _ranked(vectors, 0.0, rows, k, threads)


def latent_only(model: Model, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    """Rank by cosine in our latent space."""
    no_terms = csr_array((len(model.articles), 0), dtype=np.float32)
    vectors = replace(_vectors(no_terms), latent=np.asarray(model.vectors.latent))
    return _ranked(vectors, 1.0, rows, k, threads)


def retrained(model: Model, rows: np.ndarray, k: int, threads: int, *, recipe: Recipe) -> np.ndarray:
    """Rank by a model trained on the same articles with another recipe."""
    articles = (model.articles.article(row) for row in range(len(model.articles)))
    found = train(articles, recipe, now=model.manifest.trained_at, threads=threads).model
    return np.asarray(found.neighbors.rows[rows][:, :k])


def relisted(model: Model, rows: np.ndarray, k: int, threads: int, *, recipe: Recipe) -> np.ndarray:
    """Rank by the lists that another recipe makes of the model's own vectors."""
    adapted = model.manifest.adapted
    correction = min(adapted.hub_correction, recipe.neighbors.hub_correction)
    adapted = adapted.model_copy(update={"hub_correction": correction})
    found = build_related_lists(model.vectors, adapted, recipe, threads)
    return np.asarray(found.neighbors.rows[rows][:, :k])


# By name: what people call an ingredient, how to rank without it, and what to choose for that in the recipe.
_WITHOUT: dict[str, tuple[str, Callable[..., np.ndarray], str, dict[str, Any]]] = {
    "bigrams": ("bigrams", retrained, "terms", {"ngrams": 1}),
    "title_weight": ("title weight", retrained, "terms", {"title_weight": 1}),
    "lead_weight": ("lead weight", retrained, "terms", {"lead_weight": 1}),
    "term_weights": ("term weights", retrained, "terms", {"idf_power": 1.0, "pair_weight": 1.0}),
    "stop_words": ("stop words", retrained, "terms", {"stop_words": False}),
    "stems": ("stems", retrained, "terms", {"stems": False}),
    "pieces": ("pieces of words", retrained, "terms", {"piece_weight": 0.0}),
    "latent_space": ("latent space", retrained, "topics", {"components": 0}),
    "feedback": ("feedback", relisted, "neighbors", {"feedback": 0.0}),
    "hub_correction": ("hub correction", relisted, "neighbors", {"hub_correction": 0.0}),
}


def _chosen_otherwise(manifest: Manifest, category: str, choices: dict[str, Any]) -> Recipe | None:
    """Return the recipe with these choices, or None where they are what it came to in the corpus."""
    before = getattr(manifest.recipe, category)
    came_to = before.model_dump() | _came_to(manifest)
    if all(came_to[key] == value for key, value in choices.items()):
        return None
    return manifest.recipe.model_copy(update={category: before.model_copy(update=choices)})


def _came_to(manifest: Manifest) -> dict[str, Any]:
    terms, adapted = manifest.recipe.terms, manifest.adapted
    return adapted.model_dump() | {
        "lead_weight": terms.lead_weight if adapted.lead_words else 1,
        "stems": terms.stems and adapted.main_lang not in adapted.unstemmed,
    }


def _ranked(vectors: Vectors, weight: float, rows: np.ndarray, k: int, threads: int) -> np.ndarray:
    return np.asarray(all_neighbors(vectors, weight, k, threads).rows[rows])


def _filled(lines: Iterator[np.ndarray], rows: np.ndarray, k: int) -> np.ndarray:
    """Return the lines without their own row, cut at k and filled up, (m, k) int32."""
    ranked = np.full((len(rows), k), NO_ROW, dtype=np.int32)
    for at, (own, line) in enumerate(zip(rows, lines, strict=True)):
        others = line[line != own][:k]
        ranked[at, : len(others)] = others
    return ranked


def _texts(articles: Articles) -> Iterator[str]:
    pairs = zip(articles.titles, articles.bodies, strict=True)
    return (f"{title}. {body}" for title, body in pairs)


def _taxonomy(articles: Articles) -> csr_array:
    """Return which article carries which tag or category, (n, tags + categories) float32."""
    n = len(articles)

    def carried(labels: Labels) -> csr_array:
        ones = np.ones(len(labels.codes), dtype=np.float32)
        return csr_array((ones, labels.codes, labels.offsets), shape=(n, len(labels.names)))

    tags, categories = carried(articles.tags), carried(articles.categories)
    wide = (n, tags.shape[1] + categories.shape[1])
    left = csr_array((tags.data, tags.indices, tags.indptr), shape=wide)
    right = csr_array((categories.data, categories.indices + tags.shape[1], categories.indptr), shape=wide)
    return csr_array(left + right)


def _vectors(rows: Any) -> Vectors:
    """Return sparse unit rows as vectors without a latent space."""
    rows.sort_indices()
    by_term = rows.tocsc()
    return Vectors(
        offsets=rows.indptr.astype(np.int64),
        columns=rows.indices.astype(np.int32),
        values=rows.data,
        latent=np.zeros((rows.shape[0], 0), dtype=np.float32),
        term_offsets=by_term.indptr.astype(np.int64),
        term_rows=by_term.indices.astype(np.int32),
        term_values=by_term.data,
    )
