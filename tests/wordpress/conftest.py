"""A WordPress with the sample newsroom, and a service that has learnt it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wordpress.service import SAMPLE, TEXT, Service, recommender
from tests.wordpress.site import Site, wordpress


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with wordpress(tmp_path_factory.mktemp("wordpress")) as running:
        yield running


@pytest.fixture(scope="module")
def archive(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample and some posts that are not public, inserted into WordPress and imported over REST."""
    sample = [json.loads(line) for line in (SAMPLE / "articles.jsonl").read_text("utf-8").splitlines()]
    hidden = [
        {"id": 9001, "title": "A draft", "body": TEXT, "status": "draft"},
        {"id": 9002, "title": "Private", "body": TEXT, "status": "private"},
        {"id": 9003, "title": "For members", "body": TEXT, "post_password": "open"},
        {"id": 9004, "title": "To come", "body": TEXT, "published_at": "2040-01-01T00:00:00Z"},
        {"id": 9005, "title": "Thrown away", "body": TEXT, "status": "trash"},
        {"id": 9006, "title": "Waiting", "body": TEXT, "status": "pending"},
    ]
    site.fill(sample + hidden)
    path = tmp_path_factory.mktemp("archive") / "posts.jsonl"
    recommender("import", "wordpress", site.url, "-o", path)
    return path


@pytest.fixture(scope="module")
def models_dir(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    recommender("train", archive, "--models-dir", folder, "--recipe", SAMPLE / "recipe.toml")
    return folder


@pytest.fixture(scope="module")
def service(site: Site, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service that gets changes only from the plugin."""
    service = Service(site, models_dir, tmp_path_factory.mktemp("service"))
    site.use_plugin()
    service.start()
    yield service
    service.stop()
