"""The live state of the service in one database: events, new articles, withdrawals and editorial rules.

The database is SQLite for one machine, or PostgreSQL for several. Other packages import this module only; SQL
is written only in the modules below it.

One number orders all changes to articles, withdrawals and rules: it grows with each commit. Writers take
turns, on PostgreSQL by a lock. So a worker that reads the changes after a number misses none. The first
number is random, which shows whether a number comes from this database.

One thread per process writes: it commits everything that waits in one transaction (`writer`, `database`).
SQLite syncs the disk for articles, withdrawals and rules. Events are synced only at checkpoints: they survive
the end of the process, but not always a power cut.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

from sqlalchemy import Connection

from recommender.serving.store import articles, pruning
from recommender.serving.store.counting import MINUTE, Counting
from recommender.serving.store.counts import counts_after, position_counts_since
from recommender.serving.store.database import Database
from recommender.serving.store.numbers import numbers
from recommender.serving.store.rows import (
    ArticleRow,
    Changes,
    Counts,
    DatabaseFacts,
    Event,
    Outcome,
    PositionCount,
    RuleSet,
    StaleError,
    StoreDownError,
    StoreError,
    Verdict,
)
from recommender.serving.store.rules import Revision, Rules, revise_rules, stored_rules
from recommender.settings import SOURCE_CAP, SOURCE_WINDOW_MINUTES, VISITOR_WINDOW_MINUTES, Settings
from recommender.trending import EVENT_WEIGHTS, event_weights

__all__ = [
    "ArticleRow",
    "Changes",
    "Counts",
    "DatabaseFacts",
    "Event",
    "Outcome",
    "PositionCount",
    "RuleSet",
    "StaleError",
    "Store",
    "StoreDownError",
    "StoreError",
    "Verdict",
]


class Store:
    """The live state that all workers share. Threads may share a store.

    Its first call connects to the database, and creates or migrates the tables. Every write returns after its
    commit and survives the end of the process. Changes to articles, withdrawals and rules also survive a
    power cut. Every method raises StoreDownError while the database is busy, full or unreachable, and works
    again when the database does. After such a failure, all calls fail at once for `pause_seconds`.

    One `version` number orders all changes to articles, withdrawals and rules. Within one database it only
    grows.

    Raises StoreError for an unusable address. The first call raises StoreError if a newer program has
    migrated the database. Production code builds a store with `Store.of`; the default values here are those
    of the settings.
    """

    def __init__(
        self,
        url: str,
        *,
        visitor_window_minutes: int = VISITOR_WINDOW_MINUTES,
        source_window_minutes: int = SOURCE_WINDOW_MINUTES,
        source_cap: int = SOURCE_CAP,
        weights: Mapping[str, float] = EVENT_WEIGHTS,
        timeout_seconds: float = 2.0,
        pause_seconds: float = 0.5,
    ) -> None:
        self._database = Database(url, timeout_seconds=timeout_seconds, pause_seconds=pause_seconds)
        self._counting = Counting(
            visitor_window=visitor_window_minutes * MINUTE,
            source_window=source_window_minutes * MINUTE,
            source_cap=source_cap,
            weights=weights,
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the store for these settings. Raises StoreError."""
        return cls(
            settings.database_url,
            visitor_window_minutes=settings.visitor_window_minutes,
            source_window_minutes=settings.source_window_minutes,
            source_cap=settings.source_cap,
            weights=event_weights(settings.weight_of),
        )

    @property
    def is_there(self) -> bool:
        """Whether the database exists. For SQLite, whether its file does; for a server, always True."""
        return self._database.is_there

    def on_failure(self, call: Callable[[], object]) -> None:
        """Call a function for each failure of the database, except calls that fail at once afterwards."""
        self._database.on_failure = call

    def facts(self) -> DatabaseFacts:
        """Return facts about the database without a change to it, such as a migration.

        Raises StoreDownError if serving could not use it now, and StoreError if it never could.
        """
        return self._database.facts()

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._database.close()

    def put_articles(self, rows: Sequence[ArticleRow]) -> tuple[list[Outcome], int]:
        """Put articles in order in one transaction; return their outcomes and the version afterwards.

        `older`: nothing is written, because the stored row has a later `updated`, or the same `updated` and
        is withdrawn. `unchanged`: the stored row has the same `updated` and payload; only a new embedding is
        written, and the version stays the same. A row may be a withdrawal itself.
        """
        return self._database.write(articles.put_articles, rows, durable=True)

    def withdraw(self, article_id: str, updated: int) -> int:
        """Withdraw an article, known or unknown; return the version afterwards.

        The withdrawal gets the later of `updated` and the stored article's `updated`. Calling it again
        changes nothing.
        """
        return self.withdraw_all([(article_id, updated)])

    def withdraw_all(self, withdrawals: Sequence[tuple[str, int]]) -> int:
        """Withdraw articles, given as (id, updated), in one transaction; return the version afterwards."""
        return self._database.write(articles.withdraw_articles, withdrawals, durable=True)

    def version(self) -> int:
        """Return the version of the last change to articles, withdrawals and rules."""
        return self._database.read(lambda connection: numbers(connection)["live"])

    def changes(self, after: int = 0) -> Changes:
        """Return the changes after a version, or everything if the version is not from this database."""
        return self._database.read(lambda connection: _changes(connection, after))

    def article(self, article_id: str) -> ArticleRow | None:
        """Return the article, live or withdrawn, or None."""
        row_of = self._database.read(lambda connection: articles.articles_by_id(connection, [article_id]))
        return row_of.get(article_id)

    def articles_by_id(self, ids: Sequence[str]) -> dict[str, ArticleRow]:
        """Return the articles with these ids, live or withdrawn, that are in the store."""
        return self._database.read(lambda connection: articles.articles_by_id(connection, ids))

    def put_fold_ins(self, rows: Sequence[ArticleRow]) -> None:
        """Store the embeddings of rows that still have the same version; nothing else changes."""
        self._database.write(articles.put_fold_ins, rows)

    def claim_fold_ins(self, owner: int, now: int) -> bool:
        """Return whether this owner may compute fold-ins; if so, no other owner may for 4 seconds."""
        return self._database.write(articles.claim_fold_ins, (owner, now))

    def articles(self) -> Iterator[ArticleRow]:
        """Yield all articles, live and withdrawn, in the byte order of their ids, page by page."""
        after = ""
        while page := self._database.read(_page_after(after)):
            yield from page
            after = page[-1].id

    def delete_articles(self, ids_and_versions: Sequence[tuple[str, int]]) -> int:
        """Delete live articles that still have the given version; return how many. Withdrawals stay."""
        return self._database.write(articles.delete_articles, ids_and_versions)

    def rules(self) -> RuleSet:
        """Return the editorial rules."""
        return self._database.read(stored_rules)

    def put_rule(self, rule_id: str, json: str, if_match: str | None = None) -> tuple[bool, RuleSet]:
        """Replace a rule in its place, or add it at the end; return whether it is new, and all rules.

        Raises StaleError if `if_match` is not the ETag of the current rules.
        """

        def change(rules: Rules) -> Rules:
            if any(stored_id == rule_id for stored_id, _ in rules):
                return tuple((stored_id, json if stored_id == rule_id else body) for stored_id, body in rules)
            return (*rules, (rule_id, json))

        before, after = self._revise(change, if_match)
        return all(stored_id != rule_id for stored_id, _ in before.rules), after

    def delete_rule(self, rule_id: str, if_match: str | None = None) -> RuleSet:
        """Delete one rule, if it exists; return the remaining rules. Raises StaleError like `put_rule`."""
        return self._revise(lambda rules: tuple(rule for rule in rules if rule[0] != rule_id), if_match)[1]

    def replace_rules(self, rules: Sequence[tuple[str, str]], if_match: str) -> RuleSet:
        """Replace all rules with these; return them. Raises StaleError like `put_rule`."""
        return self._revise(lambda _: tuple(rules), if_match)[1]

    def count(self, events: Sequence[Event], now: int) -> list[Verdict]:
        """Count events that arrived at `now`; return the verdict on each.

        `duplicate`: its `event_id` arrived in the last 48 hours, or its visitor was counted for the same
        article and type less than a visitor window before or after. `capped`: counting it, by the weight of
        its type, would put its source above the cap for the article and type.
        """
        return self._database.write(self._counting.count_all, (events, now))

    def salt(self, now: int) -> bytes:
        """Return the salt of the day, the same for all workers. Salts of earlier days are deleted."""
        day = now // pruning.DAY
        salt = self._database.read(lambda connection: pruning.salt_of(connection, day))
        return salt or self._database.write(pruning.salts_of, day)

    def counts(self, after: int = 0) -> Counts:
        """Return the buckets that changed since `after`, the `newest` of an earlier result, or all."""
        return self._database.read(lambda connection: counts_after(connection, after))

    def position_counts(self, since: int = 0) -> list[PositionCount]:
        """Return what readers did with articles in lists, from the hour of the moment `since` on."""
        return self._database.read(
            lambda connection: position_counts_since(connection, since // (60 * MINUTE))
        )

    def prune(self, now: int) -> bool:
        """Delete old data in short transactions; return False if that happened in the last five minutes.

        Visitors and sources are deleted after their windows, event ids after 48 hours, counts after 8 days,
        position counts after 90 days. Counts by minute are merged into hours after 48 hours.
        """
        if not self._database.write(pruning.claim, now):
            return False
        for table, window in self._counting.seen_tables():
            while self._database.write(pruning.delete_seen, (table, now, window)):
                pass
        while self._database.write(pruning.merge_counts, now):
            pass
        self._database.write(pruning.delete_old, now)
        self._database.tidy()
        return True

    def _revise(self, change: Callable[[Rules], Rules], if_match: str | None) -> tuple[RuleSet, RuleSet]:
        result = self._database.write(revise_rules, Revision(change, if_match), durable=True)
        if isinstance(result, StaleError):
            raise result
        return result


def _changes(connection: Connection, after: int) -> Changes:
    value_of = numbers(connection)
    version = value_of["live"]
    complete = not value_of["live-base"] <= after <= version
    changed = [] if after == version else articles.changed_articles(connection, -1 if complete else after)
    rules = stored_rules(connection) if complete or value_of["rules"] > after else None
    return Changes(version, changed, rules, complete)


def _page_after(after: str) -> Callable[[Connection], list[ArticleRow]]:
    return lambda connection: articles.page_of_articles(connection, after)
