"""Digests of responses of all kinds, to check that a change of the code changes no byte of them.

`python -m tests.benchmarks.serving.digests MODELS_DIR > before.txt`, and the same afterwards; then compare
the two files. The clock is that of the last publication in the model. Metrics and errors are left out.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from flask.testing import FlaskClient

from recommender.artifact import open_current
from recommender.model import Model, from_microseconds
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings

_ARTICLES, _TEXTS, _PUTS = 180, 120, 20
_WITHOUT_LIMITS: dict[str, Any] = dict.fromkeys(
    ("scoring_limit", "computing_limit", "address_limit", "address_read_limit"), "100000/second"
)


def digests(models: Path) -> Iterator[str]:
    """Yield a line for each response: its status, a digest of its body, and the request."""
    model = open_current(models)
    now = from_microseconds(int(model.articles.published.max())) or model.manifest.trained_at
    key, word = new_key("digests", ["articles"])
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            models_dir=models, write_keys=(word,), live_poll_seconds=0, database_url=f"sqlite:///{folder}/store.db",
            state_file=Path(folder, "state.json"), **_WITHOUT_LIMITS,
        )  # fmt: skip
        client = create_app(settings, clock=lambda: now + timedelta(minutes=1)).test_client()
        rows = np.random.default_rng(0).permutation(len(model.articles)).tolist()
        yield from _answers(client, list(_targets(model, rows[:_ARTICLES])))
        yield from _texts(client, model, rows[:_TEXTS])
        for row in rows[:_PUTS]:
            article = model.articles.article(row)
            body = json.dumps({"title": article.title[::-1], "body": article.body[: len(article.body) // 2]})
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            client.put(f"/v1/article?id=new-{row}", data=body, headers=headers)
        after = [f"/v1/related?id=new-{row}&explain=1" for row in rows[:_PUTS]]
        yield from _answers(client, [*after, *_targets(model, rows[:_PUTS])])


def _targets(model: Model, rows: list[int]) -> Iterator[str]:
    names = model.articles.category.names
    category = f"&category={quote(names[0])}" if len(names) else ""
    yield from ("/v1/topics", "/v1/trending", "/v1/articles?limit=50", "/openapi.json")
    for row in rows:
        address = f"id={quote(model.articles.ids[row], safe='')}"
        title = model.articles.titles[row].split()
        yield from (
            f"/v1/related?{address}",
            f"/v1/related?{address}&explain=1&limit=20",
            f"/v1/related?{address}&limit=50{category}",
            f"/v1/related?{address}&diversity=0.4&freshness=0.9",
            f"/v1/related?{address}&fallback=none&limit=50",
            f"/v1/related?{address}&mode=background&include=trending",
            f"/v1/page?{address}",
            f"/v1/article?{address}",
        )
        for words in (title[:3], title[2:4], title[:1]):
            if words:
                yield f"/v1/search?q={quote(' '.join(words)[:150])}"


def _answers(client: FlaskClient, targets: list[str]) -> Iterator[str]:
    for target in targets:
        response = client.get(target)
        yield f"{response.status_code} {sha256(response.data).hexdigest()} {target}"


def _texts(client: FlaskClient, model: Model, rows: list[int]) -> Iterator[str]:
    for row in rows:
        article = model.articles.article(row)
        text = {"title": article.title, "body": article.body, "explain": "1"}
        response = client.post("/v1/similar", json=text)
        yield f"{response.status_code} {sha256(response.data).hexdigest()} POST /v1/similar {article.id}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in digests(Path(sys.argv[1])))
