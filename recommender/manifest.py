"""The manifest of a model: its recipe, the parameters adapted to its corpus, and what it was trained on."""

import numpy as np
from pydantic import AwareDatetime, Field, JsonValue

from recommender.frozen_model import FrozenModel
from recommender.neighbors import ListFacts
from recommender.provenance import Drift, GateSummary
from recommender.recipe import Recipe

_LEAST_LATENT = 0.002  # beside given vectors, so that the latent coordinates, which topics need, are not lost


class Topic(FrozenModel):
    """The readable description of a topic."""

    slug: str
    name: str
    terms: list[str]  # the most distinctive first
    articles: int  # how many articles have it as their first topic
    coherence: float  # NPMI of its terms in the articles, -1 to 1


class CorpusFacts(FrozenModel):
    """Facts about the training corpus of a model."""

    articles: int
    refused: int  # rows that were refused as invalid
    fingerprint: str  # sha256 of all articles; equal corpora have equal fingerprints
    newest_published_at: AwareDatetime | None
    characters_read: int
    characters_cut: int  # beyond the recipe's `max_body_chars`
    articles_cut: int
    terms_counted: int  # distinct terms before pruning
    terms_kept: int


class Adapted(FrozenModel):
    """The parameters that depend on the corpus; `training.terms.adapt` has the formulas."""

    main_lang: str  # used for an article whose language is unknown
    min_df: int  # articles
    max_df: int
    lead_words: int
    unstemmed: list[str]  # languages whose words are not stemmed
    piece_weight: float
    latent_components: int
    latent_weight: float
    hub_correction: float
    feedback: float
    expansion: float
    vector_length: int = 0  # how many numbers the articles' own vectors have; 0 if there are none
    vector_weight: float = 0.0

    @property
    def dense_weight(self) -> float:
        """The weight of the latent space and of the given vectors, together, in a similarity."""
        if not self.vector_weight:
            return self.latent_weight
        return self.vector_weight + (1 - self.vector_weight) * max(self.latent_weight, _LEAST_LATENT)

    @property
    def vector_share(self) -> float:
        """The share of the given vectors in `dense_weight`."""
        return self.vector_weight / self.dense_weight if self.vector_weight else 0.0

    def rescale(self, dense: np.ndarray) -> np.ndarray:
        """Return `Vectors.rescale` of articles from their dense vectors, (…, n_components + length)."""
        given = dense[..., dense.shape[-1] - self.vector_length :].any(axis=-1)
        return np.where(given, 1, 1 / (1 - self.vector_weight)).astype(np.float32)


class Manifest(FrozenModel):
    """The metadata of a trained model, stored as `manifest.json` beside its arrays."""

    format: int
    version: str  # empty until published
    trained_at: AwareDatetime
    recipe: Recipe
    adapted: Adapted
    corpus: CorpusFacts
    similar_above: float  # the score that random pairs of articles hardly ever reach
    hub_floor: float  # the hubness up to which an article has no penalty
    topics: list[Topic]
    stop_words: dict[str, list[str]]  # by language, as used
    standing_lines: list[str] = Field(default_factory=list)  # keys of lines that are left out of bodies
    digests: list[str] = Field(default_factory=list)  # keys of the titles of digests, of `digests.title_keys`
    neighbors: ListFacts | None = None  # None in models of earlier releases
    drift: Drift | None = None  # None: everything was fitted on this corpus
    libraries: dict[str, str]  # versions of the libraries that computed the arrays
    files: dict[str, str]  # name to sha256 of every other file of the version; empty until published
    evaluation: dict[str, JsonValue] | None = None  # as `evaluate --json` writes it, without single articles
    gate: GateSummary | None = None  # None if the quality gate was not run
