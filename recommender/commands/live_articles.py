"""What training takes over from the database, and what the database may then forget."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recommender.article import Article
from recommender.artifact import open_version, versions
from recommender.model import Model
from recommender.serving.store import ArticleRow, Store, StoreDownError, StoreError
from recommender.settings import Settings
from recommender.text import as_html


@dataclass(frozen=True)
class Merged:
    """A corpus with what is live."""

    articles: list[Article]  # in the order of their ids' UTF-8 bytes
    new: int
    newer: int  # than in the corpus
    taken_out: int  # of the corpus, for they were withdrawn
    settled: list[ArticleRow]  # that say nothing which the corpus does not


@dataclass(frozen=True)
class LiveArticles:
    """What the database holds: live articles with the rows that they come from, and ids withdrawn."""

    articles: dict[str, Article] = field(default_factory=dict)
    rows: dict[str, ArticleRow] = field(default_factory=dict)  # without payload and embedding
    withdrawn: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)  # ids of what another version of the program wrote

    @classmethod
    def read(cls, settings: Settings) -> "LiveArticles":
        """Return what the database of the settings holds. Raises StoreError, also where there is none yet."""
        live = cls()
        with closing(Store.of(settings)) as store:
            if not store.is_there:
                told = "there is no database yet; `recommender serve` makes it"
                raise StoreError(f"RECOMMENDER_DATABASE_URL is {settings.database_url}: {told}")
            try:
                for row in store.articles():
                    live._add(row)
            except StoreDownError as error:
                raise StoreDownError(f"the database does not answer: {error}") from None
        return live

    def merged(self, corpus: Sequence[Article]) -> Merged:
        """Return the corpus, newer live articles in place of its own, and nothing that was withdrawn."""
        article_of = {article.id: article for article in corpus if article.id not in self.withdrawn}
        taken_out, new, settled = len(corpus) - len(article_of), 0, []
        for article in self.articles.values():
            known = article_of.get(article.id)
            new += known is None
            if known is None or article.is_newer(known):
                article_of[article.id] = article
            else:
                settled.append(self.rows[article.id])
        newer = len(self.articles) - new - len(settled)
        # Code points sort as their UTF-8 bytes do.
        articles = sorted(article_of.values(), key=lambda article: article.id)
        return Merged(articles, new, newer, taken_out, settled)

    def _add(self, row: ArticleRow) -> None:
        if row.withdrawn:
            self.withdrawn.add(row.id)
            return
        try:
            self.articles[row.id] = Article.from_json(row.payload or b"null")
        except (ValueError, TypeError):
            self.unread.append(row.id)
        else:
            self.rows[row.id] = replace(row, payload=None, embedding=None)


def forget(
    settings: Settings, models_dir: str | Path, live: LiveArticles, settled: Sequence[ArticleRow]
) -> int:
    """Let the database forget those of the settled rows that no version needs; returns how many.

    Every version holds them, dated, and no older: neither a rollback nor the next training misses them. A
    row that has changed meanwhile stays. All do while the article that came last was placed by the model of
    another folder, for then that one is served. Raises StoreError, and ArtifactError where a version cannot
    be opened.
    """
    placed = [row for row in live.rows.values() if row.model_version is not None]
    names = versions(models_dir)
    if not placed or max(placed, key=lambda row: row.version).model_version not in names:
        return 0
    left = list(settled)
    for name in names if left else ():
        model = open_version(models_dir, name, verify=False)
        left = [row for row in left if _holds(model, row)]
    with closing(Store.of(settings)) as store:
        return store.delete_articles([(row.id, row.version) for row in left])


def as_line(article: Article) -> str:
    """Return an article as a line of JSON that every reader takes back unchanged."""
    texts = {name: as_html(getattr(article, name) or "") for name in ("title", "body", "category", "type")}
    names = {name: tuple(map(as_html, getattr(article, name))) for name in ("categories", "tags", "authors")}
    escaped: dict[str, Any] = texts | names
    return replace(article, **escaped).to_json()


def _holds(model: Model, row: ArticleRow) -> bool:
    at = model.articles.ids.find(row.id)
    return at is not None and int(model.articles.updated[at]) >= row.updated
