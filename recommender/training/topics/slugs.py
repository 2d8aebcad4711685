"""Slugs that last: a topic that was there before keeps the name under which others link to it."""

from collections.abc import Collection, Sequence
from itertools import chain, count

import numpy as np

from recommender.model import Topic, TopicSpace

_SAME_TOPIC = 0.5  # of the Jaccard coefficient


def keep_slugs(
    topics: Sequence[Topic],
    members: Sequence[Collection[str]],
    previous: Sequence[Topic],
    previous_members: Sequence[Collection[str]],
) -> list[Topic]:
    """Return the topics, those that were there before under their previous slugs.

    Two topics are one when the Jaccard coefficient of their members' ids, counted among the articles of both
    times, or that of their terms is at least 0.5; the likest first, each once. A new topic never takes over a
    slug that another one keeps.
    """
    overlap = _likeness(members, previous_members)
    words = [[_jaccard(set(topic.terms), set(old.terms)) for old in previous] for topic in topics]
    likeness = np.maximum(overlap, np.array(words).reshape(overlap.shape))
    kept: dict[int, str] = {}
    for at in np.argsort(-likeness, axis=None, kind="stable").tolist():
        topic, old = divmod(at, len(previous))
        if likeness[topic, old] < _SAME_TOPIC:
            break
        if topic not in kept and previous[old].slug not in kept.values():
            kept[topic] = previous[old].slug
    taken = set(kept.values())
    slugs = []
    for at, topic in enumerate(topics):
        slugs.append(kept[at] if at in kept else _free(topic.slug, taken))
        taken.add(slugs[-1])
    return [topic.model_copy(update={"slug": slug}) for topic, slug in zip(topics, slugs, strict=True)]


def members_of(space: TopicSpace, ids: Sequence[str]) -> list[list[str]]:
    """Return the ids of the articles that have each topic first."""
    members: list[list[str]] = [[] for _ in space.centroids]
    for article_id, topic in zip(ids, space.first.tolist(), strict=True):
        if topic >= 0:
            members[topic].append(article_id)
    return members


def _likeness(members: Sequence[Collection[str]], previous: Sequence[Collection[str]]) -> np.ndarray:
    """Return the Jaccard coefficients of the members that both sides know, (topics, previous)."""
    topic_of = {article_id: old for old, ids in enumerate(previous) for article_id in ids}
    both = np.zeros((len(members), len(previous)))
    for topic, ids in enumerate(members):
        for article_id in ids:
            if article_id in topic_of:
                both[topic, topic_of[article_id]] += 1
    either = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    return np.asarray(both / np.maximum(either, 1))


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(len(one | other), 1)


def _free(slug: str, taken: Collection[str]) -> str:
    return next(
        name for name in chain([slug], (f"{slug}-{number}" for number in count(2))) if name not in taken
    )
