"""What changes while the service runs: events, new articles, withdrawals and rules, in one database.

The address decides which database: SQLite for one machine, PostgreSQL for many. All others see this module
alone; only the modules below it know SQL.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

from sqlalchemy import Connection

from recommender.serving.store import articles, pruning, reading, ruling
from recommender.serving.store.counting import MINUTE, Counting
from recommender.serving.store.database import Database
from recommender.serving.store.numbers import numbers
from recommender.serving.store.rows import (
    ArticleRow,
    Changes,
    Counts,
    Event,
    Outcome,
    PositionCount,
    RuleSet,
    StaleError,
    StoreDownError,
    StoreError,
    Verdict,
)
from recommender.settings import Settings
from recommender.trending import EVENT_WEIGHTS

__all__ = [
    "ArticleRow",
    "Changes",
    "Counts",
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
    """The live state that all workers of a newsroom share.

    It connects, creates and migrates its tables when first used. Every write returns after its commit, and
    survives the end of the process; those to articles, withdrawals and rules survive a power cut too. Every
    method raises StoreDownError while the database is busy, full or away, and recovers by itself; after such
    a failure all calls fail at once for `pause_seconds`. Threads may share a store.

    One `version` orders all changes to articles, withdrawals and rules; it only grows, within one database.

    Raises StoreError for an address that cannot be used, and at first use where a newer program migrated the
    database.
    """

    def __init__(
        self,
        url: str,
        *,
        visitor_window_minutes: int = 30,
        source_window_minutes: int = 30,
        source_cap: int = 3,
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
        """Return the store of these settings. Raises StoreError."""
        return cls(
            settings.database_url,
            visitor_window_minutes=settings.visitor_window_minutes,
            source_window_minutes=settings.source_window_minutes,
            source_cap=settings.source_cap,
        )

    @property
    def is_there(self) -> bool:
        """Whether there is a database, as far as can be told without asking a server or making a file."""
        return self._database.is_there

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._database.close()

    def put_articles(self, rows: Sequence[ArticleRow]) -> tuple[list[Outcome], int]:
        """Put articles in order, in one transaction; returns each outcome, and the version then.

        `older`, and nothing is written: the store holds the article with a later `updated`, or withdrawn at
        the same moment. `unchanged`: it is there with the same `updated` and payload; only a new embedding
        is taken, and the version does not move. A row may be withdrawn itself.
        """
        return self._database.write(articles.put_articles, rows, durable=True)

    def withdraw(self, article_id: str, updated: int) -> int:
        """Withdraw an article, known or not; returns the version of the store then.

        The moment of the withdrawal is the later of `updated` and that of the stored article. Repeatable.
        """
        return self.withdraw_all([(article_id, updated)])

    def withdraw_all(self, withdrawals: Sequence[tuple[str, int]]) -> int:
        """Withdraw many articles in one transaction, each an id and a moment; returns the version then."""
        return self._database.write(articles.withdraw_articles, withdrawals, durable=True)

    def version(self) -> int:
        """Return the version of the last change to articles, withdrawals and rules."""
        return self._database.read(lambda connection: numbers(connection)["live"])

    def changes(self, after: int = 0) -> Changes:
        """Return what changed after a version, or all where the version is not of this database."""
        return self._database.read(lambda connection: _changes(connection, after))

    def article(self, article_id: str) -> ArticleRow | None:
        """Return the article, live or withdrawn, or None."""
        found = self._database.read(lambda connection: articles.articles_by_id(connection, [article_id]))
        return found.get(article_id)

    def articles(self) -> Iterator[ArticleRow]:
        """Yield all articles, live and withdrawn, in the order of the bytes of their ids, page by page."""
        after = ""
        while page := self._database.read(_page_after(after)):
            yield from page
            after = page[-1].id

    def forget_articles(self, ids_and_versions: Sequence[tuple[str, int]]) -> int:
        """Delete live articles that are still of the version given; returns how many. Withdrawals stay."""
        return self._database.write(articles.forget_articles, ids_and_versions)

    def rules(self) -> RuleSet:
        """Return the editorial rules."""
        return self._database.read(ruling.stored_rules)

    def put_rule(self, rule_id: str, json: str, if_match: str | None = None) -> tuple[bool, RuleSet]:
        """Put one rule, in its old place or at the end; returns whether it is new, and the rules then.

        Raises StaleError when `if_match` is not the ETag of the rules as they are.
        """

        def change(rules: ruling.Rules) -> ruling.Rules:
            if any(each == rule_id for each, _ in rules):
                return tuple((each, json if each == rule_id else body) for each, body in rules)
            return (*rules, (rule_id, json))

        before, after = self._revise(change, if_match)
        return all(each != rule_id for each, _ in before.rules), after

    def delete_rule(self, rule_id: str, if_match: str | None = None) -> RuleSet:
        """Delete one rule if it is there; returns the rules then. Raises StaleError as `put_rule` does."""
        return self._revise(lambda rules: tuple(rule for rule in rules if rule[0] != rule_id), if_match)[1]

    def replace_rules(self, rules: Sequence[tuple[str, str]], if_match: str) -> RuleSet:
        """Put these rules in the place of all others; returns them. Raises StaleError as `put_rule` does."""
        return self._revise(lambda _: tuple(rules), if_match)[1]

    def count(self, events: Sequence[Event], now: int) -> list[Verdict]:
        """Count events that arrived at `now`; returns what became of each.

        `duplicate`: its `event_id` was seen in the last 48 hours, or its visitor was counted for the article
        and type less than a window before or after. `capped`: its source would have more than its cap for the
        article and type, by the weight of the type.
        """
        return self._database.write(self._counting.count_all, (events, now))

    def salt(self, now: int) -> bytes:
        """Return the salt of the day, the same for all workers; those of earlier days are gone for good."""
        day = now // pruning.DAY
        salt = self._database.read(lambda connection: pruning.salt_of(connection, day))
        return salt or self._database.write(pruning.salts_of, day)

    def counts(self, after: int = 0) -> Counts:
        """Return the buckets that changed after a number that an earlier answer gave as `newest`, or all."""
        return self._database.read(lambda connection: reading.counts_after(connection, after))

    def position_counts(self, since: int = 0) -> list[PositionCount]:
        """Return what readers did with articles in lists, from the hour of the moment `since` on."""
        return self._database.read(
            lambda connection: reading.position_counts_since(connection, since // (60 * MINUTE))
        )

    def prune(self, now: int) -> bool:
        """Forget what is past, in short transactions; returns False where it was done in the last minutes.

        Visitors and sources after their windows, ids of events after 48 hours, counts after 8 days,
        placements after 90. Minutes older than 48 hours become hours.
        """
        if not self._database.write(pruning.claim, now):
            return False
        for table, window in self._counting.seen():
            while self._database.write(pruning.forget_seen, (table, now, window)):
                pass
        while self._database.write(pruning.merge_counts, now):
            pass
        self._database.write(pruning.drop_old, now)
        self._database.tidy()
        return True

    def _revise(
        self, change: Callable[[ruling.Rules], ruling.Rules], if_match: str | None
    ) -> tuple[RuleSet, RuleSet]:
        result = self._database.write(ruling.revise_rules, ruling.Revision(change, if_match), durable=True)
        if isinstance(result, StaleError):
            raise result
        return result


def _changes(connection: Connection, after: int) -> Changes:
    known = numbers(connection)
    version = known["live"]
    complete = not known["live-base"] <= after <= version
    changed = [] if after == version else articles.changed_articles(connection, -1 if complete else after)
    rules = ruling.stored_rules(connection) if complete or known["rules"] > after else None
    return Changes(version, changed, rules, complete)


def _page_after(after: str) -> Callable[[Connection], list[ArticleRow]]:
    return lambda connection: articles.page_of_articles(connection, after)
