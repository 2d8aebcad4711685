"""Workers fold live articles into a model together: one computes, the others read."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from recommender.article import Article
from recommender.model import Model, microseconds
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.store import ArticleRow, Store
from recommender.serving.worker import fold_ins as fold_ins_module
from recommender.serving.worker.fold_ins import FoldIns
from tests.support.newsroom import NOW

ARTICLES = [
    Article(id=article_id, title=f"Storm floods the harbour {article_id}", updated_at=NOW)
    for article_id in ("x", "y", "z")
]
MANY = [replace(ARTICLES[0], id=f"many {number:02}") for number in range(12)]
LONG = 60.0  # seconds, more than any step of these tests takes


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'live.db'}", pause_seconds=0)) as store:
        yield store


def put(store: Store, *articles: Article) -> None:
    store.put_articles(
        [
            ArticleRow(article.id, microseconds(NOW), withdrawn=False, payload=article.to_json().encode())
            for article in articles
        ]
    )


def fail_to_fold_in(*_: object) -> FoldedArticle:
    raise ArithmeticError("no fold-in")


def test_fold_ins_are_computed_stored_and_read_by_other_workers(
    model: Model, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, *ARTICLES)
    first, second = FoldIns(model, store, owner=1), FoldIns(model, store, owner=2)

    has_computed = first.add(ARTICLES, LONG)
    monkeypatch.setattr(fold_ins_module, "fold_in", fail_to_fold_in)
    has_read = second.add(ARTICLES, LONG)

    assert (has_computed, has_read) == (True, True)
    for article in ARTICLES:
        expected = fold_in(model, article).to_bytes()
        for fold_ins in (first, second):
            folded = fold_ins.of(article)
            assert folded is not None
            assert folded.to_bytes() == expected
    assert not second.missing(ARTICLES)


def test_while_one_worker_computes_the_others_wait(model: Model, store: Store) -> None:
    put(store, *MANY)
    first, second = FoldIns(model, store, owner=1), FoldIns(model, store, owner=2)

    first.add(MANY[:6], LONG)

    assert not second.add(MANY[6:], LONG)
    assert second.missing(MANY) == MANY
    assert second.add(MANY, LONG)
    assert second.missing(MANY) == MANY[6:]
    assert second.add(MANY[6:8], LONG)  # so few need no turn
    assert second.missing(MANY) == MANY[8:]


def test_a_step_ends_after_its_seconds_but_makes_progress(model: Model, store: Store) -> None:
    fold_ins = FoldIns(model, store)

    remaining = [len(fold_ins.missing(ARTICLES)) for _ in range(3) if fold_ins.add(ARTICLES, 0)]

    assert remaining == [2, 1, 0]
    assert not fold_ins.add(ARTICLES, 0)


def test_without_the_database_each_worker_computes(model: Model, tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path}/no/folder/live.db", pause_seconds=0)) as unreachable:
        fold_ins = FoldIns(model, unreachable, owner=1)

        assert fold_ins.add(ARTICLES, LONG)
        assert not fold_ins.missing(ARTICLES)


def test_an_article_that_cannot_be_folded_in_does_not_stop_the_others(
    model: Model, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_for_y(model: Model, article: Article) -> FoldedArticle:
        return fail_to_fold_in() if article.id == "y" else fold_in(model, article)

    put(store, *ARTICLES)
    fold_ins = FoldIns(model, store)
    monkeypatch.setattr(fold_ins_module, "fold_in", fail_for_y)

    for _ in range(3):
        fold_ins.add(ARTICLES, LONG)

    assert fold_ins.is_failing
    assert [article.id for article in ARTICLES if fold_ins.of(article)] == ["x", "z"]
    assert not fold_ins.missing(ARTICLES)
    assert [record.getMessage() for record in caplog.records] == ["cannot fold in the article 'y'"]
    monkeypatch.setattr(fold_ins_module, "fold_in", fold_in)
    fold_ins.retry()
    assert fold_ins.add(ARTICLES, LONG)
    assert not fold_ins.is_failing


def test_the_fold_in_of_an_article_that_has_changed_is_neither_stored_nor_used(
    model: Model, store: Store
) -> None:
    old, new = ARTICLES[0], replace(ARTICLES[0], title="Corrected")
    fold_ins = FoldIns(model, store)
    put(store, new)

    fold_ins.add([old], LONG)

    assert store.articles_by_id([old.id])[old.id].embedding is None
    assert fold_ins.missing([new]) == [new]
    fold_ins.add([new], LONG)
    another = FoldIns(model, store)
    another.add([old], LONG)
    of_old, of_new = another.of(old), fold_ins.of(new)
    assert of_old is not None
    assert of_new is not None
    assert of_old.to_bytes() == fold_in(model, old).to_bytes() != of_new.to_bytes()


def test_an_article_that_was_withdrawn_meanwhile_does_not_stop_the_others(
    model: Model, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, *ARTICLES)
    store.withdraw("y", microseconds(NOW))
    fold_ins = FoldIns(model, store)

    fold_ins.add(ARTICLES, LONG)

    row_of = store.articles_by_id(["x", "y", "z"])
    assert [article_id for article_id, row in row_of.items() if row.embedding] == ["x", "z"]
    assert not fold_ins.missing(ARTICLES)
    assert caplog.records == []
