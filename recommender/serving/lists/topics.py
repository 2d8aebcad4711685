"""The topics of a model, and the public articles of each topic."""

from datetime import datetime
from typing import Any

import numpy as np

from recommender.manifest import Topic
from recommender.serving.lists.related import Related


class UnknownTopicError(LookupError):
    """The model has no topic with this slug, or no public article has the topic."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"no topic has the slug {slug[:100]!r}")
        self.slug = slug


def all_topics(related: Related, now: datetime) -> dict[str, Any]:
    """Return all topics as JSON: those with the most public articles first, ties by slug.

    A topic whose articles are all under embargo is left out, because its name would reveal them.
    """
    public = related.snapshot.first_topics[related.public(now)]
    counts = np.bincount(public[public >= 0], minlength=len(related.model.manifest.topics)).tolist()
    pairs = zip(related.model.manifest.topics, counts, strict=True)
    topics = [_as_json(topic, articles) for topic, articles in pairs if articles]
    topics.sort(key=lambda topic: (-topic["articles"], topic["slug"]))
    return {"model_version": related.model.manifest.version, "topics": topics}


def topic_articles(related: Related, slug: str, now: datetime) -> tuple[dict[str, Any], np.ndarray]:
    """Return the topic with this slug as JSON, and a mask over the rows, (n,) bool: its public articles.

    An article belongs to the topic with the largest share of it. Raises UnknownTopicError.
    """
    for number, topic in enumerate(related.model.manifest.topics):
        if topic.slug == slug:
            mask = (related.snapshot.first_topics == number) & related.public(now)
            if mask.any():
                return _as_json(topic, int(np.count_nonzero(mask))), mask
    raise UnknownTopicError(slug)


def headline(related: Related, slug: str, now: datetime) -> str:
    """Return the title of a topic's most typical public article. Raises UnknownTopicError."""
    rows = np.flatnonzero(topic_articles(related, slug, now)[1])
    snapshot = related.snapshot
    centroid = snapshot.topic_space.centroids[snapshot.first_topics[rows[0]]]
    latent = snapshot.vectors.latent(rows)[:, : len(centroid)]
    return snapshot.articles.titles[int(rows[np.argmax(latent @ centroid)])]


def _as_json(topic: Topic, articles: int) -> dict[str, Any]:
    return {"slug": topic.slug, "name": topic.name, "terms": topic.terms, "articles": articles}
