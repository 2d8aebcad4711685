"""Lists with feedback and hubness correction equal a slow computation from all pairs."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import skew

from recommender import hubs
from recommender.article import Article
from recommender.displayed import occurrences
from recommender.manifest import Adapted
from recommender.neighbors import NO_ROW
from recommender.recipe import NeighborLists, Recipe
from recommender.training.neighbors import exact, threshold
from recommender.training.neighbors.all_pairs import offer_all_pairs
from recommender.training.neighbors.candidates import Candidates
from recommender.training.neighbors.exact import exact_neighbors
from recommender.training.neighbors.lists import RelatedLists, build_related_lists
from recommender.training.neighbors.threshold import similarity_threshold
from recommender.training.neighbors.tiles import Plan
from recommender.training.terms.adapt import adapt
from recommender.training.train import Trained
from tests.support.vectors import (
    best_of,
    check_against,
    slow_expanded,
    slow_scores,
    slow_squares,
    unit_rows,
    vectors_of,
)

ROWS, WEIGHT, K = 600, 0.2, 12
EVERY = np.arange(ROWS)
RECIPE = Recipe(neighbors=NeighborLists(k=K, feedback=1.5, expansion=0.7, hub_correction=0.6))
DRAW = np.random.default_rng(3)
KINDS = DRAW.dirichlet(np.full(300, 0.08), size=60)
TERMS = unit_rows(DRAW.poisson(9 * KINDS[DRAW.integers(0, 60, ROWS)]) + 0.001 * DRAW.random((ROWS, 300)))
TERMS[50:60] = TERMS[40:50]  # copies
TERMS[599] = 0
LATENT = unit_rows(TERMS @ DRAW.normal(size=(300, 12)))
VECTORS = vectors_of(TERMS, LATENT)
SIMILARITY = np.where(np.eye(ROWS, dtype=bool), -np.inf, slow_scores(VECTORS, WEIGHT))


def build(recipe: Recipe = RECIPE, **options: Any) -> RelatedLists:
    hub_correction = recipe.neighbors.hub_correction
    lists = recipe.neighbors
    weights = {"latent_weight": WEIGHT, "feedback": lists.feedback, "expansion": lists.expansion}
    adapted = trained_on(1).model_copy(update={"hub_correction": hub_correction, **weights})
    return build_related_lists(VECTORS, adapted, recipe, **{"threads": 2, **options})


def trained_on(n: int) -> Adapted:
    return adapt(RECIPE, [Article(id=str(row), title="x") for row in range(n)])


@pytest.fixture(scope="module")
def usual() -> RelatedLists:
    return build()


def slow_penalties() -> np.ndarray:
    usable: np.ndarray = np.where(RECIPE.neighbors.copy_similarity > SIMILARITY, SIMILARITY, -np.inf)
    hubness = -np.sort(-usable, axis=1)[:, :50].mean(axis=1)
    hubs = 0.6 * np.maximum(hubness - np.percentile(hubness, 1), 0)
    return np.asarray(hubs)


def slow_corrected(of: RelatedLists, queries: np.ndarray = EVERY) -> np.ndarray:
    """Return the corrected score of every article for some queries, (m, n)."""
    similarity = SIMILARITY.copy()
    np.fill_diagonal(similarity, slow_squares(VECTORS, WEIGHT))
    share, nearest = of.corrections.feedback[queries, None], of.corrections.nearest[queries]
    scores = (similarity[queries] + share * similarity[nearest]) / (1 + share) - of.corrections.hubs
    scores = slow_expanded(scores, of.corrections, of.copies.first, queries)
    scores[np.arange(len(queries)), queries] = -np.inf
    return np.asarray(scores)


def slow_expansion(of: RelatedLists) -> np.ndarray:
    """Return the weight of each article (column) in the expanded vector of another, (n, n)."""
    first, weights = of.copies.first, np.eye(ROWS)
    usable = np.where(first[:, None] == first, -np.inf, SIMILARITY)
    for row in range(ROWS):
        scores = (usable[row] - of.corrections.hubs).astype(np.float32)
        nearest = np.lexsort((np.arange(ROWS), -scores))[:3]
        weights[row, nearest] = 0.7 * np.maximum(usable[row, nearest], 0) / np.arange(1, 4)
    return weights


def test_the_hubness_penalty_is_a_mean_similarity_above_the_floor(usual: RelatedLists) -> None:
    np.testing.assert_allclose(usual.corrections.hubs, slow_penalties(), atol=1e-5)
    assert usual.corrections.hubs.min() == 0 < usual.corrections.hubs.max()


def test_a_query_moves_towards_its_nearest_neighbour_that_is_not_a_copy(usual: RelatedLists) -> None:
    first = usual.copies.first
    usable = np.where(first[:, None] == first, -np.inf, SIMILARITY)
    nearest = np.argmax((usable - usual.corrections.hubs).astype(np.float32), axis=1)
    similarity = usable[np.arange(ROWS), nearest]
    moves = similarity > 0

    assert (first[50:60] == first[40:50]).all()
    assert moves.sum() > ROWS - 20
    assert usual.corrections.nearest[moves].tolist() == nearest[moves].tolist()
    assert (usual.corrections.nearest[~moves] == NO_ROW).all()
    np.testing.assert_allclose(usual.corrections.feedback, 1.5 * np.maximum(similarity, 0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"tile": 77}, {"tile": 100, "threads": 1}])
def test_the_lists_are_the_best_of_all_corrected_scores(usual: RelatedLists, options: dict[str, Any]) -> None:
    same = build(**options)

    check_against(slow_corrected(same), best_of(slow_corrected(same), K), same.neighbors)
    np.testing.assert_allclose(same.corrections.hubs, usual.corrections.hubs, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(same.neighbors.rows, usual.neighbors.rows)


def test_rows_whose_candidates_may_be_incomplete_are_scored_in_full(
    usual: RelatedLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsettled: list[int] = []

    def recorded(*arguments: Any) -> list[None]:
        unsettled.extend(arguments[3].tolist())
        return each_corrected(*arguments)

    each_corrected = exact.each_corrected
    monkeypatch.setattr(exact, "each_corrected", recorded)
    plan, best = Plan.of(VECTORS, WEIGHT), Candidates.empty(usual.corrections.hubs, K + 1)
    offer_all_pairs(plan, best, 2)

    few = exact_neighbors(VECTORS, WEIGHT, plan, best, usual.corrections, usual.copies.first, K, 2)

    assert len(unsettled) > ROWS / 20
    np.testing.assert_array_equal(few.rows, usual.neighbors.rows)
    np.testing.assert_array_equal(few.scores, usual.neighbors.scores)


def test_an_article_is_expanded_by_its_three_nearest_that_are_not_copies(usual: RelatedLists) -> None:
    expected = slow_expansion(usual)
    weights = np.eye(ROWS)
    rows = np.arange(ROWS)[:, None]
    np.add.at(weights, (rows, usual.corrections.expansion_rows), usual.corrections.expansion_weights)

    assert usual.corrections.expansion_rows.shape == (ROWS, 3)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


@pytest.mark.parametrize(("queries", "others"), [(25, 4000), (40, 70)])
def test_the_threshold_is_a_percentile_of_the_scores_of_random_pairs(
    usual: RelatedLists, queries: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threshold, "_QUERIES", queries)
    monkeypatch.setattr(threshold, "_OTHERS", others)
    draw, first = np.random.default_rng(RECIPE.seed), usual.copies.first
    drawn = np.sort(draw.choice(ROWS, min(queries, ROWS), replace=False))
    listed = np.sort(draw.choice(ROWS, min(others, ROWS), replace=False))
    scores = slow_corrected(usual, drawn)[:, listed][first[drawn][:, None] != first[listed]]
    percentile = 100 * (1 - 9 / (ROWS - 1))  # nine similar articles on average

    above = similarity_threshold(VECTORS, WEIGHT, usual.copies, usual.corrections, RECIPE, threads=2)

    least = np.percentile(scores, percentile)
    higher = sorted(score for score in scores.tolist() if score > least + 1e-6)
    lower, upper = next(pair for pair in pairwise([least, *higher]) if pair[1] - pair[0] > 2.2e-5)
    assert above == pytest.approx((lower + upper) / 2, abs=1e-6)
    assert above - least < 0.01


def test_the_threshold_of_random_pairs_follows_the_recipe(usual: RelatedLists) -> None:
    lists = RECIPE.neighbors.model_copy(update={"similar_percentile": 50.0})
    recipe = RECIPE.model_copy(update={"neighbors": lists})

    above = similarity_threshold(VECTORS, WEIGHT, usual.copies, usual.corrections, recipe, threads=1)

    assert above < usual.similar_above / 2


def test_without_corrections_a_score_is_the_similarity() -> None:
    plain = build(Recipe(neighbors=NeighborLists(k=K, feedback=0.0, expansion=0.0, hub_correction=0.0)))

    check_against(SIMILARITY, best_of(SIMILARITY, K), plain.neighbors)
    assert (plain.corrections.nearest == NO_ROW).all()
    assert not plain.corrections.hubs.any()


def test_a_sample_gives_similar_penalties(usual: RelatedLists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_SAMPLE", 300)

    sampled = build()

    assert np.corrcoef(sampled.corrections.hubs, usual.corrections.hubs)[0, 1] > 0.8
    assert (sampled.corrections.hubs != usual.corrections.hubs).any()


@pytest.mark.slow
def test_the_hubness_correction_reduces_the_skew_of_list_occurrences(trained: Trained) -> None:
    model = trained.model
    lists_of = {
        hub_correction: build_related_lists(
            model.vectors,
            model.manifest.adapted.model_copy(update={"hub_correction": hub_correction, "expansion": 0.0}),
            model.manifest.recipe,
            threads=2,
        ).neighbors
        for hub_correction in (0.0, 0.5)
    }

    skews = [skew(occurrences(neighbors.rows[:, :9])) for neighbors in lists_of.values()]
    assert skews[1] < 0.8 * skews[0]
