"""Standing words: function words of a language, and words of one site."""

import numpy as np
import pytest
from scipy.sparse import csc_array

from recommender.article import Article
from recommender.training.topics.standing_words import function_words, site_words

N = 60
CLUSTERS = np.arange(N) % 3


def articles(lang: str = "lv", url: str = "") -> list[Article]:
    return [Article(id=str(row), title="x", lang=lang, url=url or None) for row in range(N)]


def present(*terms: np.ndarray) -> csc_array:
    return csc_array(np.array(terms, dtype=np.float32).reshape(len(terms), N).T)


EVERYWHERE = np.arange(N) % 2 == 0
IN_ONE_CLUSTER = CLUSTERS == 0
RARE = np.arange(N) < 5


def test_a_word_that_is_frequent_in_all_clusters_is_a_function_word() -> None:
    matrix = present(EVERYWHERE, IN_ONE_CLUSTER, RARE)

    found = function_words(["un", "osta", "kuģis"], matrix, CLUSTERS, articles(), ())

    assert found.tolist() == [True, False, False]


def test_a_pair_with_a_function_word_is_excluded_even_if_the_word_is_no_term() -> None:
    pairs = [EVERYWHERE & IN_ONE_CLUSTER, EVERYWHERE & (CLUSTERS == 1), EVERYWHERE & (CLUSTERS == 2)]

    found = function_words(["un osta", "un kuģis", "un ceļš"], present(*pairs), CLUSTERS, articles(), ())

    assert found.all()


def test_a_language_with_a_stop_word_list_keeps_its_frequent_words() -> None:
    found = function_words(["un"], present(np.arange(N) % 3 == 1), np.arange(N) % 2, articles(), {"lv"})

    assert not found.any()


def test_a_language_of_few_articles_is_not_judged() -> None:
    mixed = [Article(id=str(row), title="x", lang="lv" if row < 19 else "en") for row in range(N)]

    found = function_words(["un"], present(np.arange(N) < 19), CLUSTERS, mixed, {"en"})

    assert not found.any()


def test_articles_without_a_topic_count_as_a_cluster() -> None:
    found = function_words(["un"], present(EVERYWHERE), np.full(N, -1), articles(), ())

    assert found.all()


@pytest.mark.parametrize(("share_elsewhere", "expected"), [(0, True), (10, False)])
def test_a_frequent_word_of_one_site_is_a_site_word(share_elsewhere: int, expected: bool) -> None:  # noqa: FBT001
    url = ["https://www.ferry.example/a" if row < 25 else "https://b.example/a" for row in range(N)]
    mixed = [Article(id=str(row), title="x", url=url[row]) for row in range(N)]
    word = (np.arange(N) < 20) | (np.arange(N) >= N - share_elsewhere)

    assert site_words(["replay"], present(word), mixed).tolist() == [expected]


def test_the_only_site_of_a_corpus_has_no_words_but_its_name() -> None:
    found = site_words(
        ["replay", "daily ferry", "courier"],
        present(EVERYWHERE, RARE, RARE),
        articles(url="https://www.thedailyferry.co.uk/a"),
    )

    assert found.tolist() == [False, True, False]


def test_without_urls_there_are_no_site_words() -> None:
    assert not site_words(["replay"], present(EVERYWHERE), articles()).any()
