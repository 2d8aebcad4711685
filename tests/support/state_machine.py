"""A state machine of the whole service: articles, rules, models and the clock change in any order."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recommender.article import Article
from recommender.artifact import current_version, publish, roll_back, versions
from recommender.serving.app import create_app
from recommender.serving.cache.purging import Purger
from recommender.serving.http.auth import new_key
from recommender.serving.worker.context import Context
from recommender.settings import Settings
from tests.support.laws import examples
from tests.support.newsroom import build_model

KEY, KEY_SETTING = new_key("cms", ["articles", "rules"])
HEADERS = {"Authorization": f"Bearer {KEY}"}
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARTICLE_IDS = [f"a{number}" for number in range(6)]
TITLES = ["storm floods the harbour town", "flood barrier for the harbour", "budget vote in the council"]

some_id = st.sampled_from(ARTICLE_IDS)
minutes = st.sampled_from([-30, -1, 0, 1, 30])
some_category = st.sampled_from(["News", "Paid & Partners"])
# Rules that hide categories: the key is the id of a rule, the value the category that it hides.
HIDING_RULES = {"paid": ("paid-partners", "Paid & Partners"), "all-news": ("NEWS", "News")}


class ServiceStateMachine(RuleBasedStateMachine):
    """A service with its own clock, and a slow, obvious record of what it may show."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.now = START
        self.corpus = [
            self._article(article_id, START - timedelta(days=1), START - timedelta(days=1))
            for article_id in ARTICLE_IDS
        ]
        self.known = {article.id: article for article in self.corpus}  # as last put or trained on
        self.withdrawn: dict[str, datetime] = {}
        self.blocked: set[str] = set()
        self.uncertain: set[str] = set()  # what a change that failed may have shown
        self.blocked_categories: set[str] = set()
        self._publish()
        self._start()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.context.store.close()
            shutil.rmtree(self.folder)

    @rule(
        article_id=some_id,
        ahead=minutes,
        embargo=st.integers(-20, 20),
        text=st.sampled_from(TITLES),
        category=some_category,
    )
    def put(self, article_id: str, ahead: int, embargo: int, text: str, category: str) -> None:
        """Put an article whose date of change is so many minutes from now."""
        updated = self.now + timedelta(minutes=ahead)
        article = self._article(article_id, self.now + timedelta(minutes=embargo), updated, text, category)
        answer = self.change(
            lambda: self.client.put(f"/v1/articles/{article_id}", data=article.to_json(), **SIGNED_JSON),
            shows=article_id,
        )
        assert answer.status_code in {200, 201}
        assert answer.json is not None
        if article_id in self.withdrawn and updated <= self.withdrawn[article_id]:
            assert answer.json["applied"] is False
        if answer.json["applied"]:
            self.withdrawn.pop(article_id, None)
            self.known[article_id] = article

    @rule(article_id=some_id)
    def withdraw(self, article_id: str) -> None:
        answer = self.change(lambda: self.client.delete(f"/v1/articles/{article_id}", headers=HEADERS))
        assert answer.status_code == 204
        held = self.known[article_id].updated_at or self.now
        self.withdrawn[article_id] = max(self.now, held, self.withdrawn.get(article_id, self.now))

    @rule(article_id=some_id, kind=st.sampled_from(["block", "sensitive"]))
    def hide(self, article_id: str, kind: str) -> None:
        body = {"kind": kind, "articles": [article_id], "reason": "a lawsuit", "author": "desk"}
        answer = self.change(
            lambda: self.client.put(f"/v1/rules/hide-{article_id}", data=json.dumps(body), **SIGNED_JSON)
        )
        assert answer.status_code in {200, 201}
        self.blocked.add(article_id)

    @rule(rule_id=st.sampled_from(sorted(HIDING_RULES)), kind=st.sampled_from(["block", "sensitive"]))
    def hide_category(self, rule_id: str, kind: str) -> None:
        """Hide all articles in a category, also those that join it later."""
        spelling, category = HIDING_RULES[rule_id]
        body = {"kind": kind, "in_category": spelling, "reason": "paid for", "author": "desk"}
        answer = self.client.put(f"/v1/rules/{rule_id}", data=json.dumps(body), **SIGNED_JSON)
        assert answer.status_code in {200, 201}
        self.blocked_categories.add(category)

    @rule(rule_id=st.sampled_from(sorted(HIDING_RULES)))
    def unhide_category(self, rule_id: str) -> None:
        self.client.delete(f"/v1/rules/{rule_id}", headers=HEADERS)
        self.blocked_categories.discard(HIDING_RULES[rule_id][1])

    @rule(article_id=some_id)
    def pin(self, article_id: str) -> None:
        """Pin all articles: a pin must not show what is withdrawn, hidden or under embargo."""
        body = {"kind": "pin", "articles": ARTICLE_IDS, "reason": "read this", "author": "desk"}
        text = json.dumps(body | {"for_article": article_id})
        answer = self.change(lambda: self.client.put(f"/v1/rules/pin-{article_id}", data=text, **SIGNED_JSON))
        assert answer.status_code in {200, 201}

    @rule(article_id=some_id)
    def unhide(self, article_id: str) -> None:
        self.change(
            lambda: self.client.delete(f"/v1/rules/hide-{article_id}", headers=HEADERS), shows=article_id
        )
        self.blocked.discard(article_id)

    @rule(with_live=st.booleans())
    def train(self, with_live: bool) -> None:  # noqa: FBT001
        """Publish a model of the old corpus, or of every article that was ever put, withdrawn or not."""
        if with_live:
            self.corpus = sorted(self.known.values(), key=lambda article: article.id)
        self._publish()
        self.change(self.context.follower.refresh)

    @rule()
    def go_back(self) -> None:
        models = self.folder / "models"
        others = [version for version in versions(models) if version != current_version(models)]
        if others:
            roll_back(models, others[0])
            self.change(self.context.follower.refresh)

    @rule()
    def restart(self) -> None:
        self.context.store.close()
        self.change(self._start)

    @rule()
    def lose_database(self) -> None:
        """Delete the database: articles that were put are lost, withdrawals and rules are not."""
        self.context.store.close()
        for path in self.folder.glob("live.db*"):
            path.unlink()
        self.change(self.context.follower.refresh)

    @rule(ahead=st.integers(-40, 40))
    def pass_time(self, ahead: int) -> None:
        """Move the clock forwards or backwards."""
        self.now += timedelta(minutes=ahead)

    @invariant()
    def nothing_forbidden_is_shown(self) -> None:
        if not hasattr(self, "client"):
            return
        withdrawn = {*self.withdrawn} - self.uncertain
        hidden = {*withdrawn, *self.blocked, *self._in_blocked_categories()} - self.uncertain
        for requested_id, answer in self._answers():
            assert answer.status_code in {200, 404, 410}, answer.text
            listed = answer.json.get("items", ()) if answer.status_code == 200 else ()
            assert len({item["id"] for item in listed}) == len(listed)
            shown = set(_ids(answer.json)) if answer.status_code == 200 else set()
            assert not (shown - {requested_id}) & hidden, (requested_id, shown, hidden)
            assert not shown & withdrawn
            assert not [date for date in _dates(answer.json) if date > self.now]
            if requested_id in withdrawn:
                assert answer.status_code == 410
        scores: Any = self.client.get(f"/api/item/{ARTICLE_IDS[0]}/neighbors?n=50").json
        posts: Any = self.client.get(f"/v2/related?limit=50&url=https://x.test/{ARTICLE_IDS[0]}").json
        shown = {score["Id"] for score in scores}
        shown |= {post["url"].removeprefix("https://x.test/") for post in posts["data"]}
        assert not shown & hidden, (shown, hidden)
        assert all(f"{post['pub_date']}+00:00" <= self.now.isoformat() for post in posts["data"])

    def change(self, call: Callable[[], Any], *, shows: str = "") -> Any:  # noqa: ARG002 a subclass uses it
        """Return the result of a change, which may show an article again. A subclass interrupts it."""
        return call()

    def _in_blocked_categories(self) -> Iterator[str]:
        """Yield the articles whose own facts, which no rule hides, have a blocked category."""
        for article_id in ARTICLE_IDS:
            facts: Any = self.client.get(f"/v1/articles/{article_id}")
            if facts.status_code == 200 and facts.json["category"] in self.blocked_categories:
                yield article_id

    def _answers(self) -> Iterator[tuple[str | None, Any]]:
        for article_id in ARTICLE_IDS:
            for call in (
                f"articles/{article_id}",
                f"articles/{article_id}/related?limit=50",
                f"article?url=https://x.test/{article_id}",
                f"page/{article_id}",
            ):
                yield article_id, self.client.get(f"/v1/{call}")
        for call in (
            "articles?limit=50",
            "topics",
            "topics/all?limit=50",
            "trending?limit=50",
            f"related/batch?{_BATCH}",
            "search?limit=50&q=floo",
        ):
            yield None, self.client.get(f"/v1/{call}")
        text = json.dumps({"title": TITLES[0], "limit": 50})
        yield None, self.client.post("/v1/similar", data=text, content_type="application/json")

    def _article(
        self,
        article_id: str,
        published: datetime,
        updated: datetime,
        text: str = TITLES[0],
        category: str = "News",
    ) -> Article:
        url = f"https://x.test/{article_id}"
        return Article(
            id=article_id, title=text, url=url, published_at=published, updated_at=updated, category=category
        )

    def _publish(self) -> None:
        publish(build_model(self.corpus), self.folder / "models", now=self.now)

    def _start(self) -> None:
        options: dict[str, Any] = {
            "models_dir": self.folder / "models",
            "database_url": f"sqlite:///{self.folder / 'live.db'}",
            "state_file": self.folder / "state.json",
        }
        app = create_app(
            Settings(
                **options,
                write_keys=(KEY_SETTING,),
                live_poll_seconds=0,
                model_retry_seconds=0,
                address_limit="1000000/second",
                drop_in=("gorse", "parsely"),
            ),
            clock=lambda: self.now,
            make_purger=self._make_purger,
        )
        self.client: FlaskClient = app.test_client()
        self.context = app.extensions["recommender"]

    def _make_purger(self, _: Context) -> Purger | None:
        """Return the purger of the service; there is none unless a subclass makes one."""
        return None


_BATCH = "&".join(f"id={article_id}" for article_id in ARTICLE_IDS)
SIGNED_JSON: dict[str, Any] = {"content_type": "application/json", "headers": HEADERS}


def _ids(answer: object) -> Iterator[str]:
    """Yield every article id in a response."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name == "id":
                yield value
            elif name == "also_published_as":
                yield from value or ()
            else:
                yield from _ids(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from _ids(value)


def _dates(answer: object) -> Iterator[datetime]:
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name == "published_at" and value:
                yield datetime.fromisoformat(value)
            else:
                yield from _dates(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from _dates(value)


MACHINE_SETTINGS = settings(
    max_examples=examples(8),
    stateful_step_count=10,
    deadline=None,
    phases=(
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ),  # without shrinking: a failing order is reported as it came
    suppress_health_check=[HealthCheck.too_slow],
)
