"""Lists that labels call poor, with their titles, for a person to judge by hand."""

from dataclasses import dataclass

import numpy as np

from recommender.model import Model
from recommender.training.evaluation.labels import LabelFile, judgements
from recommender.training.evaluation.measures import MEASURES, judged_lists, measured


@dataclass(frozen=True)
class Miss:
    """A query whose list lacks what is right for it, or has it too low."""

    title: str
    ndcg_at_9: float
    listed: tuple[tuple[str, bool], ...]  # titles of the list as it is judged, and whether each is right
    wanted: tuple[str, ...]  # titles of what is right and not in the list, in row order


def worst_misses(model: Model, labels: LabelFile, count: int = 10) -> list[Miss]:
    """Return the queries with the lowest nDCG@9 in the model's own lists, the worst first.

    Queries with equal values come in row order; one with a perfect list is no miss. Raises LabelsError when
    no two of the labelled articles are in the model.
    """
    titles = model.articles.titles
    judged = judgements(labels, model.articles)
    ranked = np.asarray(model.neighbors.rows[judged.queries])
    lists = list(judged_lists(ranked, judged, titles))
    values = measured(ranked, judged, titles)[:, list(MEASURES).index("ndcg_at_9")]
    misses = []
    for at in np.argsort(values, kind="stable")[:count]:
        if values[at] > 1 - 1e-9:
            break
        query = int(judged.queries[at])
        right = judged.right(query)[0].tolist()
        misses.append(
            Miss(
                titles[query],
                float(values[at]),
                tuple((titles[row], row in right) for row in lists[at]),
                tuple(titles[row] for row in right if row not in lists[at]),
            )
        )
    return misses
