"""Two models are compared by lists, orphans, crowders and categories."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.article import Article
from recommender.displayed import displayed_lists
from recommender.model import Model
from recommender.sections import Section, difference_sections, sections_markdown
from recommender.training.release.difference import ModelPair
from tests.support.newsroom import build_model, newsroom


def ferries(count: int, start: int = 0) -> list[Article]:
    """Articles that are all about one thing, each a little different."""
    return [
        Article(id=f"f{n:03}", title=f"Ferry word{n} word{n + 1} word{n + 2}", category="Ferries")
        for n in range(start, start + count)
    ]


def list_ids(model: Model, article_id: str) -> list[str]:
    """The displayed list of an article, the slow way."""
    row = model.articles.ids.find(article_id)
    assert row is not None
    return [model.articles.ids[item] for item in displayed_lists(model).lists[row].tolist() if item >= 0]


def test_equal_models_do_not_differ() -> None:
    model = build_model(newsroom())

    difference = ModelPair(model, model).difference()

    assert (difference.overlap.mean, difference.overlap.median) == (1, 1)
    assert difference.overlap.kept == [0] * 9 + [len(newsroom())]
    assert (difference.articles_added, difference.articles_removed) == (0, 0)
    for unchanged in (difference.most_changed, difference.new_orphans, difference.new_crowders):
        assert unchanged == []
    assert difference.moved == []


def test_new_articles_are_no_change_and_the_overlap_is_that_of_the_articles_in_common() -> None:
    old, new = build_model(ferries(30)), build_model(ferries(30, start=10))

    pair = ModelPair(old, new)
    difference = pair.difference()

    common = {article.id for article in ferries(20, start=10)}
    assert difference.articles_in_common == len(common) == sum(difference.overlap.kept)
    assert (difference.articles_added, difference.articles_removed) == (10, 10)
    shares = {change.id: change.overlap for change in pair.articles()}
    assert set(shares) == common
    for article_id, share in shares.items():
        lists = [
            [item for item in every_neighbor(model, article_id) if item in common][:9] for model in (old, new)
        ]
        assert share == pytest.approx(len({*lists[0]} & {*lists[1]}) / 9)
    assert difference.overlap.mean == pytest.approx(np.mean([*shares.values()]))


def every_neighbor(model: Model, article_id: str) -> list[str]:
    row = model.articles.ids.find(article_id)
    return [model.articles.ids[item] for item in model.neighbors.rows[row].tolist() if item >= 0]


def test_articles_that_became_orphans_or_crowders_are_named() -> None:
    articles = ferries(40)
    base, always = build_model(articles), 20  # in no list of both models
    rows = np.where(base.neighbors.rows == always, always + 1, base.neighbors.rows)
    old = replace(base, neighbors=replace(base.neighbors, rows=rows))
    crowded = np.full_like(old.neighbors.rows, 0)  # every list begins with the first article
    crowded[:, 1:] = old.neighbors.rows[:, :-1]
    crowded[0] = old.neighbors.rows[0]
    gone = 7
    crowded[crowded == gone] = 1
    new = replace(old, neighbors=replace(old.neighbors, rows=crowded))

    difference = ModelPair(old, new).difference(count=40)

    before = sum(articles[gone].id in list_ids(old, article.id) for article in articles)
    assert before > 0
    assert [(item.id, item.lists_before, item.lists_after) for item in difference.new_orphans][:1] == [
        (articles[gone].id, before, 0)
    ]
    assert articles[always].id not in {item.id for item in difference.new_orphans}
    assert (difference.orphans_before, difference.orphans_after) == (1, len(difference.new_orphans) + 1)
    assert [item.id for item in difference.new_crowders][:1] == [articles[0].id]
    assert difference.new_crowders[0].lists_after >= len(articles) - 1
    assert (difference.crowders_before, len(ModelPair(old, new).difference(3).most_changed)) == (0, 3)


def test_an_orphan_that_the_old_model_does_not_contain_is_new() -> None:
    stranger = Article(id="z", title="Zebra quagga xylophone")
    old, new = build_model(ferries(40)), build_model([*ferries(40), stranger])

    orphans = ModelPair(old, new).difference().new_orphans

    assert [(item.id, item.lists_before) for item in orphans if item.lists_before is None] == [("z", None)]


def test_moved_categories_are_counted() -> None:
    articles = ferries(10)
    moved = [replace(article, category="Ships") for article in articles[:3]]
    old, new = (
        build_model(articles),
        build_model([*moved, replace(articles[3], category=None), *articles[4:]]),
    )

    difference = ModelPair(old, new).difference()

    assert [(item.before, item.after, item.articles) for item in difference.moved] == [
        ("Ferries", "Ships", 3),
        ("Ferries", "", 1),
    ]
    assert {item.category: item.articles for item in difference.categories} == {
        "": 1,
        "Ferries": 6,
        "Ships": 3,
    }


def test_models_of_different_sites_have_nothing_in_common() -> None:
    difference = ModelPair(build_model(newsroom()), build_model(ferries(5))).difference()

    assert (difference.articles_in_common, difference.overlap.mean) == (0, None)
    assert "stayed" not in sections_markdown("A → B", difference_sections(difference))


def test_markdown_shows_titles_without_their_markup() -> None:
    section = Section("Titles", ("Id", ">Titles"), [("h|", ["<img src=x> [link](http://x)", "# `a`\n"])])

    text = sections_markdown("A → *B*", [section, Section("Empty", ("X",))])

    assert text.splitlines() == [
        r"# A → \*B\*",
        "",
        "## Titles",
        "",
        "| Id | Titles |",
        "| --- | ---: |",
        r"| h\| | \<img src=x\> \[link\](http://x)<br># \`a\`\\x0a |",
    ]
