"""One tiny model for all tests of the service, published and open in an app."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.model import Model
from recommender.serving.app import create_app
from recommender.settings import Settings
from tests.serving.newsroom import NOW, build_model, newsroom


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
