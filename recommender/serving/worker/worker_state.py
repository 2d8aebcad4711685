"""The immutable state of a worker; each change makes a new one, so an interrupted change has no effect."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.fold_in import FoldedArticle, fold_in
from recommender.serving.index.snapshot import Snapshot
from recommender.serving.rules.active import Rules
from recommender.serving.rules.schema import Rule, read_stored
from recommender.serving.store import ArticleRow, Changes

_log = logging.getLogger(__name__)

_SPARE_ROWS = 200  # outdated rows that a snapshot may have beyond one per live article before it is rebuilt


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
    has_articles: bool = False  # whether `live` was read from the store
    unreadable: frozenset[str] = frozenset()  # ids of stored articles that this version cannot read
    file_rules: tuple[Rule, ...] = ()
    stored_rules: tuple[tuple[str, str], ...] = ()  # ids and JSON, in order
    unreadable_rules: tuple[str, ...] = ()  # ids of stored rules that this version cannot read

    def with_model(self, model: Model) -> "WorkerState":
        """Return the state with this model, and all live articles folded into it."""
        return _rebuilt(replace(self, folded={}), model)

    def with_changes(self, changes: Changes) -> "WorkerState":
        """Return the state with the changes in the store."""
        state = replace(self, version=changes.version, is_known=True)
        if changes.rules is not None:
            state = state.with_rules(self.file_rules, changes.rules.rules)
        if changes.complete:
            state = replace(
                state, live={}, folded={}, withdrawn={}, unreadable=frozenset(), has_articles=True
            )
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


def _with_rows(before: WorkerState, changes: Changes) -> WorkerState:
    """Apply changed articles: to the snapshot if possible, or else rebuild it."""
    live, folded, withdrawn = dict(before.live), dict(before.folded), dict(before.withdrawn)
    unreadable, snapshot = set(before.unreadable), before.snapshot
    for row in changes.articles:
        folded.pop(row.id, None)
        unreadable.discard(row.id)
        if row.withdrawn:
            live.pop(row.id, None)
            withdrawn[row.id] = row.updated
        elif (article := _article(row)) is None:
            unreadable.add(row.id)
        else:
            withdrawn.pop(row.id, None)
            live[row.id] = article
            if snapshot is not None and _is_newer(snapshot.model, article):
                folded[row.id] = _folded_article(snapshot.model, article, row)
    state = replace(before, live=live, folded=folded, withdrawn=withdrawn, unreadable=frozenset(unreadable))
    if snapshot is None:
        return state
    changed = [row.id for row in changes.articles if row.id in live]
    is_lifted = any(article_id in snapshot.withdrawn and article_id not in folded for article_id in changed)
    if changes.complete or is_lifted or snapshot.n_live > 2 * len(live) + _SPARE_ROWS:
        return _rebuilt(state, snapshot.model)
    snapshot = snapshot.without_withdrawn({row.id: row.updated for row in changes.articles if row.withdrawn})
    return replace(state, snapshot=snapshot.with_articles(_folded_articles(state, changed)))


def _rebuilt(before: WorkerState, model: Model) -> WorkerState:
    """Return the state with a new snapshot of the model and all live articles."""
    missing = {
        article_id: fold_in(model, article)
        for article_id, article in before.live.items()
        if article_id not in before.folded and _is_newer(model, article)
    }
    state = replace(before, folded={**before.folded, **missing})
    folded_articles = _folded_articles(state, sorted(state.folded))
    return replace(state, snapshot=Snapshot.of(model, before.withdrawn).with_articles(folded_articles))


def _folded_articles(state: WorkerState, ids: Iterable[str]) -> list[tuple[Article, FoldedArticle]]:
    known_ids = [article_id for article_id in ids if article_id in state.folded]
    return [(state.live[article_id], state.folded[article_id]) for article_id in known_ids]


def _article(row: ArticleRow) -> Article | None:
    try:
        return Article.from_json(row.payload or b"null")
    except (ValueError, TypeError) as error:
        _log.error("ignoring the article %r: another version of the program wrote it: %s", row.id, error)
        return None


def _is_newer(model: Model, article: Article) -> bool:
    """Return whether an article in the store is newer than the model's, or missing there."""
    row = model.articles.ids.find(article.id)
    return row is None or article.is_newer(model.articles.article(row))


def _folded_article(model: Model, article: Article, row: ArticleRow) -> FoldedArticle:
    if row.embedding is not None and row.model_version == model.manifest.version:
        try:
            return FoldedArticle.from_bytes(row.embedding, model.vectors.latent.shape[1])
        except ValueError:
            _log.warning("cannot read the stored fold-in of %r; folding it in again", row.id)
    return fold_in(model, article)
