"""The admin page under a test's own clock, and what a person does there, without a browser."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.serving.store import Store
from recommender.settings import Settings
from tests.support.newsroom import NOW

KEY, SETTING = new_key("desk", ["admin"])


class AdminUnderTest:
    """An app with a clock that the test sets, and the browser of one person."""

    def __init__(self, models_dir: Path, **overrides: Any) -> None:
        settings = {"models_dir": models_dir, "write_keys": SETTING, "verify": False, "live_poll_seconds": 0}
        self.models_dir, self.now = models_dir, NOW
        self.app = create_app(Settings.read(**settings | overrides), clock=self._clock)
        self.client: FlaskClient = self.fresh_client()
        self.store: Store = self.app.extensions["recommender"].store

    def _clock(self) -> datetime:
        return self.now

    def fresh_client(self, *, use_cookies: bool = True) -> FlaskClient:
        """Return the browser of another person."""
        return self.app.test_client(use_cookies=use_cookies)

    def sign_in(self, key: str = KEY, **options: Any) -> TestResponse:
        """Enter a key."""
        return self.client.post("/admin/sign-in", data={"key": key}, **options)

    @staticmethod
    def cookie_of(response: TestResponse) -> str:
        """Return the name and value of the cookie that a response sets."""
        return response.headers["Set-Cookie"].partition(";")[0]

    def page(self, path: str) -> str:
        """Return a page, which must exist."""
        response = self.client.get(path)
        assert response.status_code == 200, response.text
        return response.text

    def page_after_sign_in(self, path: str) -> str:
        """Return a page for a new session, as an earlier one may have ended."""
        self.sign_in()
        return self.page(path)

    def form_token(self) -> str:
        """Return the token in the forms of the session."""
        return self.fields("/admin/rules")["form_token"]

    def fields(self, path: str) -> dict[str, str]:
        """Return the hidden fields on a page."""
        pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.page(path))
        return dict(pairs)

    def add_rule(self, path: str, **values: str) -> TestResponse:
        """Send the form for a rule on the page of an article."""
        form = {"action": "block", "days": "", "reason": "too often", "author": "B. Oduya"}
        return self.client.post(path, data=self.fields(path) | form | values)

    def rules(self) -> list[tuple[str, str]]:
        """Return the rules in the database, as ids and JSON."""
        return list(self.store.rules().rules)
