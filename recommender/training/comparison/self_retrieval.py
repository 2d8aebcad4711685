"""Queries without labels: a part of an article must find the article, which is trained without that part.

A sample of the articles lose a part: every second one its headline, the others the second half of their body.
The part is then a query, and the article that lost it is the only right answer. So the headline or the end of
a story has to be connected with the rest of it, which is harder than to find words that are still there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.article import Article
from recommender.displayed import LIST_LENGTH
from recommender.model import Model
from recommender.neighbors import top_k
from recommender.training.evaluation.measures import MEASURES
from recommender.training.evaluation.probes import hash_sample

MOST = 400  # articles that lose a part
_SHARE = 5  # at most a fifth of the articles
_MIN_WORDS = 40  # of a body that loses a part
_CLUSTER = 4  # best articles looked at for each place of the list, because copies count once


@dataclass(frozen=True)
class SelfRetrieval:
    """Articles without a part, and the parts as queries."""

    articles: list[Article]  # in the order of ids; those of the queries lack a part
    queries: list[tuple[str, Article]]  # the id of the right answer, and the query

    @classmethod
    def of(cls, articles: Sequence[Article]) -> "SelfRetrieval":
        """Take a part from a sample of articles in the order of ids; the sample is chosen by their ids."""
        ordered = list(articles)
        long = [row for row, article in enumerate(ordered) if len(article.body.split()) >= _MIN_WORDS]
        size = min(MOST, len(ordered) // _SHARE)
        sample = [long[place] for place in hash_sample([ordered[row].id for row in long], size)]
        queries = []
        for number, row in enumerate(sample):
            article = ordered[row]
            words = article.body.split()
            first, second = (" ".join(half) for half in (words[: len(words) // 2], words[len(words) // 2 :]))
            by_headline = bool(number % 2 and article.title)
            part, rest = (
                (article.title, replace(article, title=""))
                if by_headline
                else (second, replace(article, body=first))
            )
            ordered[row] = rest
            queries.append((article.id, Article(id="query", title="", body=part, lang=article.lang)))
        return cls(ordered, queries)

    def measured(self, model: Model) -> np.ndarray:
        """Return each measure for each query, (q, 4) float64, in the order of MEASURES."""
        values = np.zeros((len(self.queries), len(MEASURES)))
        first = np.asarray(model.copies.first)
        for position, (article_id, query) in enumerate(self.queries):
            scores = model.scores(model.query(query))
            best = top_k(scores, _CLUSTER * LIST_LENGTH)
            clusters = list(dict.fromkeys(first[best[scores[best] > 0]].tolist()))[:LIST_LENGTH]
            own = int(first[model.articles.ids.find(article_id)])
            if own in clusters:
                rank = clusters.index(own) + 1
                values[position] = 1 / np.log2(1 + rank), 1, rank == 1, 1 / rank
        return values
