"""Rules applied to rows: boosts, caps and pins, beyond the neighbours computed at training."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recommender.article import Article
from recommender.serving.index.categories import Categories
from recommender.serving.index.fold_in import fold_in
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.query import ListQuery
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import ActiveRules, Rules
from recommender.serving.rules.applied import AppliedRules
from recommender.serving.rules.schema import Rule, read_rule
from tests.support.newsroom import NOW, build_model, newsroom

SIGNED = [
    replace(article, authors=("Jane Doe",)) if article.id in {"9", "10"} else article
    for article in newsroom()
]


def active_rules(**fields: Any) -> ActiveRules:
    return Rules((_rule(**fields),)).active(NOW)


def _rule(kind: str, **fields: Any) -> Rule:
    return read_rule({"id": "x", "kind": kind, "reason": "so", "author": "A. Reyes"} | fields, "")


def with_live(*articles: Article) -> Snapshot:
    """Return the newsroom with articles published after training."""
    snapshot = Snapshot.of(build_model(SIGNED))
    return snapshot.with_articles([(article, fold_in(snapshot.model, article)) for article in articles])


LIVE = Article(
    id="new", title="Storm again", body="The storm surge flooded the marsh.", authors=("jane doe",)
)


def applied_rules(active: ActiveRules, *live: Article) -> AppliedRules:
    snapshot = with_live(*live)
    return AppliedRules(snapshot, Categories(snapshot.articles), active)


def boosts_of(active: ActiveRules, *live: Article) -> dict[str, float]:
    """Return the factor of each article."""
    boosts = applied_rules(active, *live).boosts
    assert boosts is not None
    return dict(zip(with_live(*live).articles.ids, boosts.tolist(), strict=True))


def ids_of(related: Related, article_id: str, **query: Any) -> list[str]:
    related_list = related.of(article_id, ListQuery(**query), NOW)
    return [related.articles.ids[item.row] for item in related_list.items]


def test_boosts_of_an_article_are_multiplied_within_bounds() -> None:
    rules = [_rule("boost", articles=["9"], factor=n) for n in (5.0, 4.0)]
    rules += [_rule("boost", articles=["10"], factor=n) for n in (0.2, 0.1)]
    rules += [_rule("boost", articles=["11"], factor=n) for n in (0.5, 3.0)]

    factor_of = boosts_of(Rules(tuple(rules)).active(NOW))

    assert [factor_of[article_id] for article_id in ("9", "10", "11", "8")] == [10.0, 0.1, 1.5, 1.0]


def test_a_boost_for_an_author_applies_to_live_articles() -> None:
    factor_of = boosts_of(active_rules(kind="boost", by_author="JANE DOE", factor=2), LIVE)

    assert {article_id for article_id, factor in factor_of.items() if factor == 2} == {"9", "10", "new"}


def test_a_cap_counts_live_articles_by_their_first_author() -> None:
    live = [
        replace(LIVE, id=f"new{n}", authors=names) for n, names in enumerate([("Jane Doe", "X"), ("X",), ()])
    ]

    caps = applied_rules(active_rules(kind="cap", per="author", at_most=1), *live).caps

    group_of = {
        article_id: caps.groups[0][row] for row, article_id in enumerate(with_live(*live).articles.ids)
    }
    assert caps.at_most == [1]
    assert group_of["new0"] == group_of["9"] == group_of["10"]
    assert group_of["new1"] not in {0, group_of["9"]}
    assert group_of["new2"] == group_of["8"] == 0


@pytest.mark.parametrize("limit", [1, 2])
def test_a_boosted_article_beyond_the_neighbours_is_found(limit: int) -> None:
    storm = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."
    articles = [
        Article(id=f"s{n}", title="Storm", body=f"{storm} {'word ' * n}", lang="en") for n in range(6)
    ]
    active = active_rules(kind="boost", articles=["s5"], factor=10)
    whole, short = (Related(build_model(articles, k=k), active) for k in (50, 2))

    ids = ids_of(short, "s0", limit=limit)

    assert ids == ids_of(whole, "s0", limit=limit)
    assert ids[0] == "s5"


def test_a_boost_reorders_and_never_makes_an_article_similar() -> None:
    plain, boosted = (
        Related(build_model(SIGNED, similar_above=0.4), active)
        for active in (ActiveRules(), active_rules(kind="boost", articles=["8"], factor=10))
    )
    query = ListQuery(limit=14)

    sources = [
        {related.articles.ids[item.row]: item.source for item in related.of("9", query, NOW).items}
        for related in (plain, boosted)
    ]

    assert sources[0] == sources[1]
    assert sources[0]["8"] != "similar"


def test_under_caps_and_diversity_candidates_beyond_the_pool_are_ranked_too() -> None:
    many = [
        Article(id=f"{n:03}", title="Storm", body=f"The storm w{n}", category="A", lang="en")
        for n in range(130)
    ]
    rare = Article(
        id="z",
        title="Storm",
        body="The storm and many other words about harbour ships",
        category="B",
        lang="en",
    )
    related = Related(build_model([*many, rare]), active_rules(kind="cap", per="category", at_most=1))

    related_list = related.of("000", ListQuery(limit=5, diversity=0.1, fallback="none"), NOW)

    assert [related.articles.category[item.row] for item in related_list.items] == ["A", "B"]
    assert related_list.eligible == 2


def test_a_pin_may_be_in_another_language_unless_the_query_names_one() -> None:
    related = Related(build_model(newsroom()), active_rules(kind="pin", articles=["13"]))

    assert ids_of(related, "9", limit=1) == ["13"]
    assert "13" not in ids_of(related, "9", lang="en")


def test_a_pinned_article_under_embargo_appears_when_it_is_published() -> None:
    related = Related(build_model(newsroom()), active_rules(kind="pin", articles=["15"]))

    assert "15" not in ids_of(related, "9")
    later = related.of("9", ListQuery(), NOW + timedelta(minutes=1))
    assert (related.articles.ids[later.items[0].row], later.items[0].source) == ("15", "pin")


def test_a_text_gets_the_pins_of_the_category_of_the_nearest_article() -> None:
    related = Related(
        build_model(newsroom()), active_rules(kind="pin", articles=["13"], for_category="Environment")
    )
    storm = Article(id="-", title="Storm", body="The storm surge flooded the marsh.", lang="en")

    related_list = related.of_text(storm, ListQuery(limit=3), NOW)

    assert related.articles.ids[related_list.items[0].row] == "13"
    assert related_list.items[0].source == "pin"


def test_pins_come_before_the_newest_for_an_unknown_article() -> None:
    related = Related(
        build_model(newsroom()), active_rules(kind="pin", articles=["a"], for_article="no such id")
    )

    assert ids_of(related, "no such id", unknown="fallback", limit=2) == ["a", "14"]
