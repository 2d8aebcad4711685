"""A snapshot: a model, and the articles put, corrected and withdrawn since it was trained.

Rows are numbered as one sequence: n articles of the model, then the live articles. A row is the same article
in all later snapshots of one model. A new snapshot copies what grows: if an exception interrupts it, the
previous snapshot is unchanged, and the next attempt starts from it. A worker replaces its snapshot in one
assignment, without a lock for readers.

A live article is scored against the whole model once, when it is added (see `fold_in`). A request then merges
two short lists, so 10,000 live articles do not measurably slow it down.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recommender.article import Article
from recommender.copies import WordTriples
from recommender.embedding import Embedding, Vocabulary
from recommender.manifest import Manifest
from recommender.model import Model, Query
from recommender.neighbors import NO_ROW, NearDuplicates
from recommender.serving.index.documents import Documents
from recommender.serving.index.fold_in import FoldedArticle
from recommender.serving.index.postings import Postings, SnapshotVectors
from recommender.serving.index.spelling import SpellingIndex
from recommender.serving.index.title_index import TitleIndex, TitleSegment
from recommender.topic_space import TopicSpace

# Live articles are compared as possible near-duplicates only above this cosine in the latent space:
# near-duplicates have nearly the same terms, so they are close there, too.
_LATENT_AT_LEAST = 0.8
_SIMILAR_CACHE_SIZE = 20_000  # results of scoring an article against a segment
_RENDERED_BYTES, _ROW_BYTES = 3 << 20, 250  # of rendered rows, and of each besides its JSON


class RenderedRows:
    """The ids of articles, and their fields as JSON, for the rows that were shown last.

    All snapshots of one model share them, because a row is the same article in all of them.
    """

    def __init__(self, max_bytes: int = _RENDERED_BYTES) -> None:
        self._rows: dict[int, tuple[str, bytes]] = {}
        self._max_bytes, self._size = max_bytes, 0

    def of(self, row: int, render: Callable[[int], tuple[str, bytes]]) -> tuple[str, bytes]:
        """Return the id and the fields of a row; `render` returns those that are not known."""
        known = self._rows.get(row)
        if known is None:
            known = render(row)
            self._size += len(known[1]) + _ROW_BYTES
            if self._size > self._max_bytes:
                self._rows, self._size = {}, 0
            self._rows[row] = known
        return known


@dataclass(frozen=True)
class Snapshot:
    """Articles in rows: n of the model, then m live ones. A snapshot never changes.

    Live articles are scored as in training, with three exceptions that stay as trained: the weights of terms,
    the latent space, and the corrections of other articles. Feedback and document expansion come from
    articles of the model only, so a list does not depend on the order in which live articles arrived. With
    200 articles held out from 37,554 and added live, their lists of nine share 83 % of the items with those
    of a retrained model.
    """

    model: Model
    articles: Documents
    vectors: SnapshotVectors
    folded: tuple[FoldedArticle, ...]  # (m,)
    live_similar_of: Mapping[int, tuple[tuple[int, float], ...]]  # model row: live rows and scores
    similar_cache: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]]  # shared; requests fill it
    title_index: TitleIndex  # shared; requests build it
    rendered: RenderedRows  # shared; requests fill it
    spelling_index: SpellingIndex  # shared; requests build it
    copies: NearDuplicates
    hubs: np.ndarray  # (n + m,) float32; those of live articles are means, as in `FoldedArticle`
    first_topics: np.ndarray  # (n + m,) int32, the first topic of each article, -1 for none
    withdrawn: Mapping[str, int]  # ids, each with its moment in microseconds

    @classmethod
    def of(cls, model: Model, withdrawn: Mapping[str, int] | None = None) -> "Snapshot":
        """Return the snapshot of a model without the withdrawn articles."""
        snapshot = cls(
            model=model,
            articles=Documents.of(model.articles),
            vectors=SnapshotVectors(model.vectors),
            folded=(),
            live_similar_of={},
            similar_cache={},
            title_index=TitleIndex(),
            rendered=RenderedRows(),
            spelling_index=SpellingIndex(),
            copies=model.copies,
            hubs=model.corrections.hubs,
            first_topics=model.topic_space.first,
            withdrawn={},
        )
        return snapshot.without_withdrawn(withdrawn) if withdrawn else snapshot

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.articles)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the model."""
        return self.model.manifest

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the model."""
        return self.model.vocabulary

    @property
    def topic_space(self) -> TopicSpace:
        """The topic space of the model."""
        return self.model.topic_space

    @property
    def latent_weight(self) -> float:
        """The weight of the latent space in scores."""
        return self.model.latent_weight

    @property
    def n_live(self) -> int:
        """The number of live rows, including those replaced by later ones."""
        return self.articles.n_live

    @property
    def live_shown(self) -> int:
        """The number of live articles that are shown."""
        return int(np.count_nonzero(self.articles.shown[len(self.model.articles) :]))

    @cached_property
    def unknown_share(self) -> float | None:
        """The mean share of unknown terms in the shown live articles; None if there are none."""
        shown = self.articles.shown[len(self.model.articles) :]
        shares = [
            article.unknown_share for article, is_shown in zip(self.folded, shown, strict=True) if is_shown
        ]
        return round(float(np.mean(shares)), 4) if shares else None

    def title_segments(self) -> tuple[TitleSegment, ...]:
        """Return the words in the titles of all rows, and perhaps of later ones."""
        return self.title_index.of(self.articles, self.model)

    def suggestions(self, word: str, *, is_prefix: bool) -> Iterator[str]:
        """Yield words that a misspelt word may mean, perhaps of later rows, too; the first call is slow."""
        counts = np.diff(self.model.vectors.term_offsets)
        titles = (segment.spellings for segment in self.title_segments())
        return self.spelling_index.suggestions(word, self.vocabulary, counts, titles, is_prefix=is_prefix)

    def with_articles(self, articles: Sequence[tuple[Article, FoldedArticle]]) -> "Snapshot":
        """Return the snapshot with these articles; each replaces its earlier state, withdrawn or not."""
        if not articles:
            return self
        folded = [folded_article for _, folded_article in articles]
        topics = [self._first_topic(folded_article.embedding) for folded_article in folded]
        hubs = np.array([folded_article.hub for folded_article in folded], dtype=np.float32)
        ids = {article.id for article, _ in articles}
        return replace(
            self,
            articles=self.articles.with_articles([article for article, _ in articles]),
            vectors=self.vectors.with_articles(
                [folded_article.embedding for folded_article in folded],
                [folded_article.expanded for folded_article in folded],
            ),
            folded=(*self.folded, *folded),
            live_similar_of=self._live_similar_with(folded),
            copies=self._copies_with(articles),
            hubs=np.concatenate([self.hubs, hubs]),
            first_topics=np.concatenate([self.first_topics, np.array(topics, dtype=np.int32)]),
            withdrawn={
                article_id: moment for article_id, moment in self.withdrawn.items() if article_id not in ids
            },
        )

    def without_withdrawn(self, withdrawn: Mapping[str, int]) -> "Snapshot":
        """Return the snapshot without these ids, known or unknown."""
        rows = [row for article_id in withdrawn if (row := self.articles.find(article_id)) is not None]
        articles = self.articles.without(rows)
        return replace(self, articles=articles, withdrawn={**self.withdrawn, **withdrawn})

    def query_of(self, row: int) -> Query:
        """Return the query made from the article in a row."""
        n = len(self.model.articles)
        if row < n:
            return self.model.query_of(row)
        article = self.folded[row - n]
        earlier = self.model.articles.ids.find(self.articles.ids[row])
        hidden = (*([] if earlier is None else [earlier]), *article.copies.tolist())
        if article.nearest == NO_ROW:
            return Query(article.embedding, article.embedding, hidden)
        nearest = self.model.vectors.of(article.nearest)
        return Query(article.embedding, article.embedding.moved([(nearest, article.feedback)]), hidden)

    def query(self, article: Article, hidden: Iterable[int] = ()) -> Query:
        """Return the query made from a text, like `Model.query`."""
        n = len(self.model.articles)
        return self.model.query(article, [row for row in hidden if row < n])

    def scores(self, query: Query) -> np.ndarray:
        """Return the score of every article against the query, (n + m,) float32, like `Model.scores`."""
        n = len(self.model.articles)
        live = self.vectors.live_scores(query.moved, self.latent_weight) - self.hubs[n:]
        return np.concatenate([self.model.scores(query), live.astype(np.float32)])

    def neighbors(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and scores of the model's articles nearest to the article in a row."""
        n = len(self.model.articles)
        if row < n:
            return self.model.neighbors.of(row)
        article = self.folded[row - n]
        return article.neighbors, article.neighbor_scores

    def count_others(self, row: int) -> int:
        """Return how many of the model's articles have another id than the article in a row."""
        n = len(self.model.articles)
        is_new = row >= n and self.model.articles.ids.find(self.articles.ids[row]) is None
        return n if is_new else n - 1

    def live_similar(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the live rows similar to the article in a row, ascending, and their scores."""
        n = len(self.model.articles)
        if row < n:
            pairs = self.live_similar_of.get(row, ())
            rows = np.array([live_row for live_row, _ in pairs], dtype=np.int64)
            return rows, np.array([score for _, score in pairs], dtype=np.float32)
        parts = [
            self._similar_in(row, start, segment)
            for start, segment in zip(self.vectors.segment_starts, self.vectors.scored, strict=True)
        ]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([scores for _, scores in parts])

    def _similar_in(self, row: int, start: int, segment: Postings) -> tuple[np.ndarray, np.ndarray]:
        """Return the part of `live_similar` in one segment, which is the same in all snapshots with it."""
        key = row, start, len(segment)
        cached = self.similar_cache.get(key)
        if cached is None:
            first = len(self.model.articles) + start
            similarities = segment.scores(self.query_of(row).moved, self.latent_weight)
            scores = (similarities - self.hubs[first : first + len(segment)]).astype(np.float32)
            if first <= row < first + len(segment):
                scores[row - first] = -np.inf
            similar = np.flatnonzero(scores > self.manifest.similar_above)
            cached = similar + first, scores[similar]
            if len(self.similar_cache) >= _SIMILAR_CACHE_SIZE:
                self.similar_cache.clear()
            self.similar_cache[key] = cached
        return cached

    def _live_similar_with(
        self, folded: Sequence[FoldedArticle]
    ) -> Mapping[int, tuple[tuple[int, float], ...]]:
        pairs_of: dict[int, list[tuple[int, float]]] = {}
        for row, folded_article in enumerate(folded, start=len(self)):
            rows, scores = folded_article.reverse_neighbors, folded_article.reverse_scores
            for trained_row, score in zip(rows.tolist(), scores.tolist(), strict=True):
                pairs_of.setdefault(trained_row, []).append((row, score))
        known = self.live_similar_of
        return {**known, **{row: (*known.get(row, ()), *pairs) for row, pairs in pairs_of.items()}}

    def _first_topic(self, embedding: Embedding) -> int:
        shares = self.topic_space.shares(embedding.latent)
        return int(np.argmax(shares)) if shares.any() else -1

    def _copies_with(self, added: Sequence[tuple[Article, FoldedArticle]]) -> NearDuplicates:
        """Return the near-duplicate clusters with these articles added, in the model and among live ones."""
        first, n = len(self), len(self.model.articles)
        folded = [folded_article for _, folded_article in added]
        cluster = np.concatenate([self.copies.first, np.arange(first, first + len(folded), dtype=np.int32)])
        live_copies = self._live_copies(added)
        for row, folded_article in enumerate(folded, start=first):
            copies = [*folded_article.copies.tolist(), *(n + live for live in live_copies[row - first])]
            clusters = {int(cluster[copy]) for copy in (row, *copies)}
            if len(clusters) > 1:
                cluster[np.isin(cluster, list(clusters))] = min(clusters)
        return NearDuplicates(cluster)

    def _live_copies(self, added: Sequence[tuple[Article, FoldedArticle]]) -> list[list[int]]:
        """Return for each of these the numbers of earlier live articles that are near-duplicates of it."""
        least = self.manifest.recipe.neighbors.copy_similarity
        folded = [folded_article for _, folded_article in added]
        articles = (*self.articles.live, *(article for article, _ in added))
        new_latent = np.stack([folded_article.embedding.latent for folded_article in folded])
        latent = np.concatenate([*(segment.latent for segment in self.vectors.segments), new_latent])
        adapted = self.manifest.adapted
        latent = latent[:, : latent.shape[1] - adapted.vector_length]
        # Beside a given vector, the square of the length of the coordinates is 1 - its share.
        latent_at_least = _LATENT_AT_LEAST * (1 - adapted.vector_share)
        embeddings = [*self.vectors.live, *(folded_article.embedding for folded_article in folded)]
        copies: list[list[int]] = []
        for number, folded_article in enumerate(folded, start=self.vectors.n_live):
            own = folded_article.embedding
            if not len(own.columns):  # without known terms, or pending
                copies.append([])
                continue
            cosines = latent[:number] @ latent[number]
            near = np.flatnonzero(cosines >= (latent_at_least if latent[number].any() else 0))
            similar = [other for other in near.tolist() if own.cosine(embeddings[other]) >= least]
            triples = WordTriples.of(articles[number].title, articles[number].body)
            copies.append(
                [
                    other
                    for other in similar
                    if triples.is_same_text(WordTriples.of(articles[other].title, articles[other].body))
                ]
            )
        return copies
