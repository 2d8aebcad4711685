"""Error analysis: the lists with the lowest quality, with titles, for people to review."""

from dataclasses import dataclass

import numpy as np

from recommender.model import Model
from recommender.training.evaluation.labels import LabelFile, judgements
from recommender.training.evaluation.measures import MEASURES, judged_lists, measured


@dataclass(frozen=True)
class Miss:
    """A query whose list lacks relevant articles or ranks them too low."""

    title: str
    ndcg_at_9: float
    listed: tuple[tuple[str, bool], ...]  # titles of the judged list, and whether each is relevant
    missing: tuple[str, ...]  # titles of relevant articles that are not in the list, in row order


def worst_misses(model: Model, labels: LabelFile, count: int = 10) -> list[Miss]:
    """Return the queries with the lowest nDCG@9 in the model's own lists, the worst first.

    Ties are in row order. Queries with a perfect list are left out. Raises LabelsError when the model does
    not contain two labelled articles that belong together.

    >>> misses = recommender.worst_misses(model, labels, count=3)
    >>> [0 <= miss.ndcg_at_9 < 1 for miss in misses]
    [True, True, True]
    """
    titles = model.articles.titles
    judged = judgements(labels, model.articles)
    ranked = np.asarray(model.neighbors.rows[judged.queries])
    lists = list(judged_lists(ranked, judged, titles))
    values = measured(ranked, judged, titles)[:, list(MEASURES).index("ndcg_at_9")]
    misses = []
    for position in np.argsort(values, kind="stable")[:count]:
        if values[position] > 1 - 1e-9:
            break
        query, items = int(judged.queries[position]), lists[position]
        relevant = judged.relevant(query)[0].tolist()
        misses.append(
            Miss(
                titles[query],
                float(values[position]),
                tuple((titles[row], row in relevant) for row in items),
                tuple(titles[row] for row in relevant if row not in items),
            )
        )
    return misses
