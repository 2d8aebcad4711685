"""Lists with feedback and hubs equal those of a slow computation out of all pairs."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import skew

from recommender import hubs
from recommender.article import Article
from recommender.model import Adapted
from recommender.neighbors import NO_ROW
from recommender.recipe import NeighborLists, Recipe
from recommender.training.evaluation.health import occurrences
from recommender.training.neighbors import all_pairs as allpairs
from recommender.training.neighbors.all_pairs import candidates, exact_neighbors
from recommender.training.neighbors.exact import row_scores
from recommender.training.neighbors.lists import RelatedLists, build_related_lists
from recommender.training.neighbors.tiles import Plan
from recommender.training.terms.adapt import adapt
from recommender.training.train import Trained
from tests.training.neighbors.test_all_pairs import best_of, check_against, slow_scores, unit_rows, vectors_of

ROWS, WEIGHT, K = 600, 0.2, 12
RECIPE = Recipe(neighbors=NeighborLists(k=K, feedback=1.5, hub_correction=0.6))
DRAW = np.random.default_rng(3)
KINDS = DRAW.dirichlet(np.full(300, 0.08), size=60)
TERMS = unit_rows(DRAW.poisson(9 * KINDS[DRAW.integers(0, 60, ROWS)]) + 0.001 * DRAW.random((ROWS, 300)))
TERMS[50:60] = TERMS[40:50]  # copies
TERMS[599] = 0
LATENT = unit_rows(TERMS @ DRAW.normal(size=(300, 12)))
VECTORS = vectors_of(TERMS, LATENT)
LIKENESS = np.where(np.eye(ROWS, dtype=bool), -np.inf, slow_scores(VECTORS, WEIGHT))


def found(recipe: Recipe = RECIPE, **how: Any) -> RelatedLists:
    hub_correction = recipe.neighbors.hub_correction
    adapted = trained_on(1).model_copy(update={"latent_weight": WEIGHT, "hub_correction": hub_correction})
    return build_related_lists(VECTORS, adapted, recipe, **{"threads": 2, **how})


def trained_on(n: int) -> Adapted:
    return adapt(RECIPE, [Article(id=str(row), title="x") for row in range(n)])


@pytest.fixture(scope="module")
def usual() -> RelatedLists:
    return found()


def slow_hubs() -> np.ndarray:
    usable: np.ndarray = np.where(RECIPE.neighbors.copy_similarity > LIKENESS, LIKENESS, -np.inf)
    nearness = -np.sort(-usable, axis=1)[:, :50].mean(axis=1)
    hubs = 0.6 * np.maximum(nearness - np.percentile(nearness, 1), 0)
    return np.asarray(hubs)


def slow_corrected(of: RelatedLists) -> np.ndarray:
    """Return the corrected score of every pair, the query by row."""
    likeness = LIKENESS.copy()
    np.fill_diagonal(likeness, (TERMS**2).sum(axis=1) * 0.8 + (LATENT**2).sum(axis=1) * 0.2)
    share = of.corrections.feedback[:, None]
    scores = (likeness + share * likeness[of.corrections.nearest]) / (1 + share) - of.corrections.hubs
    np.fill_diagonal(scores, -np.inf)
    return np.asarray(scores)


def test_a_hub_is_what_is_near_to_its_fifty_nearest(usual: RelatedLists) -> None:
    np.testing.assert_allclose(usual.corrections.hubs, slow_hubs(), atol=1e-5)
    assert usual.corrections.hubs.min() == 0 < usual.corrections.hubs.max()


def test_a_query_moves_towards_its_nearest_that_is_no_copy(usual: RelatedLists) -> None:
    first = usual.copies.first
    usable = np.where(first[:, None] == first, -np.inf, LIKENESS)
    nearest = np.argmax((usable - usual.corrections.hubs).astype(np.float32), axis=1)
    likeness = usable[np.arange(ROWS), nearest]
    moves = likeness > 0

    assert (first[50:60] == first[40:50]).all()
    assert moves.sum() > ROWS - 20
    assert usual.corrections.nearest[moves].tolist() == nearest[moves].tolist()
    assert (usual.corrections.nearest[~moves] == NO_ROW).all()
    np.testing.assert_allclose(usual.corrections.feedback, 1.5 * np.maximum(likeness, 0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"tile": 77}, {"tile": 100, "threads": 1}])
def test_the_lists_are_the_best_of_all_corrected_scores(usual: RelatedLists, how: dict[str, Any]) -> None:
    same = found(**how)

    check_against(slow_corrected(same), best_of(slow_corrected(same), K), same.neighbors)
    np.testing.assert_allclose(same.corrections.hubs, usual.corrections.hubs, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(same.neighbors.rows, usual.neighbors.rows)


def test_lists_that_their_candidates_do_not_settle_are_scored_in_full(
    usual: RelatedLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(*given: Any) -> np.ndarray:
        asked.append(given[-1])
        return row_scores(*given)

    monkeypatch.setattr(allpairs, "row_scores", counted)
    best = candidates(Plan.of(VECTORS, WEIGHT), usual.corrections.hubs, K + 1, 2)

    few = exact_neighbors(VECTORS, WEIGHT, best, usual.corrections, K, 2)

    assert len(asked) > ROWS / 20
    np.testing.assert_array_equal(few.rows, usual.neighbors.rows)
    np.testing.assert_array_equal(few.scores, usual.neighbors.scores)


def test_without_feedback_and_hubs_a_score_is_the_likeness() -> None:
    plain = found(Recipe(neighbors=NeighborLists(k=K, feedback=0.0, hub_correction=0.0)))

    check_against(LIKENESS, best_of(LIKENESS, K), plain.neighbors)
    assert (plain.corrections.nearest == NO_ROW).all()
    assert not plain.corrections.hubs.any()


def test_a_sample_tells_much_the_same_hubs(usual: RelatedLists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_SAMPLE", 300)

    sampled = found()

    assert np.corrcoef(sampled.corrections.hubs, usual.corrections.hubs)[0, 1] > 0.8
    assert (sampled.corrections.hubs != usual.corrections.hubs).any()


@pytest.mark.slow
def test_with_hubs_set_back_none_stands_in_so_many_lists(trained: Trained) -> None:
    model = trained.model
    lists_of = {
        hub_correction: build_related_lists(
            model.vectors,
            model.manifest.adapted.model_copy(update={"hub_correction": hub_correction}),
            model.manifest.recipe,
            threads=2,
        ).neighbors
        for hub_correction in (0.0, 0.5)
    }

    skews = [skew(occurrences(found.rows[:, :9])) for found in lists_of.values()]
    assert skews[1] < 0.8 * skews[0]
