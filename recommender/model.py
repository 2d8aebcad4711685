"""The model: the result of training, and everything that serving needs from it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice

import numpy as np

from recommender.article import Article, canonical_url
from recommender.columns import Choice, Labels, Strings
from recommender.copies import WordTriples
from recommender.embedding import Embedding, Vocabulary, sums_of_postings
from recommender.given_vectors import GivenVector, joined
from recommender.manifest import Adapted, Manifest, Topic
from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors, top_k
from recommender.page_urls import page_key, rows_of_urls
from recommender.reading_time import all_reading_minutes
from recommender.recipe import Recipe
from recommender.summary import Summarized, shortened
from recommender.text import TermRules
from recommender.title_words import TitleWords
from recommender.topic_space import TopicSpace
from recommender.wrong_type import wrong_type

NO_MOMENT = np.iinfo(np.int64).min  # represents a missing date; sorts before all dates
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Articles:
    """The articles in columns. Row order is the order of the ids' UTF-8 bytes."""

    ids: Strings
    titles: Strings
    bodies: Strings
    urls: Strings  # an empty string means none, in all columns of strings
    image_urls: Strings
    types: Choice
    langs: Choice
    category: Choice  # the primary one
    categories: Labels
    tags: Labels
    authors: Labels
    published: np.ndarray  # (n,) int64, microseconds since 1970, NO_MOMENT if undated
    updated: np.ndarray  # (n,) int64, microseconds since 1970, NO_MOMENT if undated
    minutes: np.ndarray  # (n,) int32, reading time
    newest: np.ndarray  # (n,) int32, rows from newest to oldest; equal dates in row order, undated last
    url_keys: Strings  # canonical URLs and the page keys that are unique, sorted by their bytes
    url_rows: np.ndarray  # (n_urls,) int32, the row of each key
    vectors: np.ndarray | None = None  # (n, length) int16, given vectors times 4096, zero for none

    @classmethod
    def of(cls, articles: Sequence[Article]) -> "Articles":
        """Return the articles as columns; they must be sorted by `id.encode()` and have distinct ids."""
        published = np.array([microseconds(article.published_at) for article in articles], dtype=np.int64)
        rows_of = rows_of_urls([article.url for article in articles])
        keys = sorted(rows_of, key=str.encode)
        bodies = Strings.of(article.body for article in articles)
        return cls(
            ids=Strings.of(article.id for article in articles),
            titles=Strings.of(article.title for article in articles),
            bodies=bodies,
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
            minutes=all_reading_minutes(bodies),
            newest=np.argsort(-published.astype(np.float64), kind="stable").astype(np.int32),
            url_keys=Strings.of(keys),
            url_rows=np.array([rows_of[key] for key in keys], dtype=np.int32),
        )

    def __len__(self) -> int:
        """Return how many articles there are."""
        return len(self.ids)

    def find_url(self, url: str) -> int | None:
        """Return the row of the article with this URL, or else of the page it is a variant of, or None."""
        row = self.find_url_key(canonical_url(url))
        return self.find_url_key(page_key(url)) if row is None else row

    def find_url_key(self, key: str) -> int | None:
        """Return the row of the article with this key, a canonical URL or a key of `page_key`, or None."""
        place = self.url_keys.find(key)
        return None if place is None else int(self.url_rows[place])

    def article(self, row: int) -> Article:
        """Return the complete article of a row."""
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
            vector=self.vector(row),
        )

    @property
    def vector_count(self) -> int:
        """How many articles have a given vector."""
        return 0 if self.vectors is None else int(self.vectors.any(axis=1).sum())

    def vector(self, row: int) -> GivenVector | None:
        """Return the given vector of a row, if there is one."""
        if self.vectors is None or not self.vectors[row].any():
            return None
        return GivenVector(self.vectors[row].astype("<i2").tobytes())


@dataclass(frozen=True)
class Vectors:
    """The embeddings of all articles: TF-IDF by article, the same as posting lists, and latent vectors.

    If articles have given vectors, `latent` has them as further columns (see `given_vectors`). Then the
    similarity of two articles is multiplied by the larger `rescale` of both.
    """

    offsets: np.ndarray  # (n + 1,) int64; article i has entries offsets[i]:offsets[i + 1]
    columns: np.ndarray  # (entries,) int32, ascending in each article
    values: np.ndarray  # (entries,) float32
    latent: np.ndarray  # (n, n_components + length of given vectors) float32
    term_offsets: np.ndarray  # (n_terms + 1,) int64; the same entries by term, as posting lists
    term_rows: np.ndarray  # (entries,) int32, ascending in each term
    term_values: np.ndarray  # (entries,) float32
    rescale: np.ndarray | None = None  # (n,) float32, 1 with a given vector, 1 / (1 - its weight) without

    def of(self, row: int) -> Embedding:
        """Return the embedding of a row."""
        span = slice(self.offsets[row], self.offsets[row + 1])
        rescale = 1.0 if self.rescale is None else float(self.rescale[row])
        return Embedding(self.columns[span], self.values[span], self.latent[row], rescale)

    def postings(self, terms: range) -> tuple[np.ndarray, np.ndarray]:
        """Return the joined posting lists of a range of terms: the rows, and the term's weight in each."""
        span = slice(self.term_offsets[terms.start], self.term_offsets[terms.stop])
        return self.term_rows[span], self.term_values[span]

    def scores(self, query: Embedding, weight: float) -> np.ndarray:
        """Return the similarity of every article to the query, (n,) float64.

        (1 - weight) x dot product of TF-IDF + weight x dot product in the latent space, rescaled. Reads only
        the posting lists of the query's terms.
        """
        scores: np.ndarray = weight * (self.latent @ query.latent).astype(np.float64)
        starts, ends = self.term_offsets[query.columns], self.term_offsets[query.columns + 1]
        weights = query.values.astype(np.float64)
        sums = sums_of_postings(self.term_rows, self.term_values, starts, ends, weights, len(scores))
        scores += (1 - weight) * sums
        return scores if self.rescale is None else scores * np.maximum(self.rescale, query.rescale)


@dataclass(frozen=True)
class Query:
    """The vectors that articles are scored against."""

    own: Embedding  # of the article or text itself
    moved: Embedding  # after pseudo-relevance feedback: moved towards its nearest neighbour
    hidden: tuple[int, ...] = ()  # rows of the article itself and its copies, which expand no article
    nearest: int = NO_ROW  # the row that it is moved towards
    share: float = 0.0  # the weight of that row; the article's own weight is 1
    similarity: np.ndarray | None = None  # (n,) of every article of the model to `own`, if it was computed


CANDIDATES = 4  # candidates scored for each of the k neighbours
EXPANSION = 3  # neighbours that expand an article when it is scored


@dataclass(frozen=True, repr=False)
class Model(Summarized):
    """A trained model. It is immutable; its arrays may be memory-mapped.

    >>> model.articles.titles[0]
    'Sandrigg draws names from a lobster pot for beach huts'
    """

    manifest: Manifest
    articles: Articles
    vocabulary: Vocabulary
    vectors: Vectors
    neighbors: Neighbors
    copies: NearDuplicates
    corrections: Corrections
    topic_space: TopicSpace
    title_words: TitleWords | None = None  # None in a model of an older program

    @cached_property
    def rules(self) -> TermRules:
        """The rules by which this model splits articles into terms."""
        manifest = self.manifest
        stop_words = {lang: frozenset(words) for lang, words in manifest.stop_words.items()}
        return term_rules(manifest.recipe, manifest.adapted, stop_words, manifest.standing_lines)

    @property
    def latent_weight(self) -> float:
        """The weight w in (1 - w) x cosine of TF-IDF + w x cosine of the dense vectors."""
        return self.manifest.adapted.dense_weight

    def embed(self, article: Article) -> Embedding:
        """Return the embedding of any article, whether or not it was in the training corpus."""
        own = self.with_vector(self.vocabulary.embed(article, self.rules), article.vector)
        if article.title or article.body or not own.latent.any():
            return own
        # Without a text, the similarity is the cosine of the given vectors alone.
        return replace(own, latent=own.latent / np.float32(self.manifest.adapted.vector_weight))

    def with_vector(self, own: Embedding, vector: Sequence[float] | None) -> Embedding:
        """Return an embedding together with a given vector.

        A vector of another length than those of this model counts as missing.
        """
        adapted = self.manifest.adapted
        if not adapted.vector_length:
            return own
        given = np.zeros(adapted.vector_length, dtype=np.int16)
        if vector is not None and len(vector) == adapted.vector_length:
            given = GivenVector.of(vector).array
        dense = joined(own.latent[None], given[None], adapted.vector_share)[0]
        return replace(own, latent=dense, rescale=float(adapted.rescale(dense)))

    def query_of(self, row: int) -> Query:
        """Return the query for the article of a row."""
        own, nearest = self.vectors.of(row), int(self.corrections.nearest[row])
        hidden = (row, *self.copies.of(row))
        if nearest == NO_ROW:
            return Query(own, own, hidden)
        share = float(self.corrections.feedback[row])
        return Query(own, own.moved([(self.vectors.of(nearest), share)]), hidden)

    def query(self, article: Article, hidden: Iterable[int] = (), known: np.ndarray | None = None) -> Query:
        """Return the query for any article or text, whether or not it was in the training corpus.

        It moves towards its nearest neighbour among as many candidates as in training, skipping
        near-duplicates and `hidden` rows. If the article's own row and its copies are hidden, this equals
        `query_of` of that row. `known` is the similarity to all articles, (n,), if it was computed.
        """
        own, hidden = self.embed(article), tuple(hidden)
        similarity = self.vectors.scores(own, self.latent_weight) if known is None else known
        nearest = self.nearest(article, own, similarity, hidden)[:1]
        shares = (self.manifest.adapted.feedback * similarity[nearest]).astype(np.float32)
        if not shares.any():
            return Query(own, own, hidden, similarity=similarity)
        row, share = int(nearest[0]), float(shares[0])
        return Query(own, own.moved([(self.vectors.of(row), share)]), hidden, row, share, similarity)

    def copies_of(self, article: Article, own: Embedding, rows: Iterable[int]) -> Iterator[int]:
        """Yield those of the rows that are near-duplicates of an article, whose embedding is `own`."""
        least, own_triples = self.manifest.recipe.neighbors.copy_similarity, None
        for row in rows:
            if own.cosine(self.vectors.of(row)) >= least:
                own_triples = own_triples or WordTriples.of(article.title, article.body)
                if own_triples.is_same_text(
                    WordTriples.of(self.articles.titles[row], self.articles.bodies[row])
                ):
                    yield row

    def nearest(
        self, article: Article, own: Embedding, similarity: np.ndarray, hidden: Iterable[int] = ()
    ) -> np.ndarray:
        """Return the nearest rows of an article, the first for feedback and all to expand it, (<= 3,) int64.

        `own` is the article's embedding, `similarity` is its similarity to all articles, (n,). They are
        ordered by similarity minus hubness penalty, best first. Rows without similarity, near-duplicates and
        `hidden` rows are left out, and rows that lack a given vector if the article has one, or the reverse.
        """
        scores = (similarity - self.corrections.hubs).astype(np.float32)
        excluded, k, rescale = set(hidden), self.manifest.recipe.neighbors.k, self.vectors.rescale
        candidates = (
            row
            for row in top_k(scores, CANDIDATES * k + 1).tolist()  # + 1 for the article itself
            if row not in excluded
            and (rescale is None or rescale[row] == own.rescale)
            and not any(self.copies_of(article, own, [row]))
        )
        rows = np.fromiter(islice(candidates, EXPANSION), dtype=np.int64)
        return rows[similarity[rows] > 0]

    def scores(self, query: Query) -> np.ndarray:
        """Return the score of every article against the query, (n,) float32.

        The score is the similarity to the moved query after the corrections of the scored article.
        """
        similarity = query.similarity
        if similarity is None:
            similarity = self.vectors.scores(query.moved, self.latent_weight)
        else:
            similarity = self.moved(similarity, query.nearest, query.share)
        return self.corrections.scores(similarity, query.hidden)

    def moved(self, similarity: np.ndarray, nearest: int, share: float) -> np.ndarray:
        """Return the similarity of every article to a query after feedback, (n,), from that before it.

        `share` is the weight of the row `nearest`; with NO_ROW nothing changes. The similarity to a mean of
        vectors is the mean of the similarities.
        """
        if nearest == NO_ROW:
            return similarity
        to_nearest = self.vectors.scores(self.vectors.of(nearest), self.latent_weight)
        return (similarity + share * to_nearest) / (1 + share)

    def similar(self, article: str | int | Article, k: int = 9) -> list[tuple[str, float]]:
        """Return the ids and scores of the k most similar other articles, best first; ties in id order.

        `article` is the id of an article in the model, any Article, or a text of several words. Raises
        KeyError for an unknown id.

        >>> nearest = dict(model.similar("1001", k=2))
        >>> sorted(nearest)
        ['2039', '3012']
        >>> (article_id, score), *_ = model.similar("The island ferry stops in winter", k=1)
        >>> article_id
        '1006'
        """
        if isinstance(article, Article):
            own = self.articles.ids.find(article.id)
            query = self.query(article, [] if own is None else [own, *self.copies.of(own)])
        elif isinstance(article, str | int) and not isinstance(article, bool):
            own = self.articles.ids.find(str(article))
            query = self._query_of_text(str(article)) if own is None else self.query_of(own)
        else:
            raise wrong_type("similar", "an id, a text or an Article", article, "pass one article at a time")
        scores = self.scores(query)
        others = np.delete(np.arange(len(self.articles)), [] if own is None else own)
        return [(self.articles.ids[row], float(scores[row])) for row in top_k(scores, k, others)]

    def _query_of_text(self, text: str) -> Query:
        if len(text.split()) < 2:  # noqa: PLR2004 a text has several words
            raise KeyError(f"no article {shortened(text)!r}; for a text of one word, pass an Article")
        return self.query(Article(id="text", body=text))

    def summary(self) -> dict[str, str]:
        """Return the version, and the size of the parts."""
        manifest = self.manifest
        return {
            "Version": manifest.version or "not published",
            "Trained": f"{manifest.trained_at:%Y-%m-%d %H:%M} UTC",
            "Articles": f"{len(self.articles):,}",
            "Terms": f"{len(self.vocabulary.terms):,}",
            "Topics": f"{len(manifest.topics)}",
        }

    def topics_of(self, latent: np.ndarray, least: float = 0.1) -> list[tuple[Topic, float]]:
        """Return the topics with at least this share of an article, and their shares, largest first."""
        shares = self.topic_space.shares(latent)
        selection = [row for row in np.argsort(-shares, kind="stable") if shares[row] >= least]
        return [(self.manifest.topics[row], float(shares[row])) for row in selection]


def term_rules(
    recipe: Recipe,
    adapted: Adapted,
    stop_words: dict[str, frozenset[str]],
    standing_lines: Sequence[str] = (),
) -> TermRules:
    """Return the term rules of a recipe, with the parameters adapted to the corpus."""
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
        standing_lines=frozenset(standing_lines),
    )


def microseconds(moment: datetime | None) -> int:
    """Return a moment as microseconds since 1970, NO_MOMENT for None."""
    return NO_MOMENT if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(count: int) -> datetime | None:
    """Return a moment from its microseconds since 1970, None for NO_MOMENT."""
    return None if count == NO_MOMENT else _EPOCH + timedelta(microseconds=count)
