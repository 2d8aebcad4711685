"""The service under a test's own clock, and short calls that send it events and read its answers."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.model import microseconds
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.store import Store
from recommender.settings import Settings
from tests.support.newsroom import NOW

KEY, KEY_SETTING = new_key("cms", ["events"])
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
VIEW = {"article_id": "a", "type": "view"}


class ServiceUnderTest:
    """An app with a clock that the test sets, and a second connection to its database."""

    def __init__(self, models_dir: Path, **overrides: Any) -> None:
        defaults = {
            "models_dir": models_dir,
            "write_keys": KEY_SETTING,
            "verify": False,
            "live_poll_seconds": 0,
        }
        settings = Settings.read(**defaults | overrides)
        self.now: datetime = NOW
        self.app: Flask = create_app(settings, clock=lambda: self.now)
        self.client: FlaskClient = self.app.test_client()
        self.store = Store(settings.database_url)

    def post(self, body: Any, headers: dict[str, str] | None = None, **options: Any) -> TestResponse:
        """Return the response to a POST of events."""
        return self.client.post("/v1/events", json=body, headers=headers, **options)

    def send(self, *events: Any, **headers: str) -> dict[str, Any]:
        """Send a batch of events, which must be accepted, and return the body of the response."""
        header_fields = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.post({"events": events}, header_fields)
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def close(self) -> None:
        """Close both connections to the database."""
        self.store.close()
        self.app.extensions["recommender"].store.close()

    def counts(self) -> Counter[tuple[str, str]]:
        """Return how many events are counted for each article and type."""
        stored, totals = self.store.counts(), Counter[tuple[str, str]]()
        for article, kind, count in zip(
            stored.article_codes, stored.type_codes, stored.counts.tolist(), strict=True
        ):
            totals[stored.article_ids[article], stored.types[kind]] += count
        return totals

    def minutes(self) -> set[int]:
        """Return the ages, in minutes, of the minutes with counts."""
        return set((microseconds(self.now) // 60_000_000 - self.store.counts().minutes).tolist())


def send_views(service: ServiceUnderTest, minutes_ago: float = 1, **counts: int) -> None:
    """Send views of articles; each keyword is an underscore and an article's id."""
    ts = (service.now - timedelta(minutes=minutes_ago)).isoformat()
    events = [{"article_id": name[1:], "type": "view", "ts": ts, "count": n} for name, n in counts.items()]
    service.send(*events, **WITH_KEY)


def get_json(service: ServiceUnderTest, target: str) -> dict[str, Any]:
    """Return the body of the response to a GET request, which must succeed."""
    response = service.client.get(target)
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def item_ids(answer: dict[str, Any]) -> list[str]:
    """Return the ids of an article list, in its order."""
    return [item["id"] for item in answer["items"]]
