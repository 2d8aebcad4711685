"""A few scores are those that scoring the whole corpus gives."""

import numpy as np
import pytest

from recommender.serving.index.similarity import SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.training.train import Trained


def test_a_few_scores_equal_those_of_the_whole_corpus(trained: Trained) -> None:
    model, rows = trained.model, np.arange(0, len(trained.model.articles), 7)
    nearness = SimilarityScorer(Snapshot.of(model))
    for row in rows.tolist():
        whole = model.vectors.scores(model.vectors.of(row), model.latent_weight)

        assert nearness.of(model.vectors.of(row), rows) == pytest.approx(whole[rows], abs=1e-6)


def test_a_score_does_not_depend_on_its_company(trained: Trained) -> None:
    model, rows = trained.model, np.arange(0, len(trained.model.articles), 3)
    nearness, point = SimilarityScorer(Snapshot.of(model)), model.vectors.of(5)

    together = nearness.of(point, rows)

    assert together.tolist() == [nearness.of(point, rows[at : at + 1])[0] for at in range(len(rows))]
    assert nearness.of(point, rows[:0]).shape == (0,)
