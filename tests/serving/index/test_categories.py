"""Categories are found by name or slug, and a name that none has is refused with those that there are."""

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
    found = _categories(("Science & Tech", ()), ("Politics", ()), (None, ("Science & Tech",)))

    assert found.rows([wanted]).tolist() == [True, False, True]


def test_several_names_mean_any_of_them() -> None:
    found = _categories(("a", ()), ("b", ("c",)), ("d", ()))

    assert found.rows(["a", "C"]).tolist() == [True, True, False]


def test_categories_that_differ_in_case_only_are_found_together() -> None:
    found = _categories(("News", ()), ("news", ()))

    assert found.rows(["NEWS"]).tolist() == [True, True]


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownCategoryError) as refused:
        _categories(("b", ()), ("A", ())).rows(["z"])

    assert (refused.value.name, refused.value.known) == ("z", ["A", "b"])


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
def test_a_slug_is_the_name_as_addresses_carry_it(name: str, expected: str) -> None:
    assert slug(name) == expected
