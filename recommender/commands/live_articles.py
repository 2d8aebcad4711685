"""Merge the live articles of the database into a corpus, and delete those that all versions contain.

Both directions are here: what live articles must stay in the database because of versions, and what versions
must stay in the models folder because of live articles.

Training merges the live articles, so that a new model contains what the CMS sent since the last one.
Afterwards the database need not keep them. An article may be deleted from it when the corpus and every
published version contain it, with a date and at least as new: the versions because of a rollback, the corpus
because the next training would lose it otherwise.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recommender.article import Article
from recommender.artifact import open_current, open_version, versions
from recommender.model import Model
from recommender.serving.store import ArticleRow, Store, StoreDownError, StoreError
from recommender.settings import Settings
from recommender.text import as_html


@dataclass(frozen=True)
class MergedCorpus:
    """A corpus merged with the live articles."""

    articles: list[Article]  # in the order of their ids' UTF-8 bytes
    new: int  # live articles that are not in the corpus
    newer: int  # live articles that are newer than in the corpus
    removed: int  # articles of the corpus that were withdrawn
    redundant: list[ArticleRow]  # live articles that are not newer than in the corpus


@dataclass(frozen=True)
class LiveArticles:
    """The content of the database: live articles with their rows, and the ids of withdrawn articles."""

    articles: dict[str, Article] = field(default_factory=dict)
    rows: dict[str, ArticleRow] = field(default_factory=dict)  # without payload and embedding
    withdrawn: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)  # ids written by another version of the program

    @classmethod
    def read(cls, settings: Settings) -> "LiveArticles":
        """Return the content of the database. Raises StoreError, also if there is no database yet."""
        live = cls()
        with closing(Store.of(settings)) as store:
            if not store.is_there:
                raise StoreError(
                    f"RECOMMENDER_DATABASE_URL is {settings.database_url}: there is no database yet; "
                    "`recommender serve` creates it"
                )
            try:
                for row in store.articles():
                    live._add(row)
            except StoreDownError as error:
                raise StoreDownError(f"the database does not respond: {error}") from None
        return live

    def merge(self, corpus: Sequence[Article]) -> MergedCorpus:
        """Return the corpus in which newer live articles replace older ones, without withdrawn articles.

        A live article loses its vector if that is not as long as those of the corpus.
        """
        article_of = {article.id: article for article in corpus if article.id not in self.withdrawn}
        removed, new, redundant = len(corpus) - len(article_of), 0, []
        usual = next((len(article.vector) for article in corpus if article.vector), 0)
        for live in self.articles.values():
            article = live
            if live.vector and usual and len(live.vector) != usual:
                article = replace(live, vector=None)  # another program computed the vectors of the corpus
            existing = article_of.get(article.id)
            new += existing is None
            if existing is None or article.is_newer(existing):
                article_of[article.id] = article
            else:
                redundant.append(self.rows[article.id])
        newer = len(self.articles) - new - len(redundant)
        # Code points sort in the same order as their UTF-8 bytes.
        articles = sorted(article_of.values(), key=lambda article: article.id)
        return MergedCorpus(articles, new, newer, removed, redundant)

    def _add(self, row: ArticleRow) -> None:
        if row.withdrawn:
            self.withdrawn.add(row.id)
            return
        try:
            self.articles[row.id] = Article.from_json(row.payload or b"null")
        except (ValueError, TypeError):
            self.unreadable.append(row.id)
        else:
            self.rows[row.id] = replace(row, payload=None, embedding=None)


def delete_redundant(
    settings: Settings, models_dir: str | Path, live: LiveArticles, redundant: Sequence[ArticleRow]
) -> int:
    """Delete redundant rows from the database that every version contains; return the number deleted.

    Every version must contain the article with a date and at least as new, so that neither a rollback nor the
    next training loses it. A row that changed in the meantime stays. Nothing is deleted if the last embedded
    article was embedded by a model of another folder, because then that folder is being served. Raises
    StoreError, and ArtifactError if a version cannot be opened.
    """
    embedded = [row for row in live.rows.values() if row.model_version is not None]
    names = versions(models_dir)
    if not embedded or max(embedded, key=lambda row: row.version).model_version not in names:
        return 0
    deletable = list(redundant)
    for name in names if deletable else ():
        model = open_version(models_dir, name, verify=False)
        deletable = [row for row in deletable if _contains(model, row)]
    with closing(Store.of(settings)) as store:
        return store.delete_articles([(row.id, row.version) for row in deletable])


def versions_in_use(settings: Settings, models_dir: str | Path) -> dict[str, str]:
    """Return the versions that live articles need, and why.

    A live article that the current version does not contain is shown by its fold-in, so the version that the
    fold-in was computed with may still be served. The version of the last fold-in also shows
    `delete_redundant` which folder is served. Without a database there are none. Raises StoreError.
    """
    with closing(Store.of(settings)) as store:
        if not store.is_there:
            return {}
        try:
            rows = [row for row in store.articles() if not row.withdrawn and row.model_version is not None]
        except StoreDownError as error:
            raise StoreDownError(f"the database does not respond: {error}") from None
    model = open_current(models_dir, verify=False)
    counts = Counter(row.model_version for row in rows if not _contains(model, row))
    reasons = {
        str(version): f"used by {count:,} live article{'s' if count > 1 else ''}"
        for version, count in counts.items()
    }
    if rows:
        last = max(rows, key=lambda row: row.version).model_version
        reasons.setdefault(str(last), "used by the last live article")
    return reasons


def as_line(article: Article) -> str:
    """Return an article as a line of JSON that `train` and `lint` read back unchanged."""
    texts = {name: as_html(getattr(article, name) or "") for name in ("title", "body", "category", "type")}
    names = {name: tuple(map(as_html, getattr(article, name))) for name in ("categories", "tags", "authors")}
    escaped: dict[str, Any] = texts | names
    return replace(article, **escaped).to_json()


def _contains(model: Model, row: ArticleRow) -> bool:
    model_row = model.articles.ids.find(row.id)
    return model_row is not None and int(model.articles.updated[model_row]) >= row.updated
