"""The start page: what runs here, and how old its model is."""

import re
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.serving.site.start import age
from recommender.settings import Settings
from tests.support.newsroom import NOW, build_model, newsroom

KEYS = (f"reader:{sha256(b'secret').hexdigest()}:read",)


def test_the_page_shows_the_model_and_its_links_work(client: FlaskClient) -> None:
    response = client.get("/")
    ready = client.get("/readyz").get_json()
    listed = client.get("/v1/articles?limit=50").get_json()["items"]

    assert response.status_code == 200
    assert "The Courier" in response.text
    assert ready["model"]["version"] in response.text
    assert f"<dd>{len(listed)}</dd>" in response.text  # without articles under embargo
    for link in re.findall(r'(?:href|src)="([^"]+)"', response.text):
        with client.get(link) as target:
            assert target.status_code == 200, link


@pytest.mark.parametrize("settings", [{"demo": False}, {"drop_in": ("jetpack",)}, {"read_keys": KEYS}])
def test_the_page_goes_off_with_the_demo_and_for_jetpack(
    models_dir: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    app = create_app(_settings(models_dir, tmp_path, **settings), clock=lambda: NOW)

    assert app.test_client().get("/").status_code in {401, 404}


def test_the_page_needs_no_key_if_the_demo_is_on(models_dir: Path, tmp_path: Path) -> None:
    app = create_app(_settings(models_dir, tmp_path, read_keys=KEYS, demo=True), clock=lambda: NOW)

    assert app.test_client().get("/").status_code == 200


def test_the_page_says_why_no_model_is_open(tmp_path: Path) -> None:
    client = create_app(_settings(tmp_path / "none", tmp_path), clock=lambda: NOW).test_client()

    response = client.get("/")

    assert response.status_code == 200
    assert "No model is open: no published model" in response.text


def test_the_page_shows_that_a_model_is_stale(tmp_path: Path) -> None:
    publish(build_model(newsroom()), tmp_path / "models", now=NOW)
    later = NOW + timedelta(days=3, hours=1)
    client = create_app(_settings(tmp_path / "models", tmp_path), clock=lambda: later).test_client()

    assert "3 days ago</time> <strong>(too old" in client.get("/").text


def test_the_name_of_the_site_is_escaped(models_dir: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    app = create_app(_settings(models_dir, tmp_path, site_name=hostile), clock=lambda: NOW)

    assert hostile not in app.test_client().get("/").text


def test_an_age_is_in_the_largest_unit_that_fits() -> None:
    ages = [age(NOW - timedelta(seconds=seconds), NOW) for seconds in (-5, 59, 60, 7200, 86400, 90_000_000)]

    assert ages == [
        *("less than a minute ago", "less than a minute ago", "1 minute ago", "2 hours ago"),
        *("1 day ago", "1,041 days ago"),
    ]


def _settings(models_dir: Path, folder: Path, **others: object) -> Settings:
    store = {"database_url": f"sqlite:///{folder / 'store.db'}", "state_file": folder / "state.json"}
    return Settings.read(models_dir=models_dir, live_poll_seconds=0, **store, **others)
