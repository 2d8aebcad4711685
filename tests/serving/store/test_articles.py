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


def test_an_article_comes_back_as_it_was_put(store: Store) -> None:
    row = ArticleRow("a", 5, withdrawn=False, payload=b"{\0}", model_version="m1", embedding=b"\0\xff")

    outcomes, version = store.put_articles([row])

    assert outcomes == ["created"]
    assert store.article("a") == replace(row, version=version)
    assert store.article("b") is None


def test_a_newer_article_replaces_an_older_and_never_the_other_way(store: Store) -> None:
    store.put_articles([live(updated=5)])

    assert store.put_articles([live(updated=4, payload=b"old")])[0] == ["older"]
    assert store.put_articles([live(updated=6, payload=b"new")])[0] == ["updated"]
    assert store.put_articles([live(updated=6, payload=b"same moment")])[0] == ["updated"]
    stored = store.article("a")
    assert stored is not None
    assert (stored.updated, stored.payload) == (6, b"same moment")


def test_the_same_again_changes_nothing(store: Store) -> None:
    _, version = store.put_articles([live()])

    assert store.put_articles([live()]) == (["unchanged"], version)
    assert store.version() == version


def test_a_new_embedding_is_taken_without_a_new_version(store: Store) -> None:
    _, version = store.put_articles([live()])

    outcomes, same = store.put_articles([replace(live(), model_version="m2", embedding=b"2")])

    assert (outcomes, same) == (["unchanged"], version)
    assert store.article("a") == replace(live(), version=version, model_version="m2", embedding=b"2")


def test_one_call_acts_in_order_and_is_one_change(store: Store) -> None:
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


def test_a_withdrawal_comes_before_the_article_it_is_of(store: Store) -> None:
    store.withdraw("never seen", 9)

    assert store.put_articles([live("never seen", updated=9)])[0] == ["older"]
    assert store.put_articles([live("never seen", updated=10)])[0] == ["updated"]


def test_a_withdrawal_is_repeatable(store: Store) -> None:
    version = store.withdraw("a", 5)

    assert store.withdraw("a", 5) == store.withdraw("a", 4) == version
    assert store.withdraw("a", 6) == version + 1


def test_a_withdrawal_among_the_articles_put_withdraws(store: Store) -> None:
    gone = ArticleRow("a", 6, withdrawn=True, payload=None)

    assert store.put_articles([live(), gone, gone, live(updated=6)])[0] == [
        "created",
        "updated",
        "unchanged",
        "older",
    ]


def test_changes_are_what_came_after_a_version(store: Store, other: Store) -> None:
    start = other.changes(0)
    _, first = store.put_articles([live("a"), live("b")])
    second = store.withdraw("a", 9)

    assert (start.articles, start.complete) == ([], True)
    seen = other.changes(start.version)
    assert (seen.version, seen.complete, seen.rules) == (second, False, None)
    assert [(row.id, row.withdrawn, row.version) for row in seen.articles] == [
        ("b", False, first),
        ("a", True, second),
    ]
    assert other.changes(second).articles == []


def test_a_version_of_another_database_gets_everything(store: Store) -> None:
    _, version = store.put_articles([live()])

    for foreign in (0, 1, version + 1, version - 2):
        changes = store.changes(foreign)
        assert changes.complete, foreign
        assert [row.id for row in changes.articles] == ["a"]
        assert changes.rules is not None


def test_articles_come_in_the_order_of_their_bytes_over_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.serving.store.articles._PAGE", 2)
    store.put_articles([live(each) for each in IDS])

    assert [row.id for row in store.articles()] == sorted(IDS, key=str.encode)


def test_only_what_is_still_of_its_version_is_forgotten(store: Store) -> None:
    _, old = store.put_articles([live("a"), live("b"), live("c")])
    _, new = store.put_articles([live("b", updated=6)])
    withdrawn = store.withdraw("c", 7)

    forgotten = store.forget_articles([("a", old), ("b", old), ("c", withdrawn), ("unknown", 1)])

    assert forgotten == 1
    assert [row.id for row in store.articles()] == ["b", "c"]
    assert (store.forget_articles([]), store.version()) == (0, withdrawn)
    assert new < withdrawn


OPERATIONS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(1, 4)), max_size=12)


@settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_puts_and_withdrawals_in_any_order_come_to_what_their_moments_say(
    store: Store, operations: list[tuple[bool, str, int]]
) -> None:
    key = f"{store.version()} "  # articles of this example alone
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
    assert {each: stored.get(key + each) for each in expected} == expected
