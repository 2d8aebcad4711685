"""Scores of selected articles equal those from scoring the whole corpus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.embedding import Embedding
from recommender.serving.index.similarity import SharedTerms, SimilarityScorer
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


@given(
    own=st.frozensets(st.integers(0, 300) | st.integers(0, 2**31 - 1), max_size=80),
    others=st.lists(st.integers(0, 300) | st.integers(0, 2**31 - 1), max_size=200),
)
def test_shared_terms_are_found_whatever_their_numbers(own: frozenset[int], others: list[int]) -> None:
    columns = np.array(sorted(own), dtype=np.int32)
    point = Embedding(columns, np.ones(len(columns), dtype=np.float32), np.zeros(1, dtype=np.float32))
    ours, theirs = SharedTerms(point).of(np.array(others, dtype=np.int32))

    assert theirs.tolist() == [place for place, term in enumerate(others) if term in own]
    assert columns[ours].tolist() == [others[place] for place in theirs.tolist()]
