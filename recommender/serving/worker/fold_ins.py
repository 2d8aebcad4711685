"""The fold-ins of live articles into one model, which the workers of a database compute together."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic, time_ns

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.store import ArticleRow, Store, StoreDownError
from recommender.serving.worker.worker_state import read_article, stored_fold_in

_log = logging.getLogger(__name__)

_BATCH = 50  # articles that are read from the store at once
# So few are computed by each worker. If each waited for its turn, articles that are put meanwhile, a few a
# second, would keep a worker from switching to a newer model.
_FEW = 4
_RETRY_SECONDS = 60.0  # until an article that could not be folded in is tried again


class FoldIns:
    """Live articles folded into one model.

    A fold-in scores the whole corpus. So of all workers with the same database, one computes and stores the
    fold-ins, unless they are few, and the others read them. While the store is down, each worker computes its
    own. `owner` identifies the worker; without it, this worker never waits for another one.
    """

    def __init__(self, model: Model, store: Store, owner: int | None = None) -> None:
        self.model = model
        self._store, self._owner = store, owner
        self._known: dict[str, tuple[Article, FoldedArticle]] = {}
        self._failed: dict[str, tuple[Article, float]] = {}  # with the moment

    @property
    def is_failing(self) -> bool:
        """Whether there is an article that could not be folded in."""
        return bool(self._failed)

    def of(self, article: Article) -> FoldedArticle | None:
        """Return the fold-in of an article, if it is known."""
        known = self._known.get(article.id)
        return known[1] if known is not None and known[0] == article else None

    def missing(self, articles: Sequence[Article]) -> list[Article]:
        """Return those that are not known, without those that failed in the last minute."""
        return [article for article in articles if self.of(article) is None and not self._has_failed(article)]

    def retry(self) -> None:
        """Let the next `add` try the articles again that could not be folded in."""
        self._failed.clear()

    def add(self, articles: Sequence[Article], seconds: float) -> bool:
        """Read or compute missing fold-ins, the first ones first; return whether there are new ones.

        Computing ends after `seconds`, but not before the first fold-in. An article that cannot be folded in
        is logged.
        """
        n_known, end = len(self._known), monotonic() + seconds
        wanted = {article.id for article in articles}
        self._failed = {
            article_id: failed for article_id, failed in self._failed.items() if article_id in wanted
        }
        batch = self.missing(articles)[:_BATCH]
        if not batch:
            return False
        row_of = self._rows(batch)
        absent = [article for article in batch if not self._read(article, row_of.get(article.id))]
        if absent and (len(absent) <= _FEW or self._may_compute()):
            computed: list[ArticleRow] = []
            for article in absent:
                folded, row = self._computed(article), row_of.get(article.id)
                if folded is not None and row is not None and read_article(row) == article:
                    version = self.model.manifest.version
                    computed.append(replace(row, model_version=version, embedding=folded.to_bytes()))
                if monotonic() >= end:
                    break
            self._put(computed)
        return len(self._known) > n_known

    def _has_failed(self, article: Article) -> bool:
        failed, at = self._failed.get(article.id, (None, 0.0))
        return failed == article and monotonic() < at + _RETRY_SECONDS

    def _rows(self, articles: Sequence[Article]) -> dict[str, ArticleRow]:
        """Return the rows of articles in the store, without those that were withdrawn meanwhile."""
        try:
            row_of = self._store.articles_by_id([article.id for article in articles])
        except StoreDownError:
            return {}
        return {article_id: row for article_id, row in row_of.items() if not row.withdrawn}

    def _put(self, rows: Sequence[ArticleRow]) -> None:
        try:
            self._store.put_fold_ins(rows)
        except StoreDownError as error:
            _log.info("fold-ins of %d articles were not stored: %s", len(rows), error)

    def _may_compute(self) -> bool:
        if self._owner is None:
            return True
        try:
            return self._store.claim_fold_ins(self._owner, time_ns() // 1000)
        except StoreDownError:
            return True

    def _read(self, article: Article, row: ArticleRow | None) -> bool:
        """Use the stored fold-in, if it is one of this article into this model; return whether it is."""
        stored = None if row is None else stored_fold_in(self.model, row)
        if row is None or stored is None or read_article(row) != article:
            return False
        self._known[article.id] = article, stored
        return True

    def _computed(self, article: Article) -> FoldedArticle | None:
        self._failed.pop(article.id, None)
        try:
            folded = fold_in(self.model, article)
        except Exception:  # noqa: BLE001 whatever is wrong with it, the others must be folded in
            _log.exception("cannot fold in the article %r", article.id)
            self._failed[article.id] = article, monotonic()
            return None
        self._known[article.id] = article, folded
        return folded
