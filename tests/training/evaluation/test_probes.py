"""Headlines are tested in batches, as one by one."""

from dataclasses import replace

from recommender.model import Model
from recommender.neighbors import top_k
from recommender.training.evaluation.probes import headlines_found
from recommender.training.train import Trained


def _finds(model: Model, row: int) -> bool:
    scores = model.scores(model.query(replace(model.articles.article(row), body="")))
    best = [item for item in top_k(scores, 9).tolist() if scores[item] > 0]
    return bool({row, *model.copies.of(row)} & {*best})


def test_headlines_are_found_in_batches_as_one_by_one(trained: Trained) -> None:
    model = trained.model
    rows = list(range(len(model.articles)))

    found = headlines_found(model, rows, most=60, threads=2)

    tested = [row for row in rows if found[row] is not None]
    assert len(tested) == 60
    assert [found[row] for row in tested] == [_finds(model, row) for row in tested]
    assert found[tested[-1] + 1 :] == [None] * (len(rows) - tested[-1] - 1)
    assert headlines_found(model, rows, most=60) == found


def test_a_headline_that_several_articles_have_is_not_tested(trained: Trained) -> None:
    model = trained.model
    titles = list(model.articles.titles)
    shared = [row for row, title in enumerate(titles) if titles.count(title) > 1]

    assert headlines_found(model, shared) == [None] * len(shared)
    assert headlines_found(model, []) == []
