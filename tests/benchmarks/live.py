"""Live articles beside a retraining: how alike their lists are, and what they cost a request."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.query import ANY, ListQuery
from recommender.serving.lists.related import Related
from recommender.training.readers.corpus import read_articles
from recommender.training.train import train

T = TypeVar("T")

_HELD_OUT = 200
_LIVE = 10_000
_ASKED = 500


def measure(corpus: Path) -> None:
    """Train with and without 200 held-out articles and compare; then add 10,000 and time requests."""
    console, now = Console(), datetime.now(UTC)
    articles = read_articles(corpus, max_bad=1).articles
    generator = np.random.default_rng(0)
    held = set(generator.choice(len(articles), min(_HELD_OUT, len(articles) // 10), replace=False).tolist())
    new = [article for row, article in enumerate(articles) if row in held]
    old = [article for row, article in enumerate(articles) if row not in held]
    earlier, whole = train(old, now=now).model, train(articles, now=now).model

    seconds, folded_in = _timed(lambda: [(article, fold_in(earlier, article)) for article in new])
    snapshot = Snapshot.of(earlier).with_articles(folded_in)
    console.print(
        f"{len(old):,} articles trained on, {len(new)} live: {1e3 * seconds / len(new):.1f} ms to fold in one"
    )
    console.print(_overlaps(Related(snapshot), Related(whole), new, now))
    _cost(console, earlier, folded_in, now)


def _overlaps(live: Related, whole: Related, new: Sequence[Article], now: datetime) -> Table:
    table = Table("lists of live articles, compared with a retraining", "mean", "5th percentile")
    for name, query in (("without freshness", ListQuery(lang=ANY, freshness=0)), ("as served", ListQuery())):
        shared = [_shared(live, whole, article.id, query, now) for article in new]
        table.add_row(f"overlap@9, {name}", f"{np.mean(shared):.3f}", f"{np.percentile(shared, 5):.3f}")
    ids = {article.id for article in new}
    pairs = [
        (other, article.id)
        for article in new
        for other in _ids(whole, article.id, now)[:3]
        if other not in ids
    ]
    both = [new_id in _ids(whole, other, now) for other, new_id in pairs]
    listed = [
        new_id in _ids(live, other, now)
        for (other, new_id), in_list in zip(pairs, both, strict=True)
        if in_list
    ]
    table.add_row(
        "live articles in the lists of older ones, as after a retraining", f"{np.mean(listed):.3f}", ""
    )
    return table


def _shared(live: Related, whole: Related, article_id: str, query: ListQuery, now: datetime) -> float:
    live_ids, expected = (
        {related.articles.ids[item.row] for item in related.of(article_id, query, now).items}
        for related in (live, whole)
    )
    return len(live_ids & expected) / max(len(expected), 1)


def _ids(related: Related, article_id: str, now: datetime) -> list[str]:
    return [related.articles.ids[item.row] for item in related.of(article_id, ListQuery(), now).items]


def _cost(
    console: Console, model: Model, folded_in: Sequence[tuple[Article, FoldedArticle]], now: datetime
) -> None:
    """Time lists of trained and live articles, with no live articles and with 10,000."""
    many = [
        (replace(article, id=f"{article.id} {copy}", url=None), folded_article)
        for copy in range(-(-_LIVE // len(folded_in)))
        for article, folded_article in _varied(model, folded_in, copy)
    ][:_LIVE]
    seconds, crowded = _timed(lambda: Snapshot.of(model).with_articles(many))
    console.print(
        f"a snapshot with {len(many):,} live articles takes {seconds:.2f} s to create, one more:", end=" "
    )
    seconds, _ = _timed(lambda: crowded.with_articles(many[:1]))
    console.print(f"{1e3 * seconds:.1f} ms")
    generator = np.random.default_rng(1)
    trained = [
        model.articles.ids[int(row)]
        for row in generator.choice(len(model.articles), min(_ASKED, len(model.articles)))
    ]
    live = [article.id for article, _ in many[:_ASKED]]
    table = Table("one list, ms", "median", "mean")
    plain, full = Related(Snapshot.of(model)), Related(crowded)
    for name, related, ids in (
        ("of a trained article, no live articles", plain, trained),
        (f"of a trained article, {len(many):,} live articles", full, trained),
        (f"of a live article, {len(many):,} live articles", full, live),
    ):
        for article_id in ids[:50]:
            related.of(article_id, ListQuery(), now)
        spent = [_timed(partial(related.of, article_id, ListQuery(), now))[0] for article_id in ids]
        table.add_row(name, f"{1e3 * np.median(spent):.2f}", f"{1e3 * np.mean(spent):.2f}")
    console.print(table)


def _varied(
    model: Model, folded_in: Sequence[tuple[Article, FoldedArticle]], copy: int
) -> Sequence[tuple[Article, FoldedArticle]]:
    """Return articles near the given ones, but not near-duplicates: each is mixed with a random article."""
    if not copy:
        return folded_in
    generator = np.random.default_rng(copy)
    varied = []
    for article, folded_article in folded_in:
        other = model.vectors.of(int(generator.integers(len(model.articles))))
        mixed = folded_article.embedding.moved([(other, 1.0)])
        length = float(np.sqrt(mixed.values @ mixed.values)) or 1.0
        own = replace(mixed, values=mixed.values / np.float32(length))
        varied.append(
            (article, replace(folded_article, embedding=own, expanded=own, copies=folded_article.copies[:0]))
        )
    return varied


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
