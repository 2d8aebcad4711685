"""What rules come to in rows: boosts, caps and pins, beyond what was computed at training."""

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


def acting(**fields: Any) -> ActiveRules:
    return Rules((_rule(**fields),)).active(NOW)


def _rule(kind: str, **fields: Any) -> Rule:
    return read_rule({"id": "x", "kind": kind, "reason": "so", "author": "A. Reyes"} | fields, "")


def with_live(*articles: Article) -> Snapshot:
    """Return the newsroom with articles that came after training."""
    snapshot = Snapshot.of(build_model(SIGNED))
    return snapshot.with_articles([(each, fold_in(snapshot.model, each)) for each in articles])


LIVE = Article(
    id="new", title="Storm again", body="The storm surge flooded the marsh.", authors=("jane doe",)
)


def ruled(active: ActiveRules, *live: Article) -> AppliedRules:
    snapshot = with_live(*live)
    return AppliedRules(snapshot, Categories(snapshot.articles), active)


def boosts_of(active: ActiveRules, *live: Article) -> dict[str, float]:
    """Return the factor of each article."""
    boosts = ruled(active, *live).boosts
    assert boosts is not None
    return dict(zip(with_live(*live).articles.ids, boosts.tolist(), strict=True))


def ids_of(related: Related, article_id: str, **query: Any) -> list[str]:
    found = related.of(article_id, ListQuery(**query), NOW)
    return [related.articles.ids[item.row] for item in found.items]


def test_boosts_of_one_article_are_multiplied_within_bounds() -> None:
    rules = [_rule("boost", articles=["9"], factor=n) for n in (5.0, 4.0)]
    rules += [_rule("boost", articles=["10"], factor=n) for n in (0.2, 0.1)]
    rules += [_rule("boost", articles=["11"], factor=n) for n in (0.5, 3.0)]

    factor_of = boosts_of(Rules(tuple(rules)).active(NOW))

    assert [factor_of[each] for each in ("9", "10", "11", "8")] == [10.0, 0.1, 1.5, 1.0]


def test_a_boost_of_an_author_reaches_live_articles() -> None:
    factor_of = boosts_of(acting(kind="boost", by_author="JANE DOE", factor=2), LIVE)

    assert {article_id for article_id, factor in factor_of.items() if factor == 2} == {"9", "10", "new"}


def test_first_authors_of_live_articles_count_to_the_cap() -> None:
    live = [
        replace(LIVE, id=f"new{n}", authors=names) for n, names in enumerate([("Jane Doe", "X"), ("X",), ()])
    ]

    caps = ruled(acting(kind="cap", per="author", at_most=1), *live).caps

    group_of = {each: caps.groups[0][row] for row, each in enumerate(with_live(*live).articles.ids)}
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
    active = acting(kind="boost", articles=["s5"], factor=10)
    whole, short = (Related(build_model(articles, k=k), active) for k in (50, 2))

    found = ids_of(short, "s0", limit=limit)

    assert found == ids_of(whole, "s0", limit=limit)
    assert found[0] == "s5"


def test_a_boost_orders_and_never_makes_an_article_similar() -> None:
    plain, boosted = (
        Related(build_model(SIGNED, similar_above=0.4), active)
        for active in (ActiveRules(), acting(kind="boost", articles=["8"], factor=10))
    )
    query = ListQuery(limit=14)

    sources = [
        {related.articles.ids[item.row]: item.source for item in related.of("9", query, NOW).items}
        for related in (plain, boosted)
    ]

    assert sources[0] == sources[1]
    assert sources[0]["8"] != "similar"


def test_under_caps_and_diversity_the_whole_order_goes_on_beyond_the_pool() -> None:
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
    related = Related(build_model([*many, rare]), acting(kind="cap", per="category", at_most=1))

    found = related.of("000", ListQuery(limit=5, diversity=0.1, fallback="none"), NOW)

    assert [related.articles.category[item.row] for item in found.items] == ["A", "B"]
    assert found.eligible == 2


def test_a_pin_stands_whatever_the_language_of_the_article_but_not_one_that_is_asked_for() -> None:
    related = Related(build_model(newsroom()), acting(kind="pin", articles=["13"]))

    assert ids_of(related, "9", limit=1) == ["13"]
    assert "13" not in ids_of(related, "9", lang="en")


def test_a_pin_of_an_article_to_come_waits_for_its_moment() -> None:
    related = Related(build_model(newsroom()), acting(kind="pin", articles=["15"]))

    assert "15" not in ids_of(related, "9")
    later = related.of("9", ListQuery(), NOW + timedelta(minutes=1))
    assert (related.articles.ids[later.items[0].row], later.items[0].source) == ("15", "pin")


def test_a_text_gets_the_pins_of_the_section_that_it_is_nearest_to() -> None:
    related = Related(
        build_model(newsroom()), acting(kind="pin", articles=["13"], for_category="Environment")
    )
    storm = Article(id="-", title="Storm", body="The storm surge flooded the marsh.", lang="en")

    found = related.like(storm, ListQuery(limit=3), NOW)

    assert related.articles.ids[found.items[0].row] == "13"
    assert found.items[0].source == "pin"


def test_pins_come_before_the_newest_for_an_unknown_article() -> None:
    related = Related(build_model(newsroom()), acting(kind="pin", articles=["a"], for_article="no such id"))

    assert ids_of(related, "no such id", unknown="fallback", limit=2) == ["a", "14"]
