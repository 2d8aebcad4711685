"""Slugs: topics keep them from one training to the next, and all are unique."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.manifest import Topic
from recommender.training.topics.slugs import keep_slugs, members_of
from recommender.training.train import Trained, train

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def topic(slug: str, *terms: str) -> Topic:
    return Topic(slug=slug, name=slug, terms=list(terms), articles=1, coherence=0.0)


def test_a_topic_with_the_same_articles_keeps_its_slug() -> None:
    topics = [topic("harbour-quay", "harbour", "quay"), topic("ward-nurse", "ward", "nurse")]
    previous = [topic("hospital", "doctor"), topic("port", "ship")]

    renamed = keep_slugs(
        topics, [["a", "b", "c", "new"], ["x", "y"]], previous, [["x", "y", "z"], ["a", "b", "gone"]]
    )

    assert [entry.slug for entry in renamed] == ["port", "hospital"]
    assert [entry.name for entry in renamed] == ["harbour-quay", "ward-nurse"]


def test_a_topic_with_the_same_terms_keeps_its_slug() -> None:
    topics = [topic("a", "harbour", "quay", "ferry")]

    renamed = keep_slugs(topics, [["1"]], [topic("port", "harbour", "quay", "ship")], [["2"]])

    assert renamed[0].slug == "port"


def test_a_topic_that_matches_no_previous_topic_gets_a_new_slug() -> None:
    topics = [topic("a", "p"), topic("c", "q")]
    previous = [topic("b", "x"), topic("d", "y"), topic("e", "z")]

    renamed = keep_slugs(topics, [["1", "2", "3"], ["4", "5"]], previous, [["3", "4", "5"], ["1"], ["2"]])

    assert [entry.slug for entry in renamed] == ["a", "b"]


def test_the_most_similar_topic_gets_the_slug_and_slugs_are_unique() -> None:
    topics = [topic("port", "a"), topic("b", "b"), topic("port", "c")]
    ids = [list("abc"), list("defgh"), list("xyz")]
    previous = [topic("port", "p"), topic("dock", "q")]

    renamed = keep_slugs(topics, ids, previous, [list("defga"), list("hbc")])

    assert [entry.slug for entry in renamed] == ["dock", "port", "port-2"]


@given(
    st.lists(st.sets(st.sampled_from("abcdefgh")), max_size=5),
    st.lists(st.sets(st.sampled_from("abcdefgh")), max_size=5),
)
@settings(deadline=None)
def test_slugs_are_unique_for_any_previous_topics(now: list[set[str]], before: list[set[str]]) -> None:
    topics = [topic(f"t{at}", *sorted(terms)) for at, terms in enumerate(now)]
    previous = [topic(f"t{at + 1}", *sorted(terms)) for at, terms in enumerate(before)]

    renamed = keep_slugs(topics, now, previous, before)

    assert len({entry.slug for entry in renamed}) == len(topics)
    assert [entry.terms for entry in renamed] == [entry.terms for entry in topics]


def test_the_same_topics_keep_every_slug(trained: Trained) -> None:
    model = trained.model
    members = members_of(model.topic_space, model.articles.ids)
    fresh = [entry.model_copy(update={"slug": f"new-{at}"}) for at, entry in enumerate(model.manifest.topics)]

    renamed = keep_slugs(fresh, members, model.manifest.topics, members)

    assert renamed == model.manifest.topics


@pytest.mark.slow
def test_a_retrain_with_5_percent_new_articles_keeps_half_of_the_slugs(
    sample_articles: list[Article],
) -> None:
    before = train([a for row, a in enumerate(sample_articles) if row % 21], now=NOW).model

    after = train(sample_articles, now=NOW, previous=before).model

    slugs = {topic.slug for topic in before.manifest.topics} & {topic.slug for topic in after.manifest.topics}
    assert len(slugs) >= len(after.manifest.topics) / 2


@pytest.mark.slow
def test_a_previous_model_changes_nothing_but_slugs(sample_articles: list[Article], trained: Trained) -> None:
    renamed = [
        entry.model_copy(update={"slug": f"old-{at}"})
        for at, entry in enumerate(trained.model.manifest.topics)
    ]
    manifest = trained.model.manifest.model_copy(update={"topics": renamed})

    model = train(sample_articles, now=NOW, previous=replace(trained.model, manifest=manifest)).model

    assert model.manifest.topics == renamed
    assert model.topic_space.centroids.tobytes() == trained.model.topic_space.centroids.tobytes()
