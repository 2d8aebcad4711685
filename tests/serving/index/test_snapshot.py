"""A model with live articles gives nearly the same lists as a model trained on all articles."""

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
from tests.support.faults import Fault, InjectedError, files
from tests.support.newsroom import build_model, newsroom
from tests.support.sample import NOW
from tests.support.snapshots import snapshot_with

PURE_SIMILARITY = ListQuery(limit=9, lang=ANY, freshness=0.0)


@pytest.fixture(scope="module")
def held_out(sample_articles: list[Article]) -> list[Article]:
    return sample_articles[::9]


@pytest.fixture(scope="module")
def earlier(sample_articles: list[Article], held_out: list[Article]) -> Model:
    held_out_ids = {article.id for article in held_out}
    return train([article for article in sample_articles if article.id not in held_out_ids], now=NOW).model


def ids_of(related: Related, article_id: str, query: ListQuery = PURE_SIMILARITY) -> list[str]:
    return [related.articles.ids[item.row] for item in related.of(article_id, query, NOW).items]


@pytest.mark.slow
def test_lists_of_live_articles_are_those_of_a_retrained_model(
    earlier: Model, held_out: list[Article], trained: Trained
) -> None:
    live, whole = Related(snapshot_with(earlier, held_out)), Related(trained.model)

    recalls = [
        len({*ids_of(live, article.id)} & {*ids_of(whole, article.id)[:3]}) / 3 for article in held_out
    ]

    assert np.mean(recalls) > 0.9


@pytest.mark.slow
def test_lists_of_older_articles_contain_live_ones_as_after_a_retraining(
    earlier: Model, held_out: list[Article], trained: Trained
) -> None:
    live, whole = Related(snapshot_with(earlier, held_out)), Related(trained.model)
    new = {article.id for article in held_out}

    is_listed = [
        other in ids_of(live, article_id)
        for article_id in earlier.articles.ids
        for other in ids_of(whole, article_id)[:2]
        if other in new
    ]

    assert np.mean(is_listed) > 0.9


@pytest.mark.slow
def test_adding_articles_one_by_one_or_all_at_once_gives_the_same_lists(
    earlier: Model, held_out: list[Article]
) -> None:
    at_once = Related(snapshot_with(earlier, held_out))
    snapshot = Snapshot.of(earlier)
    for article in held_out:
        snapshot = snapshot.with_articles([(article, fold_in(earlier, article))])
    one_by_one = Related(snapshot)

    query = ListQuery(explain=True)
    for article_id in (*earlier.articles.ids, *(article.id for article in held_out)):
        items, same_items = (related.of(article_id, query, NOW).items for related in (at_once, one_by_one))
        assert [item.row for item in items] == [item.row for item in same_items]
        assert [item.score for item in items] == pytest.approx([item.score for item in same_items])


@pytest.mark.slow
def test_lists_do_not_depend_on_the_order_in_which_articles_arrive(
    earlier: Model, held_out: list[Article]
) -> None:
    forth, back = Related(snapshot_with(earlier, held_out)), Related(snapshot_with(earlier, held_out[::-1]))

    for article_id in (*earlier.articles.ids, *(article.id for article in held_out)):
        assert ids_of(forth, article_id) == ids_of(back, article_id)


@pytest.mark.slow
def test_an_earlier_snapshot_does_not_see_later_articles(earlier: Model, held_out: list[Article]) -> None:
    before = snapshot_with(earlier, held_out[:3])
    ids = list(earlier.articles.ids)
    expected = [ids_of(Related(before), article_id) for article_id in ids]

    before.with_articles([(article, fold_in(earlier, article)) for article in held_out[3:]])

    assert [ids_of(Related(before), article_id) for article_id in ids] == expected
    assert before.articles.find(held_out[3].id) is None


def test_folding_in_an_unchanged_article_gives_the_values_of_training(trained: Trained) -> None:
    model = trained.model
    row = 17
    folded = fold_in(model, model.articles.article(row))

    neighbors, scores = model.neighbors.of(row)
    assert folded.neighbors.tolist() == neighbors.tolist()
    np.testing.assert_allclose(folded.neighbor_scores, scores, atol=1e-5)
    mean_penalty = -model.corrections.scores(np.zeros(len(model.articles)))[row]
    assert folded.hub == pytest.approx(mean_penalty, abs=1e-5)
    assert folded.nearest == model.corrections.nearest[row]


def test_a_corrected_article_replaces_its_earlier_state(trained: Trained) -> None:
    model = trained.model
    old, other = model.articles.article(3), model.articles.article(120)
    corrected = replace(old, title=other.title, body=other.body, updated_at=NOW)

    snapshot = snapshot_with(model, [corrected])
    related = Related(snapshot)

    row = related.find(old.id, NOW)
    assert row == len(model.articles)
    assert related.articles.titles[row] == other.title
    assert not related.articles.shown[3]
    assert 3 not in related.public(NOW).nonzero()[0]
    assert related.copies(120, NOW) == [row, *Related(model).copies(120, NOW)]


@pytest.mark.slow
def test_near_duplicates_among_live_articles_are_clustered(earlier: Model, held_out: list[Article]) -> None:
    first = held_out[0]
    twin = replace(first, id="twin", url=None)

    related = Related(snapshot_with(earlier, [first, twin]))

    assert related.copies(related.articles.find("twin") or 0, NOW) == [related.articles.find(first.id)]
    assert "twin" not in ids_of(related, first.id)
    for article_id in earlier.articles.ids:
        assert not {"twin", first.id} <= {*ids_of(related, article_id)}


@pytest.mark.slow
def test_a_withdrawn_article_is_in_no_list_until_it_is_put_again(earlier: Model) -> None:
    article = earlier.articles.article(5)

    without = Snapshot.of(earlier).without_withdrawn({article.id: 1, "unknown": 1})
    again = without.with_articles([(article, fold_in(earlier, article))])

    assert Related(without).find(article.id, NOW) is None
    assert article.id in without.withdrawn
    others = [article_id for article_id in earlier.articles.ids if article_id != article.id]
    assert all(article.id not in ids_of(Related(without), other) for other in others)
    assert Related(again).find(article.id, NOW) == len(earlier.articles)
    assert article.id not in again.withdrawn


def test_a_live_article_under_embargo_is_not_shown(earlier: Model, held_out: list[Article]) -> None:
    soon = replace(held_out[0], published_at=NOW + timedelta(hours=1))
    related = Related(snapshot_with(earlier, [soon]))

    assert related.find(soon.id, NOW) is None
    assert related.find(soon.id, NOW + timedelta(hours=1)) is not None


def test_a_folded_article_is_the_same_after_serialization(earlier: Model, held_out: list[Article]) -> None:
    folded = fold_in(earlier, held_out[0])

    read = FoldedArticle.from_bytes(folded.to_bytes(), earlier)

    assert read.to_bytes() == folded.to_bytes()
    assert read.unknown_share == folded.unknown_share > 0
    for cut in (0, 10, len(folded.to_bytes()) - 1):
        with pytest.raises(ValueError, match="a folded-in article has"):
            FoldedArticle.from_bytes(folded.to_bytes()[:cut], earlier)


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(-3, 3), st.booleans()), max_size=12))
def test_newest_and_shown_equal_a_slow_computation(changes: list[tuple[int, int, bool]]) -> None:
    """Articles 0 to 9 are in the model; each change puts an article with a date, or withdraws it."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = [Article(id=f"{n}", title=f"number {n} of a paper", published_at=start) for n in range(10)]
    model = build_model(first)
    snapshot, known = Snapshot.of(model), {article.id: article for article in first}
    for number, day, is_put in changes:
        article_id = f"{number}"
        if is_put:
            published_at = start + timedelta(days=day) if day else None
            article = Article(id=article_id, title="Put", published_at=published_at)
            known[article_id] = article
            snapshot = snapshot.with_articles([(article, fold_in(model, article))])
        else:
            known.pop(article_id, None)
            snapshot = snapshot.without_withdrawn({article_id: 1})

    undated = datetime(1, 1, 1, tzinfo=UTC)
    expected = sorted(known.values(), key=lambda article: article.id.encode())
    expected.sort(key=lambda article: article.published_at or undated, reverse=True)
    documents = snapshot.articles
    assert [documents.ids[row] for row in documents.newest] == [article.id for article in expected]
    assert sorted(documents.newest) == documents.shown.nonzero()[0].tolist()
    assert all(documents.article(documents.find(article.id) or 0) == article for article in known.values())


def test_live_articles_are_found_by_category_and_language() -> None:
    model = build_model(newsroom())
    article = Article(id="fr", title="Le climat", lang="fr", categories=("Monde",), category="Monde")

    related = Related(snapshot_with(model, [article]))

    assert related.categories.rows(["monde"]).nonzero()[0].tolist() == [len(model.articles)]
    recent = related.recent(ListQuery(lang="fr"), NOW)
    assert [related.articles.ids[item.row] for item in recent.items] == ["fr"]


def live_contents(snapshot: Snapshot) -> list[object]:
    """Return what a reader can see of a snapshot: the shown titles, similar live articles, and copies."""
    documents = snapshot.articles
    shown = [(documents.ids[row], documents.titles[row]) for row in documents.newest.tolist()]
    similar = [snapshot.live_similar(row)[0].tolist() for row in range(len(snapshot))]
    vectors = snapshot.vectors.latent(np.arange(len(snapshot))).tolist()
    return [shown, similar, vectors, snapshot.copies.first.tolist(), dict(snapshot.withdrawn)]


@pytest.mark.slow
def test_an_exception_anywhere_while_a_snapshot_grows_leaves_it_unchanged() -> None:
    model = build_model(newsroom())
    first = snapshot_with(
        model, [Article(id="a", title="Storm floods the harbour"), Article(id="10", title="B")]
    )
    others = [
        (article, fold_in(model, article))
        for article in (
            Article(id="b", title="Harbour floods", url="https://x.test/b"),
            Article(id="a", title="C"),
        )
    ]
    before, grown = live_contents(first), live_contents(first.with_articles(others))
    modules, lines, is_complete = files("serving/index/*.py", "columns.py"), 0, False

    while not is_complete:
        lines += 1
        fault = Fault(lines, modules)
        try:
            with fault.active():
                first.with_articles(others[:1])
            is_complete = True
        except InjectedError:
            assert live_contents(first) == before, fault.place
            assert live_contents(first.with_articles(others)) == grown, fault.place
    assert lines > 50
