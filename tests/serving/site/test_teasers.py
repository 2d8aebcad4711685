"""The reasons for an article in a list, in words for readers."""

from dataclasses import replace

from recommender.manifest import Topic
from recommender.serving.lists.explain import Explanation
from recommender.serving.site.teasers import Word, label, reasons

PORT = Topic(slug="port", name="The port", terms=["quay"], articles=3, coherence=0.5)
WHY = Explanation(
    terms=(("harbour quay", 0.4), ("quay", 0.3), ("dredging", 0.2), ("lane", 0.05)),
    other_terms=0.01,
    topics=((PORT, 0.1),),
    other_topics=0.0,
    vector=0.0,
    feedback=0.0,
    expansion=0.0,
    hub=0.0,
    freshness=0.0,
    boost=0.0,
)


def test_words_are_listed_once_without_those_that_contribute_little() -> None:
    assert reasons(WHY).words == (Word("harbour quay", 100), Word("dredging", 50))


def test_topics_are_listed_by_name() -> None:
    assert reasons(WHY).topics == ("The port",)


def test_small_adjustments_of_a_score_are_not_mentioned() -> None:
    assert reasons(replace(WHY, freshness=-0.01, hub=-0.01, feedback=0.01, boost=0.01)).adjustments == ()


def test_large_adjustments_of_a_score_are_mentioned() -> None:
    adjustments = reasons(replace(WHY, freshness=-0.2, hub=-0.2, boost=-0.2)).adjustments

    assert [sentence.split()[:2] for sentence in adjustments] == [["Ranked", "lower"]] * 3
    assert reasons(replace(WHY, boost=0.2)).adjustments == ("Ranked higher by the editors.",)


def test_a_story_without_shared_words_has_no_words() -> None:
    assert reasons(replace(WHY, terms=())).words == ()


def test_a_category_has_a_readable_label() -> None:
    assert [label(name) for name in ("white_house", "Law & Justice")] == ["White house", "Law & Justice"]
