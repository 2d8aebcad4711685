"""A scikit-learn estimator: articles to vectors, and to their nearest neighbours, by a recipe.

`check_estimator` of scikit-learn checks constructor, parameters, clone and tags. Its other checks pass arrays
of numbers, so scikit-learn itself leaves them out for an estimator whose input is text; the tags say so.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, hstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from recommender.article import Article
from recommender.model import Model
from recommender.neighbors import top_k
from recommender.recipe import Recipe
from recommender.training.readers.corpus import read_articles
from recommender.training.readers.frames import DataFrame, as_pandas
from recommender.training.train import train
from recommender.wrong_type import wrong_type

_KEYS = {  # the parameters of the constructor that are keys of the recipe
    "title_weight": "terms",
    "lead_weight": "terms",
    "ngrams": "terms",
    "min_df": "terms",
    "idf_power": "terms",
    "components": "topics",
    "latent_weight": "topics",
    "feedback": "neighbors",
    "expansion": "neighbors",
    "hub_correction": "neighbors",
}
_NAMES = {"latent_weight": "weight"}  # in the recipe, if it differs


class RelatedArticles(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Vectors and nearest neighbours of articles, as a scikit-learn estimator.

    `X` is texts, Articles, a Corpus, or a data frame with a column `title` or `body`; ids are not used. The
    parameters are keys of the recipe; None leaves the value of `recipe`, which is `Recipe()` by default.

    >>> related = recommender.RelatedArticles(title_weight=2).fit(corpus)
    >>> distances, rows = related.kneighbors(["The island ferry stops in winter"], n_neighbors=3)
    >>> distances.shape
    (1, 3)
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 9,
        recipe: Recipe | None = None,
        title_weight: int | None = None,
        lead_weight: int | None = None,
        ngrams: int | None = None,
        min_df: int | None = None,
        idf_power: float | None = None,
        components: int | None = None,
        latent_weight: float | None = None,
        feedback: float | None = None,
        expansion: float | None = None,
        hub_correction: float | None = None,
        threads: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.recipe = recipe
        self.title_weight = title_weight
        self.lead_weight = lead_weight
        self.ngrams = ngrams
        self.min_df = min_df
        self.idf_power = idf_power
        self.components = components
        self.latent_weight = latent_weight
        self.feedback = feedback
        self.expansion = expansion
        self.hub_correction = hub_correction
        self.threads = threads

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 scikit-learn's name
        """Train a model on the articles; `y`, the story of each, is needed for `score` only."""
        articles = _articles(X)
        if y is not None and len(y) != len(articles):
            raise ValueError(f"X has {len(articles)} articles, y has {len(y)} values")
        self.recipe_ = self._recipe()
        self.model_: Model = train(articles, self.recipe_, threads=self.threads).model
        self.y_ = None if y is None else np.asarray(y)
        self.n_articles_ = len(articles)
        return self

    def transform(self, X: Any) -> csr_array:  # noqa: N803 scikit-learn's name
        """Return the vectors of articles, (n, features) sparse float32, of about unit length.

        The features are the terms, the components of the latent space and the numbers of given vectors. The
        dot product of two rows is the similarity of two articles, before the corrections of `kneighbors`; if
        the fitted articles have vectors and one of these has none, it is lower.
        """
        check_is_fitted(self, "model_")
        model, weight = self.model_, self.model_.latent_weight
        embeddings = [model.embed(article) for article in _articles(X)]
        offsets = np.cumsum([0, *(len(embedding.columns) for embedding in embeddings)])
        columns = np.concatenate([np.zeros(0, np.int32), *(embedding.columns for embedding in embeddings)])
        values = np.concatenate([np.zeros(0, np.float32), *(embedding.values for embedding in embeddings)])
        terms = csr_array((values, columns, offsets), shape=(len(embeddings), len(model.vocabulary.terms)))
        latent = np.zeros((len(embeddings), model.vectors.latent.shape[1]), dtype=np.float32)
        for place, embedding in enumerate(embeddings):
            latent[place] = embedding.latent
        parts = [terms * np.float32(np.sqrt(1 - weight)), csr_array(latent * np.float32(np.sqrt(weight)))]
        return csr_array(hstack(parts, format="csr", dtype=np.float32))

    def kneighbors(
        self,
        X: Any = None,  # noqa: N803 scikit-learn's name
        n_neighbors: int | None = None,
        return_distance: bool = True,  # noqa: FBT001, FBT002 scikit-learn's signature
    ) -> Any:
        """Return the distances (1 - score) and the rows in `fit`'s X of the nearest articles, best first.

        Without X, those of every article that was fitted, without the article itself. Both are
        (n, n_neighbors); without `return_distance` only the rows.
        """
        check_is_fitted(self, "model_")
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        others = self.n_articles_ - (X is None)
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= others:
            raise ValueError(f"n_neighbors is {k!r}; it must be a whole number from 1 to {others}")
        all_rows, model = np.arange(self.n_articles_), self.model_
        queries = map(model.query_of, all_rows.tolist()) if X is None else map(model.query, _articles(X))
        distances, rows = [], []
        for row, query in enumerate(queries):
            scores = model.scores(query)
            best = top_k(scores, int(k), np.delete(all_rows, row) if X is None else all_rows)
            distances.append(1 - scores[best])
            rows.append(best)
        shape = (len(rows), int(k))
        found = np.array(rows, dtype=np.int64).reshape(shape)
        return (np.array(distances, dtype=np.float32).reshape(shape), found) if return_distance else found

    def score(self, X: Any, y: Any) -> float:  # noqa: N803 scikit-learn's name
        """Return the mean reciprocal rank of the first neighbour of the same story, 0 if there is none.

        Articles of stories that were not fitted are left out. Raises ValueError without `y` in `fit`.
        """
        check_is_fitted(self, "model_")
        if self.y_ is None:
            raise ValueError("score needs the story of each article: call fit(X, y)")
        stories = np.asarray(y)
        known = np.isin(stories, self.y_)
        if not known.any():
            return 0.0
        k = min(self.n_neighbors, self.n_articles_)
        rows = self.kneighbors(X, k, return_distance=False)[known]
        hits = self.y_[rows] == stories[known, None]
        return float(np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0).mean())

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002 scikit-learn's
        """Return the names of the features of `transform`: terms, `latent0` …, and `vector0` … if given."""
        check_is_fitted(self, "model_")
        given = self.model_.manifest.adapted.vector_length
        components = range(self.model_.vectors.latent.shape[1] - given)
        dense = [f"latent{number}" for number in components] + [f"vector{number}" for number in range(given)]
        return np.array([*self.model_.vocabulary.terms, *dense], dtype=object)

    def _recipe(self) -> Recipe:
        """Return the recipe with the parameters. Raises RecipeError if a value is out of range."""
        recipe = self.recipe or Recipe()
        for key, section in _KEYS.items():
            if (value := getattr(self, key)) is not None:
                plain = value.item() if isinstance(value, np.generic) else value
                recipe = recipe.replace(**{section: {_NAMES.get(key, key): plain}})
        return recipe

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags: the input is text."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.sparse = False
        return tags


def _articles(given: Any) -> list[Article]:
    """Return articles in the order of X; their ids are their numbers, so a model has the same order."""
    if isinstance(given, DataFrame) and not isinstance(given, pd.Series):
        return _of_frame(as_pandas(given, "X"))
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise wrong_type("RelatedArticles", "texts, articles or a data frame", given, "pass a list of texts")
    items = list(given)
    for item in items:
        if not isinstance(item, str | Article):
            cure = "for rows, pass a pandas.DataFrame"
            raise wrong_type("RelatedArticles", "texts or articles", item, cure)
    if any(isinstance(item, str) for item in items):
        return _of_frame(pd.DataFrame({"body": items}))
    return [replace(article, id=_id(place)) for place, article in enumerate(items)]


def _of_frame(frame: pd.DataFrame) -> list[Article]:
    articles = read_articles(frame.assign(id=list(map(_id, range(len(frame))))), max_bad=0).articles
    if len(articles) != len(frame):
        raise ValueError(f"X has {len(frame)} rows, but only {len(articles)} are public articles")
    return articles


def _id(place: int) -> str:
    return f"{place:010d}"
