"""A tiny model for all tests of the service, published and opened in an app."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.model import Model
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.support import postgresql
from tests.support.browsers import Visit, running_browser, visiting
from tests.support.newsroom import NOW, build_model, newsroom

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def model() -> Model:
    return build_model(newsroom())


@pytest.fixture(scope="session")
def models_dir(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(model, folder, now=NOW)
    return folder


@pytest.fixture(scope="session")
def app(models_dir: Path) -> Flask:
    settings = Settings(models_dir=models_dir, max_body_bytes=4096, site_name="The Courier")
    return create_app(settings, clock=lambda: NOW)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium for all tests of a process."""
    with running_browser() as running:
        yield running


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    """The tab of a new reader."""
    with visiting(browser) as visit:
        yield visit


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Any]:
    """One server for all tests that need a PostgreSQL database."""
    with postgresql.running_server() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: Any) -> str:
    """The address of an empty PostgreSQL database."""
    postgresql.empty(postgresql_server)
    return postgresql.url_of(postgresql_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database. Tests that use it run once with SQLite and once with PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgresql_url"))
