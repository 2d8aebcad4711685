"""How a model came about: what it continues, and the verdict of the quality gate."""

from typing import Literal

from recommender.frozen_model import FrozenModel


class GateSummary(FrozenModel):
    """The result of the quality gate for a published model."""

    outcome: Literal["passed", "overridden"]
    reasons: list[str]  # the failed checks, if they were overridden
    compared_with: str | None  # a version or a report; None if there was none
    not_compared: str | None  # why there was no comparison with it
    list_overlap: float | None  # mean share of a list of nine that stayed the same


class Drift(FrozenModel):
    """What an incremental training kept, and how far the corpus has moved since that was fitted."""

    fitted: str  # the version whose vocabulary, weights and latent space are kept
    changed_articles: int  # new, changed and removed since it was fitted, over all incremental trainings
    changed_share: float  # of all articles
    unknown_terms: float  # share of unknown words in new and changed articles, beyond that in the others
