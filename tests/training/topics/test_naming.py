"""Names of topics: distinctive, unique, without variants of a word, and spelt as in the articles."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recommender.columns import Strings
from recommender.manifest import Topic
from recommender.training.topics.naming import NamingTerms, TopicDescription, name_topics


def describe(
    inside: list[list[float]], words: list[str], first: list[int] | None = None
) -> tuple[NamingTerms, list[TopicDescription]]:
    """Describe topics from weights of words in articles; without `first`, each article is a topic."""
    rows = csr_array(np.array(inside, dtype=np.float32).reshape(len(inside), len(words)))
    topics = np.arange(len(inside)) if first is None else np.array(first)
    terms = NamingTerms.of(rows, np.ones(len(words)), Strings.of(words))
    return terms, terms.describe(topics, int(topics.max()) + 1)


def terms_of(inside: list[list[float]], words: list[str], first: list[int] | None = None) -> list[list[str]]:
    terms, descriptions = describe(inside, words, first)
    return [[terms.words[place] for place in description.terms] for description in descriptions]


def named(inside: list[list[float]], words: list[str], text: str = "") -> list[Topic]:
    """Name one topic for each article; all articles have the same text."""
    terms, descriptions = describe(inside, words)
    return name_topics(terms, descriptions, np.arange(len(inside)), lambda _: text)


def test_a_topic_is_named_by_its_distinctive_terms() -> None:
    words = ["council", "ferry", "harbour", "nurse", "ward"]

    topics = named([[1, 1, 0.9, 0, 0], [1, 0, 0, 1, 0.9]], words)

    assert [topic.terms[:2] for topic in topics] == [["ferry", "harbour"], ["nurse", "ward"]]
    assert [topic.slug for topic in topics] == ["ferry-harbour", "nurse-ward"]
    assert [topic.articles for topic in topics] == [1, 1]


def test_a_name_repeats_no_word_in_any_form() -> None:
    words = ["ferries", "ferry", "ferry line", "line", "port", "ports", "quay"]

    (terms,) = terms_of([[0.5, 1, 0.7, 0.8, 0.75, 0.6, 0.4]], words)

    assert terms == ["ferry line", "port", "quay"]


@pytest.mark.parametrize("pair", [("russia", "russian"), ("immigrants", "immigration"), ("hafen", "hafens")])
def test_forms_of_one_word_are_variants(pair: tuple[str, str]) -> None:
    assert terms_of([[1, 0.9]], list(pair)) == [[pair[0]]]


@pytest.mark.parametrize("pair", [("iran", "iraq"), ("port", "post"), ("council", "court"), ("東京", "東西")])
def test_different_words_are_not_variants(pair: tuple[str, str]) -> None:
    assert terms_of([[1, 0.9]], list(pair)) == [list(pair)]


def test_a_word_is_replaced_by_a_pair_that_half_of_its_articles_have() -> None:
    words = ["biden", "joe", "joe biden", "vote"]
    inside = [[1, 0.8, 0.5, 0.9], [1, 0.8, 0.5, 0.9], [1, 0.8, 0.5, 0], [1, 0, 0, 0.9]]

    assert terms_of(inside, words, [0, 0, 0, 0]) == [["joe biden", "vote"]]


def test_a_pair_of_fewer_articles_does_not_replace_the_word() -> None:
    words = ["biden", "hunter biden", "vote"]
    inside = [[1, 0.5, 0.9], [1, 0, 0.9], [1, 0, 0.9], [1, 0, 0.9]]

    assert terms_of(inside, words, [0, 0, 0, 0]) == [["biden", "vote"]]


def test_a_term_that_starts_with_a_number_names_no_topic() -> None:
    assert terms_of([[1, 1, 1, 0.5]], ["000 jobs", "19", "covid 19", "virus"]) == [["covid 19", "virus"]]


def test_a_term_with_a_code_names_no_topic() -> None:
    words = ["doi", "doi 10", "england 2001", "s41586", "mh370", "f35", "boeing"]

    assert terms_of([[1] * 7], words) == [["mh370", "f35", "boeing"]]


def test_words_of_a_site_name_no_topic_and_a_topic_of_them_is_boilerplate() -> None:
    terms, _ = describe([[1, 1, 1, 0], [0, 0, 1, 1]], ["highlights", "playback", "replay", "virus"])
    site_words = np.array([True, True, True, False])

    first, second = replace(terms, site_words=site_words).describe(np.arange(2), 2)

    assert (first.terms, first.is_boilerplate) == ([], True)
    assert (second.terms, second.is_boilerplate) == ([3], False)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("ab bc cd de", "bc cd de ef", True), ("ab bc cd de", "cd de ef fg", False), ("ab", "ab", False)],
)
def test_topics_with_half_of_their_words_in_common_are_similar(
    left: str, right: str, *, expected: bool
) -> None:
    one, other = (
        TopicDescription([], 9, 0.5, is_boilerplate=False, words=[frozenset({word}) for word in text.split()])
        for text in (left, right)
    )

    assert one.resembles(other) == other.resembles(one) == expected


def test_a_name_does_not_repeat_a_word_that_completes_a_term() -> None:
    (topic,) = named(
        [[1.0, 0.9, 0.8, 0.7]], ["fbi", "director", "james vale", "probe"], "FBI director James Vale"
    )

    assert len({*topic.name.replace(",", "").lower().split()}) == len(topic.name.split())


def test_a_term_that_few_articles_of_a_topic_have_does_not_name_it() -> None:
    inside = [[0.1, 1.0], *([[0.1, 0.0]] * 20), [0.0, 0.0]]

    assert terms_of(inside, ["ferry", "whale"], [0] * 21 + [1])[0] == ["ferry"]


def test_a_topic_of_repeated_passages_is_boilerplate_unless_it_is_small() -> None:
    words = [chr(ord("a") + at) * 3 for at in range(8)]

    _, (large, small, _) = describe([[1.0] * 8] * 20 + [[0.0] * 8] * 30, words, [0] * 20 + [2] * 29 + [1])
    _, (story, _) = describe([[1.0] * 8] * 10 + [[0.0] * 8] * 30, words, [0] * 10 + [1] * 30)

    assert [large.is_boilerplate, small.is_boilerplate, story.is_boilerplate] == [True, False, False]
    assert large.coherence == pytest.approx(1)
    assert (large.articles, small.terms, small.coherence) == (20, [], 0)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), min_size=1, max_size=12))
@settings(deadline=None)
def test_slugs_are_unique_even_if_topics_are_similar(inside: list[list[float]]) -> None:
    topics = named(inside, ["a b", "b", "cd", "ef"])

    assert len({topic.slug for topic in topics}) == len(topics)


@pytest.mark.parametrize("weights", [[1.0, 0.5], [1.0, 0.9, 0.8, 0.7]])
def test_names_are_unique_even_if_topics_are_similar(weights: list[float]) -> None:
    topics = named([weights] * 5, ["bell", "fen", "mill", "tide"][: len(weights)])

    assert len({topic.name for topic in topics}) == len(topics)


def test_a_name_is_spelt_as_the_articles_spell_it() -> None:
    (topic,) = named(
        [[1.0, 0.9, 0.8]], ["strike", "court appeal", "nrc"], "The strike; a Court of Appeal. NRC."
    )

    assert topic.name == "Strike, Court of Appeal, NRC"
    assert topic.terms == ["strike", "court appeal", "nrc"]
    assert topic.slug == "strike-court-appeal"


def test_pairs_of_characters_are_joined_in_name_and_slug() -> None:
    (topic,) = named([[1.0, 0.9, 0.8]], ["汐見 見大", "通行", "養殖"], "汐見大橋の通行")

    assert (topic.name, topic.slug) == ("汐見大, 通行, 養殖", "汐見大-通行")
