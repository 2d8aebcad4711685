"""The model: what training learns from a corpus, and all that serving needs to know about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from recommender.article import Article, canonical_url
from recommender.columns import Choice, Labels, Strings
from recommender.embedding import Embedding, Vocabulary
from recommender.neighbors import NO_ROW, Copies, Corrections, Neighbors, top_k
from recommender.recipe import Recipe
from recommender.text import TermRules, reading_minutes

NO_MOMENT = np.iinfo(np.int64).min  # stands for a missing date, and sorts before every other
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Topic(_Record):
    """A topic as people read it."""

    slug: str
    name: str
    terms: list[str]  # the most distinctive first
    articles: int  # how many articles have it as their first topic
    coherence: float  # NPMI of its terms in the articles, -1 to 1


class CorpusFacts(_Record):
    """What a model was trained on."""

    articles: int
    refused: int  # rows that were no articles
    fingerprint: str  # sha256 over the articles; equal corpora have equal ones
    newest_published_at: AwareDatetime | None
    characters_read: int
    characters_cut: int  # beyond the recipe's `max_body_chars`
    articles_cut: int
    terms_counted: int  # distinct terms before pruning
    terms_kept: int


class Adapted(_Record):
    """What the recipe came to in the corpus; `training.adapt` has the formulas."""

    main_lang: str  # in which an article is read whose own language cannot be told
    min_df: int  # articles
    max_df: int
    lead_words: int
    unstemmed: list[str]  # languages whose words count as they stand
    piece_weight: float
    latent_components: int
    latent_weight: float
    hub_correction: float


class GateSummary(_Record):
    """How a model came past the quality gate."""

    outcome: Literal["passed", "overridden"]
    reasons: list[str]  # for which it would have been refused
    compared_with: str | None  # a version or a report; None where there was none
    not_compared: str | None  # why not, where there was one
    list_overlap: float | None  # mean share of a list of nine that stayed


class Manifest(_Record):
    """The facts of one trained model, kept as `manifest.json` beside its arrays."""

    format: int
    version: str  # empty until published
    trained_at: AwareDatetime
    recipe: Recipe
    adapted: Adapted
    corpus: CorpusFacts
    similar_above: float  # the score that random pairs of articles hardly ever reach
    hub_floor: float  # the nearness to others up to which an article is not set back
    topics: list[Topic]
    stop_words: dict[str, list[str]]  # by language, as used
    libraries: dict[str, str]  # versions of what computed the arrays
    files: dict[str, str]  # name to sha256 of every other file of the version; empty until published
    evaluation: dict[str, JsonValue] | None = None  # as `evaluate --json` writes it, less single articles
    gate: GateSummary | None = None  # None where the gate was not asked


@dataclass(frozen=True)
class Articles:
    """The articles in columns. Row order is the order of the ids' UTF-8 bytes."""

    ids: Strings
    titles: Strings
    bodies: Strings
    urls: Strings  # empty: none; so for every column of strings
    image_urls: Strings
    types: Choice
    langs: Choice
    category: Choice  # the primary one
    categories: Labels
    tags: Labels
    authors: Labels
    published: np.ndarray  # (n,) int64, microseconds since 1970, NO_MOMENT where undated
    updated: np.ndarray  # (n,) int64, likewise
    minutes: np.ndarray  # (n,) int32, reading time
    newest: (
        np.ndarray
    )  # (n,) int32, rows from the newest to the oldest, equal dates in row order, undated last
    url_keys: Strings  # canonical URLs, sorted by their bytes
    url_rows: np.ndarray  # (n_urls,) int32, the row of each key

    @classmethod
    def of(cls, articles: Sequence[Article]) -> "Articles":
        """Return the articles as columns; they must be sorted by `id.encode()` and have distinct ids."""
        published = np.array([microseconds(article.published_at) for article in articles], dtype=np.int64)
        keys: dict[str, int] = {}
        for row, article in enumerate(articles):
            if article.url:
                keys.setdefault(canonical_url(article.url), row)
        by_key = sorted(keys.items(), key=lambda item: item[0].encode())
        return cls(
            ids=Strings.of(article.id for article in articles),
            titles=Strings.of(article.title for article in articles),
            bodies=Strings.of(article.body for article in articles),
            urls=Strings.of(article.url or "" for article in articles),
            image_urls=Strings.of(article.image_url or "" for article in articles),
            types=Choice.of([article.type for article in articles]),
            langs=Choice.of([article.lang for article in articles]),
            category=Choice.of([article.category for article in articles]),
            categories=Labels.of([article.categories for article in articles]),
            tags=Labels.of([article.tags for article in articles]),
            authors=Labels.of([article.authors for article in articles]),
            published=published,
            updated=np.array([microseconds(article.updated_at) for article in articles], dtype=np.int64),
            minutes=np.array([reading_minutes(article.body) for article in articles], dtype=np.int32),
            newest=np.argsort(-published.astype(np.float64), kind="stable").astype(np.int32),
            url_keys=Strings.of(key for key, _ in by_key),
            url_rows=np.array([row for _, row in by_key], dtype=np.int32),
        )

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.ids)

    def find_url(self, url: str) -> int | None:
        """Return the row of the article with this URL, compared in canonical form; None where none has it."""
        at = self.url_keys.find(canonical_url(url))
        return None if at is None else int(self.url_rows[at])

    def article(self, row: int) -> Article:
        """Return the whole article of a row."""
        return Article(
            id=self.ids[row],
            title=self.titles[row],
            body=self.bodies[row],
            url=self.urls[row] or None,
            category=self.category[row],
            categories=self.categories[row],
            tags=self.tags[row],
            authors=self.authors[row],
            type=self.types[row],
            published_at=from_microseconds(int(self.published[row])),
            updated_at=from_microseconds(int(self.updated[row])),
            lang=self.langs[row],
            image_url=self.image_urls[row] or None,
        )


@dataclass(frozen=True)
class Vectors:
    """The embeddings of all articles: TF-IDF by article and by term, and the latent space."""

    offsets: np.ndarray  # (n + 1,) int64; article i has entries offsets[i]:offsets[i + 1]
    columns: np.ndarray  # (entries,) int32, ascending in each article
    values: np.ndarray  # (entries,) float32
    latent: np.ndarray  # (n, n_components) float32
    term_offsets: np.ndarray  # (n_terms + 1,) int64; the same entries, term by term
    term_rows: np.ndarray  # (entries,) int32, ascending in each term
    term_values: np.ndarray  # (entries,) float32

    def of(self, row: int) -> Embedding:
        """Return the embedding of a row."""
        inside = slice(self.offsets[row], self.offsets[row + 1])
        return Embedding(self.columns[inside], self.values[inside], self.latent[row])

    def holding(self, terms: range) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that hold any of a span of terms, each for each term, and its weights there."""
        inside = slice(self.term_offsets[terms.start], self.term_offsets[terms.stop])
        return self.term_rows[inside], self.term_values[inside]

    def scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the likeness of every article to the query, (n,) float64.

        (1 - weight) x product of TF-IDF + weight x product in the latent space. Reads only the query's terms.
        """
        spans = [slice(self.term_offsets[c], self.term_offsets[c + 1]) for c in query.columns]
        scores: np.ndarray = weight * (self.latent @ query.latent).astype(np.float64)
        if spans:
            rows = np.concatenate([self.term_rows[span] for span in spans])
            lengths = [span.stop - span.start for span in spans]
            products = np.concatenate([self.term_values[span] for span in spans]) * np.repeat(
                query.values.astype(np.float64), lengths
            )
            scores += (1 - weight) * np.bincount(rows, products, minlength=len(scores))
        return scores


@dataclass(frozen=True)
class Query:
    """What articles are scored against."""

    own: Embedding  # where the article or text itself lies
    moved: Embedding  # towards its nearest neighbour


@dataclass(frozen=True)
class TopicSpace:
    """Where the topics lie in the latent space."""

    centroids: np.ndarray  # (n_topics, n_components) float32, of unit length
    first: np.ndarray  # (n,) int32, the topic that has the largest share of each article, -1 for none

    def shares(self, latent: np.ndarray) -> np.ndarray:
        """Return the share of each topic in an article, (n_topics,) float32, which add up to 1.

        A softmax over the cosines to the centroids; all zero for an article without known terms.
        """
        if not len(self.centroids) or not latent.any():
            return np.zeros(len(self.centroids), dtype=np.float32)
        cosines = (self.centroids @ latent).astype(np.float64)
        odds = np.exp((cosines - cosines.max()) / _SHARE_TEMPERATURE)
        return np.asarray(odds / odds.sum(), dtype=np.float32)


CANDIDATES = 2  # looked at for each of the k neighbours
_SHARE_TEMPERATURE = 0.08  # an article right at a centroid gives it some 0.9 of itself


@dataclass(frozen=True)
class Model:
    """A trained model. Its arrays may be memory-mapped; nothing in it changes."""

    manifest: Manifest
    articles: Articles
    vocabulary: Vocabulary
    vectors: Vectors
    neighbors: Neighbors
    copies: Copies
    corrections: Corrections
    topic_space: TopicSpace

    @cached_property
    def rules(self) -> TermRules:
        """How this model makes terms."""
        stop_words = {lang: frozenset(words) for lang, words in self.manifest.stop_words.items()}
        return term_rules(self.manifest.recipe, self.manifest.adapted, stop_words)

    @property
    def latent_weight(self) -> float:
        """The w of the score: (1 - w) x cosine of TF-IDF + w x cosine in the latent space."""
        return self.manifest.adapted.latent_weight

    def embed(self, article: Article) -> Embedding:
        """Return where an article lies, whether the model knows it or not."""
        return self.vocabulary.embed(article, self.rules)

    def query_of(self, row: int) -> Query:
        """Return the query that the article of a row is."""
        own, nearest = self.vectors.of(row), int(self.corrections.nearest[row])
        if nearest == NO_ROW:
            return Query(own, own)
        return Query(own, own.moved(self.vectors.of(nearest), float(self.corrections.feedback[row])))

    def query(self, article: Article, hidden: Iterable[int] = ()) -> Query:
        """Return the query that a text is, whether the model knows it or not.

        It moves towards its nearest neighbour that is no copy of it, nor hidden, among the first so many that
        training looks at. With an article and its copies hidden, the text of the article is the query that
        the article is.
        """
        own = self.embed(article)
        likeness = self.vectors.scores(own, self.latent_weight)
        nearest, share = self.nearest(own, likeness, hidden)
        return (
            Query(own, own) if nearest == NO_ROW else Query(own, own.moved(self.vectors.of(nearest), share))
        )

    def nearest(self, own: Embedding, likeness: np.ndarray, hidden: Iterable[int] = ()) -> tuple[int, float]:
        """Return towards which row a text of this likeness to all moves, NO_ROW for none, and how far."""
        scores = (likeness - self.corrections.hubs).astype(np.float32)
        lists, left_out = self.manifest.recipe.neighbors, set(hidden)
        for row in top_k(scores, CANDIDATES * lists.k + 1).tolist():  # the article itself is one of them
            if row not in left_out and own.cosine(self.vectors.of(row)) < lists.copy_similarity:
                share = lists.feedback * max(float(likeness[row]), 0.0)
                return (row, float(np.float32(share))) if share else (NO_ROW, 0.0)
        return NO_ROW, 0.0

    def scores(self, query: Query) -> np.ndarray:
        """Return the score of every article against the query, (n,) float32.

        The likeness to the moved query, less the hub of the article.
        """
        likeness = self.vectors.scores(query.moved, self.latent_weight)
        return np.asarray(likeness - self.corrections.hubs, dtype=np.float32)

    def similar(self, article: str | Article, k: int = 9) -> list[tuple[str, float]]:
        """Return the ids and scores of the k most similar other articles, best first; ties in id order.

        `article` is the id of one that the model knows, or an Article. Raises KeyError for an unknown id.
        """
        if isinstance(article, str):
            own = self.articles.ids.find(article)
            if own is None:
                raise KeyError(article)
            query = self.query_of(own)
        else:
            own = self.articles.ids.find(article.id)
            query = self.query(article, [] if own is None else [own, *self.copies.of(own)])
        scores = self.scores(query)
        others = np.delete(np.arange(len(self.articles)), [] if own is None else own)
        return [(self.articles.ids[row], float(scores[row])) for row in top_k(scores, k, others)]

    def topics_of(self, latent: np.ndarray, least: float = 0.1) -> list[tuple[Topic, float]]:
        """Return the topics of an article that hold at least such a share of it, largest first."""
        shares = self.topic_space.shares(latent)
        selection = [row for row in np.argsort(-shares, kind="stable") if shares[row] >= least]
        return [(self.manifest.topics[row], float(shares[row])) for row in selection]


def term_rules(recipe: Recipe, adapted: Adapted, stop_words: dict[str, frozenset[str]]) -> TermRules:
    """Return the recipe's way of making terms in the corpus that it was adapted to."""
    terms = recipe.terms
    return TermRules(
        title_weight=terms.title_weight,
        lead_weight=terms.lead_weight,
        lead_words=adapted.lead_words,
        ngrams=terms.ngrams,
        max_body_chars=terms.max_body_chars,
        stop_words=stop_words,
        stems=terms.stems,
        unstemmed=frozenset(adapted.unstemmed),
        pieces=adapted.piece_weight > 0,
        main_lang=adapted.main_lang,
    )


def microseconds(moment: datetime | None) -> int:
    """Return a moment as microseconds since 1970, NO_MOMENT for None."""
    return NO_MOMENT if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(count: int) -> datetime | None:
    """Return the moment so many microseconds after 1970, None for NO_MOMENT."""
    return None if count == NO_MOMENT else _EPOCH + timedelta(microseconds=count)
