"""Articles and withdrawals in the store, on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.serving.store import ArticleRow, Store
from tests.support.laws import examples

IDS = ["a", "a/related", "a,b", "日本 🗞", "%2F", "É", "é" * 256]


def live(article_id: str = "a", updated: int = 5, payload: bytes = b"{}") -> ArticleRow:
    return ArticleRow(article_id, updated, withdrawn=False, payload=payload)


def test_a_stored_article_is_returned_unchanged(store: Store) -> None:
    row = ArticleRow("a", 5, withdrawn=False, payload=b"{\0}", model_version="m1", embedding=b"\0\xff")

    outcomes, version = store.put_articles([row])

    assert outcomes == ["created"]
    assert store.article("a") == replace(row, version=version)
    assert store.article("b") is None


def test_a_newer_article_replaces_an_older_one_and_never_the_reverse(store: Store) -> None:
    store.put_articles([live(updated=5)])

    assert store.put_articles([live(updated=4, payload=b"old")])[0] == ["older"]
    assert store.put_articles([live(updated=6, payload=b"new")])[0] == ["updated"]
    assert store.put_articles([live(updated=6, payload=b"same moment")])[0] == ["updated"]
    stored = store.article("a")
    assert stored is not None
    assert (stored.updated, stored.payload) == (6, b"same moment")


def test_putting_the_same_article_again_changes_nothing(store: Store) -> None:
    _, version = store.put_articles([live()])

    assert store.put_articles([live()]) == (["unchanged"], version)
    assert store.version() == version


def test_a_new_embedding_is_stored_without_a_new_version(store: Store) -> None:
    _, version = store.put_articles([live()])

    outcomes, version_after = store.put_articles([replace(live(), model_version="m2", embedding=b"2")])

    assert (outcomes, version_after) == (["unchanged"], version)
    assert store.article("a") == replace(live(), version=version, model_version="m2", embedding=b"2")


def test_putting_an_article_without_an_embedding_keeps_the_stored_one(store: Store) -> None:
    store.put_articles([replace(live(), model_version="m", embedding=b"1")])

    assert store.put_articles([live()])[0] == ["unchanged"]
    assert store.articles_by_id(["a"])["a"].embedding == b"1"


def test_a_fold_in_is_stored_only_for_the_version_that_it_was_made_from(store: Store) -> None:
    _, version = store.put_articles([live("a"), live("b")])
    rows = store.articles_by_id(["a", "b", "c"])
    _, later = store.put_articles([live("b", updated=6)])

    store.put_fold_ins([replace(row, model_version="m", embedding=b"1") for row in rows.values()])

    expected = replace(live("a"), version=version, model_version="m", embedding=b"1")
    assert store.articles_by_id(["a", "b", "c"]) == {
        "a": expected,
        "b": replace(live("b", updated=6), version=later),
    }
    assert store.version() == later
    store.put_fold_ins([])


def test_one_worker_at_a_time_computes_fold_ins(store: Store, other: Store) -> None:
    second = 1_000_000
    claims = [
        (store, 1, 0), (other, 2, second), (store, 1, 3 * second), (other, 2, 6 * second),
        (other, 2, 8 * second), (store, 1, 9 * second), (store, 1, -20 * second),
    ]  # fmt: skip

    granted = [claimed.claim_fold_ins(owner, 100 * second + now) for claimed, owner, now in claims]

    assert granted == [True, False, True, False, True, False, True]


def test_a_batch_is_applied_in_order_as_one_change(store: Store) -> None:
    before = store.version()

    outcomes, version = store.put_articles(
        [live(), live(updated=4), live(updated=7), live("b"), live(updated=6), live("b")]
    )

    assert outcomes == ["created", "older", "updated", "created", "older", "unchanged"]
    assert version == before + 1
    assert [(row.id, row.updated) for row in store.articles()] == [("a", 7), ("b", 5)]


def test_a_withdrawn_article_stays_withdrawn_until_a_newer_put(store: Store) -> None:
    store.put_articles([live(updated=5)])

    store.withdraw("a", 3)

    assert store.put_articles([live(updated=5)])[0] == ["older"]
    assert store.article("a") == ArticleRow("a", 5, withdrawn=True, payload=None, version=store.version())
    assert store.put_articles([live(updated=6)])[0] == ["updated"]


def test_a_withdrawal_may_arrive_before_its_article(store: Store) -> None:
    store.withdraw("never seen", 9)

    assert store.put_articles([live("never seen", updated=9)])[0] == ["older"]
    assert store.put_articles([live("never seen", updated=10)])[0] == ["updated"]


def test_a_withdrawal_is_repeatable(store: Store) -> None:
    version = store.withdraw("a", 5)

    assert store.withdraw("a", 5) == store.withdraw("a", 4) == version
    assert store.withdraw("a", 6) == version + 1


def test_a_withdrawal_in_a_batch_of_articles_withdraws(store: Store) -> None:
    withdrawal = ArticleRow("a", 6, withdrawn=True, payload=None)

    assert store.put_articles([live(), withdrawal, withdrawal, live(updated=6)])[0] == [
        "created",
        "updated",
        "unchanged",
        "older",
    ]


def test_changes_are_those_after_a_version(store: Store, other: Store) -> None:
    start = other.changes(0)
    _, first = store.put_articles([live("a"), live("b")])
    second = store.withdraw("a", 9)

    assert (start.articles, start.complete) == ([], True)
    changes = other.changes(start.version)
    assert (changes.version, changes.complete, changes.rules) == (second, False, None)
    assert [(row.id, row.withdrawn, row.version) for row in changes.articles] == [
        ("b", False, first),
        ("a", True, second),
    ]
    assert other.changes(second).articles == []


def test_a_version_of_another_database_returns_everything(store: Store) -> None:
    _, version = store.put_articles([live()])

    for foreign in (0, 1, version + 1, version - 2):
        changes = store.changes(foreign)
        assert changes.complete, foreign
        assert [row.id for row in changes.articles] == ["a"]
        assert changes.rules is not None


def test_articles_are_in_byte_order_of_their_ids_across_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.serving.store.articles._PAGE", 2)
    store.put_articles([live(article_id) for article_id in IDS])

    assert [row.id for row in store.articles()] == sorted(IDS, key=str.encode)


def test_only_live_articles_with_the_given_version_are_deleted(store: Store) -> None:
    _, old = store.put_articles([live("a"), live("b"), live("c")])
    _, new = store.put_articles([live("b", updated=6)])
    withdrawn = store.withdraw("c", 7)

    deleted = store.delete_articles([("a", old), ("b", old), ("c", withdrawn), ("unknown", 1)])

    assert deleted == 1
    assert [row.id for row in store.articles()] == ["b", "c"]
    assert (store.delete_articles([]), store.version()) == (0, withdrawn)
    assert new < withdrawn


OPERATIONS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(1, 4)), max_size=12)


@settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_puts_and_withdrawals_in_any_order_are_resolved_by_their_moments(
    store: Store, operations: list[tuple[bool, str, int]]
) -> None:
    key = f"{store.version()} "  # makes ids unique to this example
    expected: dict[str, tuple[int, bool]] = {}
    for withdraws, article_id, updated in operations:
        moment, withdrawn = expected.get(article_id, (0, False))
        if withdraws:
            store.withdraw(key + article_id, updated)
            expected[article_id] = max(updated, moment), True
        else:
            store.put_articles([live(key + article_id, updated)])
            if updated > moment or (updated == moment and not withdrawn):
                expected[article_id] = updated, False

    stored = {row.id: (row.updated, row.withdrawn) for row in store.articles()}
    assert {article_id: stored.get(key + article_id) for article_id in expected} == expected
