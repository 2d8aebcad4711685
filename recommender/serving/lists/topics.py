"""The topics of a model as readers meet them: which there are, and the public articles of each."""

from datetime import datetime
from typing import Any

import numpy as np

from recommender.model import Topic
from recommender.serving.lists.related import Related


class UnknownTopicError(LookupError):
    """The model has no topic of public articles with this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"no topic has the slug {slug[:100]!r}")
        self.slug = slug


def all_topics(related: Related, now: datetime) -> dict[str, Any]:
    """Return all topics as the contract has them: by number of public articles, the most first, then by slug.

    A topic that only articles under embargo have is left out, for its name would tell of them.
    """
    public = related.snapshot.first_topics[related.public(now)]
    counts = np.bincount(public[public >= 0], minlength=len(related.model.manifest.topics)).tolist()
    pairs = zip(related.model.manifest.topics, counts, strict=True)
    told = [_told(topic, articles) for topic, articles in pairs if articles]
    told.sort(key=lambda topic: (-topic["articles"], topic["slug"]))
    return {"model_version": related.model.manifest.version, "topics": told}


def topic_articles(related: Related, slug: str, now: datetime) -> tuple[dict[str, Any], np.ndarray]:
    """Return the topic of this slug as JSON, and a mask over the rows, (n,) bool: its public articles.

    Those are the ones of which it has the largest share. Raises UnknownTopicError, also when there are none.
    """
    for number, topic in enumerate(related.model.manifest.topics):
        if topic.slug == slug:
            mask = (related.snapshot.first_topics == number) & related.public(now)
            if mask.any():
                return _told(topic, int(np.count_nonzero(mask))), mask
    raise UnknownTopicError(slug)


def headline(related: Related, slug: str, now: datetime) -> str:
    """Return the title of a topic's most typical public article. Raises UnknownTopicError."""
    rows = np.flatnonzero(topic_articles(related, slug, now)[1])
    snapshot = related.snapshot
    centroid = snapshot.topic_space.centroids[snapshot.first_topics[rows[0]]]
    return snapshot.articles.titles[int(rows[np.argmax(snapshot.vectors.latent(rows) @ centroid)])]


def _told(topic: Topic, articles: int) -> dict[str, Any]:
    return {"slug": topic.slug, "name": topic.name, "terms": topic.terms, "articles": articles}
