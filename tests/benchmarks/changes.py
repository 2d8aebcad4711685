"""Hit ratio of caches while articles change: a Zipf trace of lists with and without ten PUTs a second.

Time is simulated, so the figures do not depend on the machine. Half of the articles that are put are new: one
half of each text is from one article, the other half from another one. The others correct articles of the
model. They are folded in before the trace begins, because only what they do to caches is measured.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.article import Article
from recommender.artifact import open_current
from recommender.model import Model, from_microseconds, microseconds
from recommender.serving.app import create_app
from recommender.serving.cache.caching import SHARED_SECONDS
from recommender.serving.cache.surrogates import keys_between
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.lists.query import RelatedList
from recommender.serving.lists.related import Related
from recommender.serving.store import ArticleRow
from recommender.settings import Settings
from tests.benchmarks.processes import RECOMMENDER

_SECONDS, _WARM_UP_SECONDS = 180, 60
_REQUESTS_A_SECOND, _PUTS_A_SECOND = 10, 10
_TEXTS = 300  # different ones


def measure(corpus: Path) -> None:
    """Print the hit ratios for a model trained on the corpus."""
    with tempfile.TemporaryDirectory() as models:
        command = [RECOMMENDER, "train", str(corpus), "--models-dir", models, "--no-gate"]
        subprocess.run(command, check=True, capture_output=True)
        report(Path(models))


def report(models: Path) -> None:
    """Print the hit ratios for the current model in a folder."""
    model = open_current(models)
    texts = list(_texts(model, np.random.default_rng(1)))
    table = Table("PUTs a second", "requests", "in the service", "in a shared cache, purged by key")
    for puts in (0, _PUTS_A_SECOND):
        own, shared = _hit_ratios(models, model, texts, puts)
        requests = _REQUESTS_A_SECOND * (_SECONDS - _WARM_UP_SECONDS)
        table.add_row(f"{puts}", f"{requests:,}", f"{own:.3f}", f"{shared:.3f}")
    Console().print(table)


def _texts(model: Model, generator: np.random.Generator) -> Iterator[tuple[Article, FoldedArticle]]:
    """Yield corrected and new articles with their fold-ins."""
    rows = generator.choice(len(model.articles), (_TEXTS, 2))
    for number, (first, second) in enumerate(rows.tolist()):
        article, other = model.articles.article(first), model.articles.article(second)
        half, other_half = len(article.body) // 2, len(other.body) // 2
        if number % 2:
            article = replace(article, body=f"{article.body} It was corrected.")
        else:
            body = f"{article.body[:half]} {other.body[other_half:]}"
            article = replace(article, id=f"new-{number}", title=other.title, body=body, url=None)
        yield article, fold_in(model, article)


class _Service:
    """A service under a simulated clock, a shared cache in front of it, and counts of what they compute."""

    def __init__(self, models: Path, folder: Path, now: datetime) -> None:
        self.now, self.fetched, self.requests = now, 0, 0
        settings = Settings(
            models_dir=models,
            database_url=f"sqlite:///{folder / 'store.db'}",
            state_file=folder / "state.json",
            live_poll_seconds=0,
            cache_bytes=1 << 30,
        )
        app = create_app(settings, clock=lambda: self.now)
        self._client, self._context = app.test_client(), app.extensions["recommender"]
        self._shared: dict[str, tuple[datetime, frozenset[str]]] = {}  # until when, and keys

    def request(self, article_id: str) -> None:
        """Request a list from the service and from the shared cache."""
        self.requests += 1
        response = self._client.get(f"/v1/related?id={quote(article_id, safe='')}")
        assert response.status_code == 200
        until, _ = self._shared.get(article_id, (self.now, frozenset()))
        if until <= self.now:
            self.fetched += 1
            until = self.now + timedelta(seconds=SHARED_SECONDS)
            self._shared[article_id] = until, frozenset(response.headers["Surrogate-Key"].split())

    def put(self, article: Article, folded: FoldedArticle) -> None:
        """Put an article that is folded in already, and purge the shared cache."""
        article = replace(article, updated_at=self.now, published_at=article.published_at or self.now)
        before, model = self._context.follower.state, self._context.related.model
        payload = article.to_json().encode()
        row = ArticleRow(article.id, microseconds(self.now), withdrawn=False, payload=payload)
        row = replace(row, model_version=model.manifest.version, embedding=folded.to_bytes())
        self._context.store.put_articles([row])
        self._context.follower.refresh()
        changed = keys_between(before, self._context.follower.state)
        self._shared = {name: kept for name, kept in self._shared.items() if kept[1].isdisjoint(changed)}

    def close(self) -> None:
        """Close the database."""
        self._context.store.close()


def _hit_ratios(
    models: Path, model: Model, texts: list[tuple[Article, FoldedArticle]], puts_a_second: int
) -> tuple[float, float]:
    """Return the shares of requests that the cache of the service and a shared cache answer."""
    published = model.articles.published
    newest = np.argsort(-published, kind="stable").tolist()
    start = from_microseconds(int(published.max())) or datetime.now(UTC)
    start = start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    shares = 1 / np.arange(1, len(newest) + 1)
    ranks = np.random.default_rng(0).choice(
        len(newest), _SECONDS * _REQUESTS_A_SECOND, p=shares / shares.sum()
    )
    n_built, of_row = 0, Related.of_row

    def counting(*arguments: Any, **options: Any) -> RelatedList:
        nonlocal n_built
        n_built += 1
        return of_row(*arguments, **options)

    with tempfile.TemporaryDirectory() as folder, patch.object(Related, "of_row", counting):
        service = _Service(models, Path(folder), start)
        warm = (0, 0, 0)
        for number, rank in enumerate(ranks.tolist()):
            service.now = start + timedelta(seconds=number / _REQUESTS_A_SECOND)
            for put in range(puts_a_second // _REQUESTS_A_SECOND):
                service.put(*texts[(number + put) % len(texts)])
            if number == _WARM_UP_SECONDS * _REQUESTS_A_SECOND:
                warm = service.requests, n_built, service.fetched
            service.request(model.articles.ids[newest[rank]])
        service.close()
    requests, built, fetched = (
        after - before
        for before, after in zip(warm, (service.requests, n_built, service.fetched), strict=True)
    )
    return 1 - built / requests, 1 - fetched / requests
