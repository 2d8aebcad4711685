"""Snapshots with live articles."""

from collections.abc import Sequence

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import fold_in
from recommender.serving.index.snapshot import Snapshot


def snapshot_with(model: Model, articles: Sequence[Article]) -> Snapshot:
    """Return the snapshot of a model with these articles folded in."""
    return Snapshot.of(model).with_articles([(article, fold_in(model, article)) for article in articles])


def similar_live_articles(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return the ids of the live articles similar to each shown article, by its id, sorted."""
    documents = snapshot.articles
    return {
        documents.ids[row]: sorted(
            documents.ids[other] for other in snapshot.live_similar(row)[0].tolist() if documents.shown[other]
        )
        for row in documents.newest.tolist()
    }
