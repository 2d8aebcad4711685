"""The edition: a model, and what the newsroom has published, corrected and withdrawn since it was trained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recommender.article import Article
from recommender.embedding import Embedding, Vocabulary
from recommender.model import Manifest, Model, Query, TopicSpace
from recommender.neighbors import NO_ROW, NearDuplicates
from recommender.serving.index.documents import Documents
from recommender.serving.index.fold_in import FoldedArticle
from recommender.serving.index.postings import LiveVectors, Postings
from recommender.serving.index.title_index import TitleBlock, TitleIndex

# Copies among live articles are looked for where the latent space has two this near: copies have nearly the
# same terms there, too.
_LATENT_AT_LEAST = 0.8
_KNOWN_SIMILAR = 20_000  # lists of similar live articles that are kept


@dataclass(frozen=True)
class Snapshot:
    """Articles in rows: n of the model, and m live ones below them. Nothing in it changes.

    A row stays the same article in all later editions of one model. Live articles are scored against all
    others as training would, but for the weights of terms, the latent space and the hubs of others, which
    stay as trained, and for feedback, which comes from articles of the model alone: so a list depends on
    what there is, and not on the order in which it came.
    """

    model: Model
    articles: Documents
    vectors: LiveVectors
    folded: list[FoldedArticle]  # shared with later editions, which append to it
    reached: dict[int, list[tuple[int, float]]]  # live rows similar to each row of the model; shared, too
    known_similar: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]]  # shared
    headlines: TitleIndex  # shared
    copies: NearDuplicates
    hubs: np.ndarray  # (n + m,) float32
    first_topics: np.ndarray  # (n + m,) int32, the first topic of each article, -1 for none
    withdrawn: Mapping[str, int]  # ids, each with the moment in microseconds

    @classmethod
    def of(cls, model: Model, withdrawn: Mapping[str, int] | None = None) -> "Snapshot":
        """Return the edition of a model, less the articles withdrawn."""
        snapshot = cls(
            model=model,
            articles=Documents.of(model.articles),
            vectors=LiveVectors(model.vectors, []),
            folded=[],
            reached={},
            known_similar={},
            headlines=TitleIndex(),
            copies=model.copies,
            hubs=model.corrections.hubs,
            first_topics=model.topic_space.first,
            withdrawn={},
        )
        return snapshot.less(withdrawn) if withdrawn else snapshot

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.articles)

    @property
    def manifest(self) -> Manifest:
        """The facts of the model."""
        return self.model.manifest

    @property
    def vocabulary(self) -> Vocabulary:
        """The terms of the model."""
        return self.model.vocabulary

    @property
    def topic_space(self) -> TopicSpace:
        """Where the topics of the model lie."""
        return self.model.topic_space

    @property
    def latent_weight(self) -> float:
        """The w of the score."""
        return self.model.latent_weight

    @property
    def live(self) -> int:
        """How many live rows there are, those included that later ones stand for."""
        return self.articles.size

    @property
    def live_shown(self) -> int:
        """How many live articles are shown."""
        return int(np.count_nonzero(self.articles.shown[len(self.model.articles) :]))

    @cached_property
    def unknown_share(self) -> float | None:
        """The mean share of terms in live articles that the model does not know; None without any."""
        shown = self.articles.shown[len(self.model.articles) :]
        folded = self.folded[: self.live]
        shares = [each.unknown_share for each, is_shown in zip(folded, shown, strict=True) if is_shown]
        return round(float(np.mean(shares)), 4) if shares else None

    def title_words(self) -> tuple[TitleBlock, ...]:
        """Return the words of all titles, and perhaps of later ones; the first time it takes a while."""
        return self.headlines.of(self.articles, self.model.rules)

    def more(self, articles: Sequence[tuple[Article, FoldedArticle]]) -> "Snapshot":
        """Return the edition with these articles, each for an earlier state of it, withdrawn or not."""
        if not articles:
            return self
        folded = [folded_article for _, folded_article in articles]
        first = len(self)
        self.folded.extend(folded)
        for row, folded_article in enumerate(folded, start=first):
            reached = zip(
                folded_article.reached.tolist(), folded_article.reached_scores.tolist(), strict=True
            )
            for other, score in reached:
                self.reached.setdefault(other, []).append((row, score))
        self.vectors.tail.extend(folded_article.embedding for folded_article in folded)
        topics = [self._first_topic(folded_article.embedding) for folded_article in folded]
        hubs = np.array([folded_article.hub for folded_article in folded], dtype=np.float32)
        ids = {article.id for article, _ in articles}
        return replace(
            self,
            articles=self.articles.grown([article for article, _ in articles]),
            vectors=self.vectors.grown(len(articles)),
            copies=self._copies_with(folded),
            hubs=np.concatenate([self.hubs, hubs]),
            first_topics=np.concatenate([self.first_topics, np.array(topics, dtype=np.int32)]),
            withdrawn={each: at for each, at in self.withdrawn.items() if each not in ids},
        )

    def less(self, withdrawn: Mapping[str, int]) -> "Snapshot":
        """Return the edition without these ids, known or not."""
        rows = [row for each in withdrawn if (row := self.articles.find(each)) is not None]
        articles = self.articles.without(rows)
        return replace(self, articles=articles, withdrawn={**self.withdrawn, **withdrawn})

    def query_of(self, row: int) -> Query:
        """Return the query that the article of a row is."""
        n = len(self.model.articles)
        if row < n:
            return self.model.query_of(row)
        placed = self.folded[row - n]
        if placed.nearest == NO_ROW:
            return Query(placed.embedding, placed.embedding)
        nearest = self.model.vectors.of(placed.nearest)
        return Query(placed.embedding, placed.embedding.moved(nearest, placed.feedback))

    def query(self, article: Article, hidden: Iterable[int] = ()) -> Query:
        """Return the query that a text is, as `Model.query`."""
        return self.model.query(article, hidden)

    def scores(self, query: Query) -> np.ndarray:
        """Return the score of every article against the query, (n + m,) float32, as `Model.scores`."""
        likeness = self.vectors.scores(query.moved, self.latent_weight)
        return np.asarray(likeness - self.hubs, dtype=np.float32)

    def neighbors(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and scores of the articles of the model nearest to the article of a row."""
        n = len(self.model.articles)
        if row < n:
            return self.model.neighbors.of(row)
        placed = self.folded[row - n]
        return placed.near, placed.near_scores

    def others(self, row: int) -> int:
        """Return how many articles of the model are not the article of a row, in whatever state."""
        n = len(self.model.articles)
        is_new = row >= n and self.model.articles.ids.find(self.articles.ids[row]) is None
        return n if is_new else n - 1

    def live_similar(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the live rows that are similar to the article of a row, ascending, and their scores."""
        n = len(self.model.articles)
        if row < n:
            found = [each for each in self.reached.get(row, ()) if each[0] < len(self)]
            rows = np.array([live for live, _ in found], dtype=np.int64)
            return rows, np.array([score for _, score in found], dtype=np.float32)
        parts = [
            self._similar_in(row, start, block)
            for (start, _), block in zip(self.vectors.spans, self.vectors.blocks, strict=True)
        ]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([scores for _, scores in parts])

    def _similar_in(self, row: int, start: int, block: Postings) -> tuple[np.ndarray, np.ndarray]:
        """Return what `live_similar` finds in one block, which holds the same articles in all editions."""
        key = row, start, len(block)
        known = self.known_similar.get(key)
        if known is None:
            first = len(self.model.articles) + start
            likeness = block.scores(self.query_of(row).moved, self.latent_weight)
            scores = (likeness - self.hubs[first : first + len(block)]).astype(np.float32)
            if first <= row < first + len(block):
                scores[row - first] = -np.inf
            similar = np.flatnonzero(scores > self.manifest.similar_above)
            known = similar + first, scores[similar]
            if len(self.known_similar) >= _KNOWN_SIMILAR:
                self.known_similar.clear()
            self.known_similar[key] = known
        return known

    def _first_topic(self, embedding: Embedding) -> int:
        shares = self.topic_space.shares(embedding.latent)
        return int(np.argmax(shares)) if shares.any() else -1

    def _copies_with(self, folded: Sequence[FoldedArticle]) -> NearDuplicates:
        """Return the copies, with those of further articles: of the model's, and of live ones before them."""
        first, n = len(self), len(self.model.articles)
        group = np.concatenate([self.copies.first, np.arange(first, first + len(folded), dtype=np.int32)])
        earlier = self._live_copies(folded)
        for row, folded_article in enumerate(folded, start=first):
            copies = [*folded_article.copies.tolist(), *(n + live for live in earlier[row - first])]
            groups = {int(group[each]) for each in (row, *copies)}
            if len(groups) > 1:
                group[np.isin(group, list(groups))] = min(groups)
        return NearDuplicates(group)

    def _live_copies(self, folded: Sequence[FoldedArticle]) -> list[list[int]]:
        """Return for each of these the positions of the live articles before it that are its copies."""
        first = self.vectors.live
        least = self.manifest.recipe.neighbors.copy_similarity
        fresh = np.stack([folded_article.embedding.latent for folded_article in folded])
        latent = np.concatenate([*(block.latent for block in self.vectors.blocks), fresh])
        found: list[list[int]] = []
        for position, folded_article in enumerate(folded, start=first):
            own, before = folded_article.embedding, latent[:position]
            near = np.flatnonzero(before @ own.latent >= (_LATENT_AT_LEAST if own.latent.any() else 0))
            tail = self.vectors.tail
            found.append([at for at in near.tolist() if own.cosine(tail[at]) >= least])
        return found
