"""The service that a WordPress of the tests sends its posts to."""

import sqlite3
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from recommender.serving.http.auth import new_key
from tests.support.cli import in_a_process
from tests.support.servers import ROOT, serving
from tests.support.waiting import eventually
from tests.wordpress.site import Site

SAMPLE = Path(str(files("recommender") / "sample"))
MAX_SECONDS = 5.0  # until every change by an editor has reached the service
KEY, KEY_SETTING = new_key("wordpress", ["articles", "read"])
TEXT = "<p>The lobster pot draw for the beach huts of Sandrigg will be held again, the town council said.</p>"


class Service:
    """`recommender serve`, which can be stopped and restarted with the same database."""

    def __init__(self, site: Site, models_dir: Path, folder: Path, **settings: object) -> None:
        self.site, self.folder = site, folder
        self.settings: dict[str, Any] = {
            "models_dir": models_dir,
            "write_keys": KEY_SETTING,
            "database_url": f"sqlite:///{folder / 'live.db'}",
            "state_file": folder / "state.json",
            **settings,
        }
        (folder / "key").write_text(KEY)

    def start(self) -> None:
        """Start the service, and configure its URL in the site."""
        self._running = ExitStack()
        self.server = self._running.enter_context(serving(self.folder / "serve.log", **self.settings))
        self.site.configure(self.address, KEY)

    def stop(self) -> None:
        """Stop the service; its database stays."""
        self._running.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def status(self, post_id: int) -> int:
        return int(self._get(f"/v1/articles/{post_id}").status)

    def title(self, post_id: int) -> Any:
        answer = self._get(f"/v1/articles/{post_id}")
        return answer.body["title"] if answer.status == 200 else None

    def title_with_key(self, post_id: int) -> Any:
        answer = self.server.ask("GET", f"/v1/articles/{post_id}", None, {"Authorization": f"Bearer {KEY}"})
        return answer.body["title"] if answer.status == 200 else None

    def stored(self, post_id: int) -> str:
        """Return a live article as the database has it, with its body."""
        with closing(sqlite3.connect(self.folder / "live.db")) as database:
            select = "SELECT payload FROM articles WHERE id = ?"
            [(payload,)] = database.execute(select, [str(post_id)])
        return bytes(payload).decode()

    def facts(self, post_id: int) -> Any:
        return self._get(f"/v1/articles/{post_id}").body

    def related(self, post_id: int) -> list[str]:
        answer = self._get(f"/v1/articles/{post_id}/related?limit=50")
        return [item["id"] for item in answer.body["items"]]

    def changed(self, since: datetime) -> set[str]:
        query = urlencode({"updated_after": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "limit": 50})
        return {item["id"] for item in self._get(f"/v1/articles?{query}").body["items"]}

    def reconcile(self, *arguments: object) -> str:
        options = ["--to", self.address, "--key-file", self.folder / "key", *arguments]
        return recommender("import", "wordpress", self.site.url, *options)

    def _get(self, target: str) -> Any:
        return self.server.ask("GET", target)


def recommender(*arguments: object) -> str:
    """Run the command line; return its output."""
    done = in_a_process(sys.executable, "-m", "recommender", *arguments, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    eventually(condition, MAX_SECONDS)
