"""The pictures of the demo and the admin page: `python -m tests.support.picture` takes them again."""

import random
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from PIL import Image
from playwright.sync_api import FloatRect

from recommender.artifact import publish
from recommender.recipe import Recipe
from recommender.serving.app import create_app
from recommender.settings import Settings
from recommender.training.readers.corpus import read_articles
from recommender.training.train import train
from tests.support.admin import KEY, SETTING
from tests.support.browsers import running_browser
from tests.support.cli import SAMPLE
from tests.support.guide import ROOT
from tests.support.sites import listening

PICTURES = ROOT / "docs" / "images"
STORY = "/demo/article?id=5050"
ADMIN_AREA: FloatRect = {"x": 0, "y": 0, "width": 1200, "height": 2350}  # up to the map of topics
NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
COLORS = 128  # of a picture, which keeps it below 200 kB


def newsroom(folder: Path) -> Flask:
    """Return a service for the sample newsroom in which some stories have been read."""
    model = train(read_articles(Path(str(SAMPLE))).articles, Recipe(), now=NOW).model
    publish(model, folder / "models", now=NOW)
    settings = Settings(
        models_dir=folder / "models",
        database_url=f"sqlite:///{folder / 'store.db'}",
        state_file=folder / "state.json",
        site_name="The Caldermark Courier",
        write_keys=(SETTING,),
        live_poll_seconds=0,
    )
    moments = [NOW - timedelta(minutes=5)]
    app = create_app(settings, clock=lambda: moments[-1])
    client, chance = app.test_client(), random.Random(3)  # noqa: S311 no secret
    newest: Any = client.get("/v1/articles?limit=50").get_json()
    for reader in range(500):
        story = newest["items"][min(int(chance.expovariate(1 / 6)), 49)]["id"]
        client.post(
            "/v1/events", json={"article_id": story, "type": "view", "visitor_id": f"reader {reader}"}
        )
    moments.append(NOW)
    for item in newest["items"]:
        client.get("/v1/page", query_string={"id": item["id"]})
    return app


def main() -> None:
    """Write the pictures."""
    with (
        TemporaryDirectory() as folder,
        listening(newsroom(Path(folder))) as origin,
        running_browser() as chromium,
    ):
        page = chromium.new_page(viewport={"width": 1200, "height": 1500})
        page.goto(f"{origin}{STORY}")
        page.locator("details.why summary").first.click()
        page.wait_for_timeout(500)
        save(page.screenshot(), "demo.png")
        page.goto(f"{origin}/admin/")
        page.locator("#key").fill(KEY)
        page.locator("main button").click()
        page.locator("#lists").wait_for()
        save(page.screenshot(full_page=True, clip=ADMIN_AREA), "admin.png")


def save(screenshot: bytes, name: str) -> None:
    """Write a picture for the guide."""
    path = PICTURES / name
    Image.open(BytesIO(screenshot)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
