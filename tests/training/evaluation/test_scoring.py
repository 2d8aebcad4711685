"""Compiled scores of an evaluation equal those of single pairs and queries."""

import numpy as np
import pytest

from recommender.neighbors import NO_ROW
from recommender.training.evaluation.scoring import group_cosines, scores_of_all
from recommender.training.train import Trained


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_cosines_of_groups_are_those_of_their_pairs(trained: Trained, size: int) -> None:
    model = trained.model
    groups = np.random.default_rng(0).integers(-1, len(model.articles), size=(40, size))
    groups[0], groups[1] = NO_ROW, 7

    cosines = group_cosines(model.vectors, groups)

    assert cosines.shape == (40, size * (size - 1) // 2)
    for group, scored in zip(groups, cosines, strict=True):
        for left, right, cosine in zip(*np.triu_indices(size, 1), scored, strict=True):
            a, b = int(group[left]), int(group[right])
            if NO_ROW in (a, b):
                assert np.isnan(cosine)
            else:
                assert cosine == pytest.approx(model.vectors.of(a).cosine(model.vectors.of(b)), abs=1e-12)


def test_queries_scored_together_have_the_scores_of_each_alone(trained: Trained) -> None:
    model = trained.model
    queries = [model.query_of(row).moved for row in range(0, len(model.articles), 25)]
    queries.append(model.vocabulary.embed_counts({}))

    together = scores_of_all(model.vectors, queries, 0.3)

    for query, scores in zip(queries, together, strict=True):
        np.testing.assert_allclose(scores, model.vectors.scores(query, 0.3), rtol=0, atol=1e-6)
