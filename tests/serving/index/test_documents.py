"""Live articles are found by their URLs and the variants of them."""

from recommender.article import Article
from recommender.model import Articles
from recommender.serving.index.documents import Documents


def article(article_id: str, url: str) -> Article:
    return Article(id=article_id, title="Title", url=url)


def found(documents: Documents, url: str) -> str | None:
    row = documents.find_url(url)
    return None if row is None else documents.ids[row]


def test_a_live_article_is_found_by_variants_of_its_url() -> None:
    documents = Documents.of(Articles.of([])).with_articles([article("a", "https://a.example/x/")])

    for variant in ("https://a.example/x?gclid=1", "https://amp.a.example/x/amp/", "a.example/x/index.html"):
        assert found(documents, variant) == "a"
    assert found(documents, "https://a.example/y") is None


def test_the_exact_url_comes_before_a_variant_in_the_model_and_among_live_articles() -> None:
    trained = Articles.of([article("a", "https://a.example/x"), article("b", "https://a.example/y?ref=1")])
    documents = Documents.of(trained).with_articles([article("c", "https://a.example/x?ref=1")])

    assert found(documents, "https://a.example/x?ref=1") == "c"
    assert found(documents, "https://a.example/x?ref=2") == "a"
    assert found(documents, "https://a.example/y") == "b"


def test_the_exact_url_comes_before_a_variant_in_the_model_alone() -> None:
    documents = Documents.of(
        Articles.of([article("a", "https://a.example/x"), article("b", "https://a.example/x?ref=1")])
    )

    assert [found(documents, f"https://a.example/x?ref={ref}") for ref in (1, 2)] == ["b", "a"]


def test_a_page_of_several_articles_is_no_article() -> None:
    documents = Documents.of(Articles.of([article("a", "https://a.example/x?ref=1")]))
    documents = documents.with_articles([article("b", "https://a.example/x?ref=2")])
    documents = documents.with_articles([article("c", "https://a.example/y?ref=1")])
    documents = documents.with_articles([article("d", "https://a.example/y?ref=2")])

    assert found(documents, "https://a.example/x") is None
    assert found(documents, "https://a.example/y") is None
    assert [found(documents, f"https://a.example/y?ref={ref}") for ref in (1, 2)] == ["c", "d"]


def test_a_later_state_of_an_article_is_found_by_its_page() -> None:
    documents = Documents.of(Articles.of([article("a", "https://a.example/x?ref=1")]))
    documents = documents.with_articles([article("a", "https://a.example/x?ref=2")])
    documents = documents.with_articles([article("a", "https://a.example/x?ref=3")])

    row = documents.find_url("https://a.example/x?fbclid=1")

    assert row == 2
