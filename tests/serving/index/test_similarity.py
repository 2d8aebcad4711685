"""Scores of selected articles equal those from scoring the whole corpus."""

import numpy as np
import pytest

from recommender.serving.index.similarity import SimilarityScorer
from recommender.serving.index.snapshot import Snapshot
from recommender.training.train import Trained


def test_scores_of_selected_articles_equal_those_of_the_whole_corpus(trained: Trained) -> None:
    model, rows = trained.model, np.arange(0, len(trained.model.articles), 7)
    scorer = SimilarityScorer(Snapshot.of(model))
    for row in rows.tolist():
        whole = model.vectors.scores(model.vectors.of(row), model.latent_weight)

        assert scorer.of(model.vectors.of(row), rows) == pytest.approx(whole[rows], abs=1e-6)


def test_a_score_does_not_depend_on_the_other_articles(trained: Trained) -> None:
    model, rows = trained.model, np.arange(0, len(trained.model.articles), 3)
    scorer, point = SimilarityScorer(Snapshot.of(model)), model.vectors.of(5)

    together = scorer.of(point, rows)

    assert together.tolist() == [scorer.of(point, rows[n : n + 1])[0] for n in range(len(rows))]
    assert scorer.of(point, rows[:0]).shape == (0,)
