"""Editorial rules in the store, on SQLite and on PostgreSQL."""

import pytest

from recommender.serving.store import ArticleRow, RuleSet, StaleError, Store


def test_a_replaced_rule_keeps_its_place(store: Store) -> None:
    assert store.put_rule("b", "1")[0]
    assert store.put_rule("a", "2")[0]

    created, rules = store.put_rule("b", "3")

    assert not created
    assert rules.rules == (("b", "3"), ("a", "2"))
    assert store.rules() == rules


def test_deleting_a_rule_is_repeatable(store: Store) -> None:
    store.replace_rules([("a", "1"), ("b", "2")], if_match=store.rules().etag)

    rules = store.delete_rule("a")

    assert rules.rules == (("b", "2"),)
    assert store.delete_rule("a") == store.rules() == rules


def test_an_etag_depends_on_ids_json_and_order() -> None:
    rules = RuleSet((("a", "1"), ("b", "2")))

    assert rules.etag == RuleSet((("a", "1"), ("b", "2")), version=7).etag
    assert len({rules.etag, RuleSet((("b", "2"), ("a", "1"))).etag, RuleSet().etag}) == 3


def test_a_change_with_an_old_etag_is_rejected(store: Store, other: Store) -> None:
    old_etag = other.rules().etag
    store.put_rule("a", "1")

    with pytest.raises(StaleError):
        other.replace_rules([], if_match=old_etag)
    with pytest.raises(StaleError):
        other.put_rule("b", "2", if_match=old_etag)
    with pytest.raises(StaleError):
        other.delete_rule("a", if_match=old_etag)
    assert store.rules().rules == (("a", "1"),)
    assert other.replace_rules([], if_match=store.rules().etag).rules == ()


def test_a_change_of_rules_is_among_the_changes_of_the_store(store: Store, other: Store) -> None:
    before = other.changes(0)

    _, rules = store.put_rule("a", "1")

    assert before.rules == RuleSet((), before.version)
    assert other.changes(before.version).rules == rules
    assert rules.version == before.version + 1 == store.version()
    assert other.changes(rules.version).rules is None


def test_changes_of_articles_do_not_include_unchanged_rules(store: Store) -> None:
    _, rules = store.put_rule("a", "1")
    store.put_articles([ArticleRow("x", 1, withdrawn=False, payload=b"{}")])

    assert store.changes(rules.version).rules is None


def test_putting_the_same_rule_again_changes_nothing(store: Store) -> None:
    _, rules = store.put_rule("a", "1")

    assert store.put_rule("a", "1") == (False, rules)
    assert store.version() == rules.version
