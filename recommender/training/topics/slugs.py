"""Stable slugs: a topic that the previous model also has keeps its slug, so that links to it stay valid.

Slugs follow the articles and the terms of a topic, not its name: two topics match if the Jaccard coefficient
of their articles or of their terms is at least 0.4. Only slugs depend on the previous model; the topics
themselves depend on the corpus and the recipe alone.
"""

from collections.abc import Collection, Sequence
from itertools import chain, count

import numpy as np

from recommender.manifest import Topic
from recommender.topic_space import TopicSpace

_SAME_TOPIC = 0.4  # least Jaccard coefficient


def keep_slugs(
    topics: Sequence[Topic],
    members: Sequence[Collection[str]],
    previous: Sequence[Topic],
    previous_members: Sequence[Collection[str]],
) -> list[Topic]:
    """Return the topics; a topic that matches a previous topic gets the previous slug.

    Two topics match if the Jaccard coefficient of their members' ids, among the articles of both models, or
    of their terms is at least 0.4. The most similar topics are matched first, and each at most once. A new
    topic never gets a slug that a matched topic has.
    """
    member_similarity = _member_similarity(members, previous_members)
    term_similarity = [[_jaccard(set(topic.terms), set(old.terms)) for old in previous] for topic in topics]
    similarity = np.maximum(member_similarity, np.array(term_similarity).reshape(member_similarity.shape))
    slug_of: dict[int, str] = {}
    for position in np.argsort(-similarity, axis=None, kind="stable").tolist():
        topic, old = divmod(position, len(previous))
        if similarity[topic, old] < _SAME_TOPIC:
            break
        if topic not in slug_of and previous[old].slug not in slug_of.values():
            slug_of[topic] = previous[old].slug
    used = set(slug_of.values())
    slugs = []
    for position, topic in enumerate(topics):
        slugs.append(slug_of[position] if position in slug_of else _unused(topic.slug, used))
        used.add(slugs[-1])
    return [topic.model_copy(update={"slug": slug}) for topic, slug in zip(topics, slugs, strict=True)]


def members_of(space: TopicSpace, ids: Sequence[str]) -> list[list[str]]:
    """Return, for each topic, the ids of the articles whose first topic it is."""
    members: list[list[str]] = [[] for _ in space.centroids]
    for article_id, topic in zip(ids, space.first.tolist(), strict=True):
        if topic >= 0:
            members[topic].append(article_id)
    return members


def _member_similarity(members: Sequence[Collection[str]], previous: Sequence[Collection[str]]) -> np.ndarray:
    """Return the Jaccard coefficients of the members, among articles of both models, (topics, previous)."""
    topic_of = {article_id: old for old, ids in enumerate(previous) for article_id in ids}
    common = np.zeros((len(members), len(previous)))
    for topic, ids in enumerate(members):
        for article_id in ids:
            if article_id in topic_of:
                common[topic, topic_of[article_id]] += 1
    union = common.sum(axis=1)[:, None] + common.sum(axis=0) - common
    return np.asarray(common / np.maximum(union, 1))


def _jaccard(left: set[str], right: set[str]) -> float:
    return len(left & right) / max(len(left | right), 1)


def _unused(slug: str, used: Collection[str]) -> str:
    return next(
        name for name in chain([slug], (f"{slug}-{number}" for number in count(2))) if name not in used
    )
