"""What happens to a server while it is read: other models, changed articles and rules, killed workers."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from recommender.article import Article
from recommender.artifact import publish
from recommender.model import Model
from recommender.pruning import prune
from tests.soak.expectations import Change, Expectations, Fault
from tests.soak.traffic import Client, ServerEndedError, Tally
from tests.support.servers import Server

RELOAD_SECONDS = 20.0
_KILL_SECONDS = 13.0  # between two kills
_CHANGE_SECONDS, _RULE_SECONDS, _BLOCK_SECONDS = 0.2, 1.0, 3.0
_EMBARGO_SECONDS = 4.0
_RESTART_SECONDS = 15.0
_NEW = 30  # articles that the models do not have


class ArticleChanges:
    """Puts, corrects, embargoes and withdraws articles, and publishes them again."""

    def __init__(
        self, client: Client, expectations: Expectations, articles: Sequence[Article], done: Counter[str]
    ) -> None:
        self._client, self._expectations, self._done = client, expectations, done
        self._articles = {article.id: article for article in articles}
        self._texts = list(articles)
        self._random = random.Random(0)  # noqa: S311
        self._ids = [*self._articles, *(f"new-{number}" for number in range(_NEW))]

    def run_once(self) -> None:
        """Make a random change to a random article."""
        time.sleep(_CHANGE_SECONDS)
        article_id = self._random.choice(self._ids)
        last = self._expectations.change_of(article_id)
        if last.state == "embargoed" and time.monotonic() < last.until:
            return
        change = self._random.random()
        if change < 0.25 and last.state == "shown" and last.since:  # not one that was never put
            self._withdraw(article_id)
        else:
            self._put(article_id, embargoed=change > 0.85)

    def _put(self, article_id: str, *, embargoed: bool) -> None:
        last = self._expectations.begin(article_id)
        text = self._articles.get(article_id) or self._random.choice(self._texts)
        other, revision = self._random.choice(self._texts), last.revision + 1
        now, begun = datetime.now(UTC), time.monotonic()
        published = now + timedelta(seconds=_EMBARGO_SECONDS if embargoed else 0)
        body = {
            "title": f"{text.title} (revision {revision})",
            "body": text.body[: len(text.body) // 2] + other.body[len(other.body) // 2 :],
            "category": text.category,
            "published_at": published.isoformat(),
            "updated_at": now.isoformat(),
        }
        self._client.send("put", "PUT", f"/v1/articles/{article_id}", body)
        at, until = time.monotonic(), begun + _EMBARGO_SECONDS
        if embargoed:
            self._done["embargoes"] += 1
            self._expectations.end(article_id, Change("embargoed", at, until, revision, at))
        else:
            self._done["puts"] += 1
            self._expectations.end(article_id, Change("shown", at, revision=revision, revised=at))

    def _withdraw(self, article_id: str) -> None:
        last = self._expectations.begin(article_id)
        self._client.send("withdraw", "DELETE", f"/v1/articles/{article_id}")
        self._done["withdrawals"] += 1
        at = time.monotonic()
        change = Change("withdrawn", at, revision=last.revision, revised=last.revised)
        self._expectations.end(article_id, change)


class RuleChanges:
    """Blocks articles, and adds and removes other rules; `pinned` articles are pinned everywhere."""

    def __init__(
        self,
        client: Client,
        expectations: Expectations,
        articles: Sequence[Article],
        pinned: Sequence[Article],
        done: Counter[str],
    ) -> None:
        self._client, self._expectations, self._done = client, expectations, done
        self._articles, self._random, self._number = list(articles), random.Random(1), 0  # noqa: S311
        self._pins = [article.id for article in pinned]

    def run_once(self) -> None:
        """Pin articles that are withdrawn and embargoed meanwhile; block others for a while, in turn."""
        self._number += 1
        ids = [article.id for article in self._random.sample(self._articles, 3)]
        kind = self._random.choice(("block", "sensitive"))
        for article_id in ids:
            self._expectations.begin(article_id)
        self._put("block", {"kind": kind, "articles": ids})
        at = time.monotonic()
        for article_id in ids:
            self._expectations.end(article_id, Change("blocked", at))
        self._put("pins", {"kind": "pin", "articles": self._random.sample(self._pins, 3)})
        self._put("cap", {"kind": "cap", "per": "category", "at_most": self._random.randint(3, 9)})
        time.sleep(_BLOCK_SECONDS)
        for article_id in ids:
            self._expectations.begin(article_id)
        self._client.send("rule", "DELETE", f"/v1/rules/block-{self._number}")
        at = time.monotonic()
        for article_id in ids:
            self._expectations.end(article_id, Change("shown", at))
        self._done["rules"] += 1
        time.sleep(_RULE_SECONDS)

    def _put(self, name: str, rule: dict[str, object]) -> None:
        name = f"block-{self._number}" if name == "block" else name
        body = rule | {"reason": "soak", "author": "soak"}
        self._client.send("rule", "PUT", f"/v1/rules/{name}", body)
        self._done["rules"] += 1


class Reloads:
    """Publishes the two editions in turn, and removes old versions."""

    def __init__(
        self, models: Path, editions: dict[str, Model], expectations: Expectations, done: Counter[str]
    ) -> None:
        self._models, self._editions, self._expectations = models, editions, expectations
        self._done = done

    def publish(self) -> None:
        """Publish the edition that is not current, and keep three versions."""
        edition = list(self._editions)[self._done["reloads"] % len(self._editions)]
        version = publish(self._editions[edition], self._models)
        self._expectations.publish(version, edition, time.monotonic())
        self._done["reloads"] += 1
        prune(self._models, now=datetime.now(UTC), keep=3, keep_days=0)

    def run_once(self) -> None:
        """Wait, then publish."""
        time.sleep(RELOAD_SECONDS)
        self.publish()


class Kills:
    """Kills a worker from time to time; the server must replace it."""

    def __init__(self, server: Server, workers: int, tally: Tally, done: Counter[str]) -> None:
        self._server = psutil.Process(server.process.pid)
        self._workers, self._tally, self._done = workers, tally, done
        self._random = random.Random(2)  # noqa: S311

    def run_once(self) -> None:
        """Wait, kill a worker, and wait for the next one. Raises ServerEndedError."""
        time.sleep(_KILL_SECONDS)
        try:
            self._kill()
        except (psutil.NoSuchProcess, ProcessLookupError, IndexError):
            raise ServerEndedError from None

    def _kill(self) -> None:
        workers = self._server.children()
        self._tally.last_kill = time.monotonic()
        os.kill(self._random.choice(workers).pid, signal.SIGKILL)
        self._done["kills"] += 1
        end = time.monotonic() + _RESTART_SECONDS
        while (now := len(self._server.children())) != self._workers or self._server.children() == workers:
            if time.monotonic() > end:
                self._tally.add([Fault("wrong", f"{now} of {self._workers} workers run after a kill", "")])
                return
            time.sleep(0.1)
            self._tally.last_kill = time.monotonic()
