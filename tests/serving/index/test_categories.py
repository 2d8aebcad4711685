"""Categories are found by name or slug, and the error on an unknown name lists the known ones."""

import pytest

from recommender.article import Article
from recommender.model import Articles
from recommender.serving.index.categories import Categories, UnknownCategoryError, slug
from recommender.serving.index.documents import Documents


def _categories(*rows: tuple[str | None, tuple[str, ...]]) -> Categories:
    articles = [
        Article(id=f"{number:02}", title="x", category=primary, categories=names)
        for number, (primary, names) in enumerate(rows)
    ]
    return Categories(Documents.of(Articles.of(articles)))


@pytest.mark.parametrize("wanted", ["Science & Tech", "science & tech", "science-tech", "SCIENCE-TECH"])
def test_a_category_is_found_by_name_or_slug_in_any_case(wanted: str) -> None:
    categories = _categories(("Science & Tech", ()), ("Politics", ()), (None, ("Science & Tech",)))

    assert categories.rows([wanted]).tolist() == [True, False, True]


def test_several_names_match_articles_in_any_of_them() -> None:
    categories = _categories(("a", ()), ("b", ("c",)), ("d", ()))

    assert categories.rows(["a", "C"]).tolist() == [True, True, False]


def test_categories_that_differ_only_in_case_are_found_together() -> None:
    categories = _categories(("News", ()), ("news", ()))

    assert categories.rows(["NEWS"]).tolist() == [True, True]


def test_the_error_on_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownCategoryError) as error:
        _categories(("b", ()), ("A", ())).rows(["z"])

    assert (error.value.name, error.value.known) == ("z", ["A", "b"])


def test_the_largest_category_comes_first() -> None:
    assert _categories(("a", ()), ("b", ()), ("b", ()), (None, ())).by_size == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Science & Tech", "science-tech"),
        ("Économie", "economie"),
        ("Children's Books", "childrens-books"),
        ("AC/DC", "ac-dc"),
        ("国际 新闻", "国际-新闻"),
        ("white_house", "white-house"),
        ("&", ""),
    ],
)
def test_a_slug_is_the_name_as_written_in_urls(name: str, expected: str) -> None:
    assert slug(name) == expected
