"""A model and what came after it answer as one model of all would, as far as that can be."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.query import ANY, ListQuery
from recommender.serving.lists.related import Related
from recommender.training.train import Trained, train
from tests.support.newsroom import build_model, newsroom
from tests.support.sample import NOW

BLIND = ListQuery(limit=9, lang=ANY, freshness=0.0)


def grown(model: Model, articles: Sequence[Article]) -> Snapshot:
    return Snapshot.of(model).more([(article, fold_in(model, article)) for article in articles])


@pytest.fixture(scope="module")
def held_out(sample_articles: list[Article]) -> list[Article]:
    return sample_articles[::9]


@pytest.fixture(scope="module")
def earlier(sample_articles: list[Article], held_out: list[Article]) -> Model:
    kept = {article.id for article in sample_articles} - {article.id for article in held_out}
    return train([article for article in sample_articles if article.id in kept], now=NOW).model


def ids_of(related: Related, article_id: str, query: ListQuery = BLIND) -> list[str]:
    return [related.articles.ids[item.row] for item in related.of(article_id, query, NOW).items]


@pytest.mark.slow
def test_live_articles_stand_where_a_retraining_would_put_them(
    earlier: Model, held_out: list[Article], trained: Trained
) -> None:
    live, whole = Related(grown(earlier, held_out)), Related(trained.model)

    kept = [len({*ids_of(live, article.id)} & {*ids_of(whole, article.id)[:3]}) / 3 for article in held_out]

    assert np.mean(kept) > 0.9


@pytest.mark.slow
def test_older_articles_list_a_live_one_as_a_retraining_would(
    earlier: Model, held_out: list[Article], trained: Trained
) -> None:
    live, whole = Related(grown(earlier, held_out)), Related(trained.model)
    new = {article.id for article in held_out}

    wanted = [
        other in ids_of(live, each)
        for each in earlier.articles.ids
        for other in ids_of(whole, each)[:2]
        if other in new
    ]

    assert np.mean(wanted) > 0.9


@pytest.mark.slow
def test_one_at_a_time_or_all_at_once_is_the_same(earlier: Model, held_out: list[Article]) -> None:
    at_once = Related(grown(earlier, held_out))
    snapshot = Snapshot.of(earlier)
    for article in held_out:
        snapshot = snapshot.more([(article, fold_in(earlier, article))])
    one_by_one = Related(snapshot)

    for each in (*earlier.articles.ids, *(article.id for article in held_out)):
        found, same = (related.of(each, ListQuery(explain=True), NOW) for related in (at_once, one_by_one))
        assert [item.row for item in found.items] == [item.row for item in same.items]
        assert [item.score for item in found.items] == pytest.approx([item.score for item in same.items])


@pytest.mark.slow
def test_the_order_in_which_articles_come_changes_no_list(earlier: Model, held_out: list[Article]) -> None:
    forth, back = Related(grown(earlier, held_out)), Related(grown(earlier, held_out[::-1]))

    for each in (*earlier.articles.ids, *(article.id for article in held_out)):
        assert ids_of(forth, each) == ids_of(back, each)


def test_an_earlier_edition_does_not_see_what_came_later(earlier: Model, held_out: list[Article]) -> None:
    before = grown(earlier, held_out[:3])
    expected = {each: ids_of(Related(before), each) for each in earlier.articles.ids}

    before.more([(article, fold_in(earlier, article)) for article in held_out[3:]])

    assert {each: ids_of(Related(before), each) for each in earlier.articles.ids} == expected
    assert before.articles.find(held_out[3].id) is None


def test_an_article_as_it_was_trained_on_changes_no_neighbours(trained: Trained) -> None:
    """Put again with nothing changed, it lies where it lay."""
    model = trained.model
    row = 17
    placed = fold_in(model, model.articles.article(row))

    near, scores = model.neighbors.of(row)
    assert placed.near.tolist() == near.tolist()
    np.testing.assert_allclose(placed.near_scores, scores, atol=1e-5)
    assert placed.hub == pytest.approx(model.corrections.hubs[row], abs=1e-5)
    assert placed.nearest == model.corrections.nearest[row]


def test_a_corrected_text_stands_for_the_earlier_one(trained: Trained) -> None:
    model = trained.model
    old, other = model.articles.article(3), model.articles.article(120)
    corrected = replace(old, title=other.title, body=other.body, updated_at=NOW)

    snapshot = grown(model, [corrected])
    related = Related(snapshot)

    row = related.find(old.id, NOW)
    assert row == len(model.articles)
    assert related.articles.titles[row] == other.title
    assert not related.articles.shown[3]
    assert 3 not in related.public(NOW).nonzero()[0]
    assert related.copies(120, NOW) == [row, *Related(model).copies(120, NOW)]


def test_a_wire_copy_among_live_articles_is_folded(earlier: Model, held_out: list[Article]) -> None:
    first = held_out[0]
    twin = replace(first, id="twin", url=None)

    related = Related(grown(earlier, [first, twin]))

    assert related.copies(related.articles.find("twin") or 0, NOW) == [related.articles.find(first.id)]
    assert "twin" not in ids_of(related, first.id)
    for each in earlier.articles.ids:
        assert not {"twin", first.id} <= {*ids_of(related, each)}


def test_what_is_withdrawn_is_nowhere_and_comes_back_when_put_again(earlier: Model) -> None:
    article = earlier.articles.article(5)

    without = Snapshot.of(earlier).less({article.id: 1, "never heard of": 1})
    again = without.more([(article, fold_in(earlier, article))])

    assert Related(without).find(article.id, NOW) is None
    assert article.id in without.withdrawn
    assert all(article.id not in ids_of(Related(without), each) for each in earlier.articles.ids
               if each != article.id)  # fmt: skip
    assert Related(again).find(article.id, NOW) == len(earlier.articles)
    assert article.id not in again.withdrawn


def test_a_live_article_under_embargo_waits(earlier: Model, held_out: list[Article]) -> None:
    soon = replace(held_out[0], published_at=NOW + timedelta(hours=1))
    related = Related(grown(earlier, [soon]))

    assert related.find(soon.id, NOW) is None
    assert related.find(soon.id, NOW + timedelta(hours=1)) is not None


def test_a_placement_survives_the_store(earlier: Model, held_out: list[Article]) -> None:
    placed = fold_in(earlier, held_out[0])

    read = FoldedArticle.from_bytes(placed.to_bytes(), earlier.vectors.latent.shape[1])

    assert read.to_bytes() == placed.to_bytes()
    assert read.unknown_share == placed.unknown_share > 0
    for cut in (0, 10, len(placed.to_bytes()) - 1):
        with pytest.raises(ValueError, match="placement"):
            FoldedArticle.from_bytes(placed.to_bytes()[:cut], earlier.vectors.latent.shape[1])


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(-3, 3), st.booleans()), max_size=12))
def test_newest_and_shown_are_what_a_slow_reading_says(changes: list[tuple[int, int, bool]]) -> None:
    """Articles 0 to 9 are in the model; each change puts an article with a date, or withdraws it."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = [Article(id=f"{n}", title=f"number {n} of a paper", published_at=start) for n in range(10)]
    model = build_model(first)
    snapshot, known = Snapshot.of(model), {article.id: article for article in first}
    for number, day, is_put in changes:
        each = f"{number}"
        if is_put:
            article = Article(id=each, title="Put", published_at=start + timedelta(days=day) if day else None)
            known[each] = article
            snapshot = snapshot.more([(article, fold_in(model, article))])
        else:
            known.pop(each, None)
            snapshot = snapshot.less({each: 1})

    undated = datetime(1, 1, 1, tzinfo=UTC)
    expected = sorted(known.values(), key=lambda article: article.id.encode())
    expected.sort(key=lambda article: article.published_at or undated, reverse=True)
    documents = snapshot.articles
    assert [documents.ids[row] for row in documents.newest] == [article.id for article in expected]
    assert sorted(documents.newest) == documents.shown.nonzero()[0].tolist()
    assert all(documents.article(documents.find(each) or 0) == article for each, article in known.items())


def test_categories_and_languages_of_live_articles_are_known() -> None:
    model = build_model(newsroom())
    article = Article(id="fr", title="Le climat", lang="fr", categories=("Monde",), category="Monde")

    related = Related(grown(model, [article]))

    assert related.categories.rows(["monde"]).nonzero()[0].tolist() == [len(model.articles)]
    found = related.recent(ListQuery(lang="fr"), NOW)
    assert [related.articles.ids[item.row] for item in found.items] == ["fr"]
