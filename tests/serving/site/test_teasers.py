"""What a page says of why an article is there, in words for readers."""

from dataclasses import replace

from recommender.model import Topic
from recommender.serving.lists.explain import Explanation
from recommender.serving.site.teasers import Word, label, reasons

PORT = Topic(slug="port", name="The port", terms=["quay"], articles=3, coherence=0.5)
WHY = Explanation(
    terms=(("harbour quay", 0.4), ("quay", 0.3), ("dredging", 0.2), ("lane", 0.05)),
    other_terms=0.01,
    topics=((PORT, 0.1),),
    other_topics=0.0,
    feedback=0.0,
    hub=0.0,
    freshness=0.0,
    boost=0.0,
)


def test_words_are_told_once_and_only_those_that_say_something() -> None:
    assert reasons(WHY).words == (Word("harbour quay", 100), Word("dredging", 50))


def test_topics_are_told_by_name() -> None:
    assert reasons(WHY).topics == ("The port",)


def test_what_changes_a_score_by_little_is_not_told() -> None:
    assert reasons(replace(WHY, freshness=-0.01, hub=-0.01, feedback=0.01, boost=0.01)).adjustments == ()


def test_what_sets_a_story_higher_or_lower_is_told() -> None:
    told = reasons(replace(WHY, freshness=-0.2, hub=-0.2, boost=-0.2)).adjustments

    assert [sentence.split()[-1] for sentence in told] == ["lower.", "lower.", "lower."]
    assert reasons(replace(WHY, boost=0.2)).adjustments == ("The editors set it higher.",)


def test_a_story_without_words_in_common_has_no_words_told() -> None:
    assert reasons(replace(WHY, terms=())).words == ()


def test_a_section_is_named_as_readers_expect_it() -> None:
    assert [label(name) for name in ("white_house", "Law & Justice")] == ["White house", "Law & Justice"]
