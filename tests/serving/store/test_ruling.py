"""Editorial rules in the store, on SQLite and on PostgreSQL."""

import pytest

from recommender.serving.store import ArticleRow, RuleSet, StaleError, Store


def test_rules_keep_their_order_and_their_places(store: Store) -> None:
    assert store.put_rule("b", "1")[0]
    assert store.put_rule("a", "2")[0]

    created, rules = store.put_rule("b", "3")

    assert not created
    assert rules.rules == (("b", "3"), ("a", "2"))
    assert store.rules() == rules


def test_a_deleted_rule_is_gone_and_deleting_is_repeatable(store: Store) -> None:
    store.replace_rules([("a", "1"), ("b", "2")], if_match=store.rules().etag)

    rules = store.delete_rule("a")

    assert rules.rules == (("b", "2"),)
    assert store.delete_rule("a") == store.rules() == rules


def test_an_etag_is_of_ids_json_and_order() -> None:
    one = RuleSet((("a", "1"), ("b", "2")))

    assert one.etag == RuleSet((("a", "1"), ("b", "2")), version=7).etag
    assert len({one.etag, RuleSet((("b", "2"), ("a", "1"))).etag, RuleSet().etag}) == 3


def test_who_has_not_seen_the_last_change_is_refused(store: Store, other: Store) -> None:
    seen = other.rules().etag
    store.put_rule("a", "1")

    with pytest.raises(StaleError):
        other.replace_rules([], if_match=seen)
    with pytest.raises(StaleError):
        other.put_rule("b", "2", if_match=seen)
    with pytest.raises(StaleError):
        other.delete_rule("a", if_match=seen)
    assert store.rules().rules == (("a", "1"),)
    assert other.replace_rules([], if_match=store.rules().etag).rules == ()


def test_a_change_of_rules_is_a_change_of_the_store(store: Store, other: Store) -> None:
    before = other.changes(0)

    _, rules = store.put_rule("a", "1")

    assert before.rules == RuleSet((), before.version)
    assert other.changes(before.version).rules == rules
    assert rules.version == before.version + 1 == store.version()
    assert other.changes(rules.version).rules is None


def test_rules_are_not_sent_again_for_a_change_of_articles(store: Store) -> None:
    _, rules = store.put_rule("a", "1")
    store.put_articles([ArticleRow("x", 1, withdrawn=False, payload=b"{}")])

    assert store.changes(rules.version).rules is None


def test_the_same_rule_again_is_no_change(store: Store) -> None:
    _, rules = store.put_rule("a", "1")

    assert store.put_rule("a", "1") == (False, rules)
    assert store.version() == rules.version
