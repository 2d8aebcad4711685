"""The immutable state of a worker; each change makes a new one, so an interrupted change has no effect.

No change here folds in an article, because that scores the whole corpus. An article whose fold-in is not
stored is pending: it is shown and found like any other, but similar to nothing until `ModelSwitch` has folded
it in.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from recommender.article import Article
from recommender.model import Model, microseconds
from recommender.serving.index.fold_in import FoldedArticle
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.rules.active import Rules
from recommender.serving.rules.schema import Rule, read_stored
from recommender.serving.store import ArticleRow, Changes

_log = logging.getLogger(__name__)

_SPARE_ROWS = 200  # outdated rows that a snapshot may have beyond one per live article before it is rebuilt
_MAX_CHANGED = 100  # articles that are added to a prepared snapshot, which takes some milliseconds


@dataclass(frozen=True)
class WorkerState:
    """What a worker knows of the model, the store and the rules. `Follower` replaces it in one assignment.

    `degraded` names what does not work: "store"; "state" (the state file); "rules" (the rules file, or a
    stored rule that this version cannot read); "articles" (a stored article that it cannot read); "model" (a
    newer model that cannot be opened); "refresh" (an unexpected error).
    """

    snapshot: Snapshot | None = None  # None: no model is open
    rules: Rules = field(default_factory=Rules)
    version: int = 0  # of the store
    withdrawn: Mapping[str, int] = field(default_factory=dict)  # microseconds of each withdrawal, by id
    is_known: bool = False  # whether withdrawals and rules were read, from the store or the state file
    degraded: tuple[str, ...] = ()
    live: Mapping[str, Article] = field(default_factory=dict)  # all articles in the store
    folded: Mapping[str, FoldedArticle] = field(default_factory=dict)  # those that are newer than the model's
    pending: frozenset[str] = frozenset()  # ids of those that are not folded in yet
    has_articles: bool = False  # whether `live` was read from the store
    unreadable: frozenset[str] = frozenset()  # ids of stored articles that this version cannot read
    file_rules: tuple[Rule, ...] = ()
    stored_rules: tuple[tuple[str, str], ...] = ()  # ids and JSON, in order
    unreadable_rules: tuple[str, ...] = ()  # ids of stored rules that this version cannot read

    def newer_than(self, model: Model) -> list[Article]:
        """Return the live articles that are newer than the model's, or missing there, newest first."""
        return newest_first(article for article in self.live.values() if _is_newer(model, article))

    def with_model(
        self, model: Model, fold_in_of: Callable[[Article], FoldedArticle | None] = lambda _: None
    ) -> "WorkerState":
        """Return the state with this model. Live articles for which `fold_in_of` returns None are pending."""
        fold_ins = {article.id: fold_in_of(article) for article in self.newer_than(model)}
        empty = FoldedArticle.empty(model)
        folded = {article_id: article or empty for article_id, article in fold_ins.items()}
        pending = frozenset(article_id for article_id, article in fold_ins.items() if article is None)
        return _rebuilt(replace(self, folded=folded, pending=pending), model)

    def with_fold_ins(self, model: Model, folded: Iterable[tuple[Article, FoldedArticle]]) -> "WorkerState":
        """Return the state with pending articles folded into its model.

        Nothing changes for an article that was replaced or withdrawn, or if the model was.
        """
        if self.snapshot is None or self.snapshot.model is not model:
            return self
        current = {
            article.id: folded_article
            for article, folded_article in folded
            if article.id in self.pending and self.live[article.id] == article
        }
        state = replace(self, folded={**self.folded, **current}, pending=self.pending - current.keys())
        articles = _folded_articles(state, sorted(current))
        return replace(state, snapshot=self.snapshot.with_articles(articles))

    def rebased(self, prepared: "WorkerState") -> "WorkerState | None":
        """Return this state with the model of `prepared`, which is an earlier state `with_model`.

        What has changed since then is applied. Return None if that would take too long, so that it has to be
        prepared again.
        """
        snapshot = prepared.snapshot
        if snapshot is None:
            return None
        changed = [
            article_id
            for article_id, article in self.live.items()
            if prepared.live.get(article_id) != article
        ]
        newer = {article_id for article_id in changed if _is_newer(snapshot.model, self.live[article_id])}
        withdrawn = dict(self.withdrawn.items() - prepared.withdrawn.items())
        # The model's article would be shown again for these, or nothing: only a new snapshot does that.
        restored = (prepared.withdrawn.keys() - self.withdrawn.keys()) | (prepared.folded.keys() & {*changed})
        removed = prepared.live.keys() - self.live.keys() - withdrawn.keys()
        if len(changed) > _MAX_CHANGED or not restored <= newer or removed:
            return None
        outdated = {*changed, *withdrawn}
        folded = {
            article_id: article
            for article_id, article in prepared.folded.items()
            if article_id not in outdated
        }
        state = replace(
            self,
            folded={**folded, **dict.fromkeys(newer, FoldedArticle.empty(snapshot.model))},
            pending=(prepared.pending - outdated) | newer,
        )
        articles = _folded_articles(state, sorted(newer))
        return replace(state, snapshot=snapshot.without_withdrawn(withdrawn).with_articles(articles))

    def with_changes(self, changes: Changes) -> "WorkerState":
        """Return the state with the changes in the store."""
        state = replace(self, version=changes.version, is_known=True)
        if changes.rules is not None:
            state = state.with_rules(self.file_rules, changes.rules.rules)
        if changes.complete:
            state = replace(
                state, live={}, folded={}, pending=frozenset(), withdrawn={}, unreadable=frozenset(),
                has_articles=True,
            )  # fmt: skip
        return _with_rows(state, changes) if changes.articles or changes.complete else state

    def with_rules(
        self, file_rules: tuple[Rule, ...], stored_rules: tuple[tuple[str, str], ...]
    ) -> "WorkerState":
        """Return the state with the rules of the file and of the store; those of the file come first."""
        if (file_rules, stored_rules) == (self.file_rules, self.stored_rules):
            return self
        stored, unreadable = read_stored(stored_rules)
        for rule_id in unreadable:
            if rule_id not in self.unreadable_rules:
                _log.error("ignoring the rule %s: another version of the program wrote it", rule_id)
        return replace(
            self, rules=Rules((*file_rules, *stored)), file_rules=file_rules, stored_rules=stored_rules,
            unreadable_rules=unreadable,
        )  # fmt: skip


def newest_first(articles: Iterable[Article]) -> list[Article]:
    """Return the articles in the order of their last update, the latest first, equal dates by id."""
    return sorted(articles, key=lambda article: (-microseconds(article.updated_at), article.id))


def read_article(row: ArticleRow) -> Article | None:
    """Return the article in a row of the store; None if another version of the program wrote it."""
    try:
        return Article.from_json(row.payload or b"null")
    except (ValueError, TypeError) as error:
        _log.error("ignoring the article %r: another version of the program wrote it: %s", row.id, error)
        return None


def stored_fold_in(model: Model, row: ArticleRow) -> FoldedArticle | None:
    """Return the stored fold-in of a row; None if there is none for this model, or it cannot be read."""
    if row.embedding is None or row.model_version != model.manifest.version:
        return None
    try:
        return FoldedArticle.from_bytes(row.embedding, model)
    except ValueError:
        _log.warning("cannot read the stored fold-in of %r; folding it in again", row.id)
        return None


def _with_rows(before: WorkerState, changes: Changes) -> WorkerState:
    """Apply changed articles: to the snapshot if possible, or else rebuild it."""
    live, folded, withdrawn = dict(before.live), dict(before.folded), dict(before.withdrawn)
    pending, unreadable, snapshot = set(before.pending), set(before.unreadable), before.snapshot
    for row in changes.articles:
        folded.pop(row.id, None)
        pending.discard(row.id)
        unreadable.discard(row.id)
        if row.withdrawn:
            live.pop(row.id, None)
            withdrawn[row.id] = row.updated
        elif (article := read_article(row)) is None:
            unreadable.add(row.id)
        else:
            withdrawn.pop(row.id, None)
            live[row.id] = article
            if snapshot is not None and _is_newer(snapshot.model, article):
                stored = stored_fold_in(snapshot.model, row)
                folded[row.id] = stored or FoldedArticle.empty(snapshot.model)
                if stored is None:
                    pending.add(row.id)
    state = replace(
        before, live=live, folded=folded, withdrawn=withdrawn,
        pending=frozenset(pending), unreadable=frozenset(unreadable),
    )  # fmt: skip
    if snapshot is None:
        return state
    changed = [row.id for row in changes.articles if row.id in live]
    is_lifted = any(article_id in snapshot.withdrawn and article_id not in folded for article_id in changed)
    if changes.complete or is_lifted or snapshot.n_live > 2 * len(live) + _SPARE_ROWS:
        return _rebuilt(state, snapshot.model)
    snapshot = snapshot.without_withdrawn({row.id: row.updated for row in changes.articles if row.withdrawn})
    return replace(state, snapshot=snapshot.with_articles(_folded_articles(state, changed)))


def _rebuilt(state: WorkerState, model: Model) -> WorkerState:
    """Return the state with a new snapshot of the model and its folded articles."""
    folded_articles = _folded_articles(state, sorted(state.folded))
    return replace(state, snapshot=Snapshot.of(model, state.withdrawn).with_articles(folded_articles))


def _folded_articles(state: WorkerState, ids: Iterable[str]) -> list[tuple[Article, FoldedArticle]]:
    known_ids = [article_id for article_id in ids if article_id in state.folded]
    return [(state.live[article_id], state.folded[article_id]) for article_id in known_ids]


def _is_newer(model: Model, article: Article) -> bool:
    """Return whether an article in the store is newer than the model's, or missing there."""
    row = model.articles.ids.find(article.id)
    return row is None or article.is_newer(model.articles.article(row))
