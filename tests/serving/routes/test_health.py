"""Health and readiness, with and without a model."""

from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.model import Model
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.newsroom import NOW


def _without_model(tmp_path: Path, retry_seconds: float = 0) -> Flask:
    settings = Settings(models_dir=tmp_path, model_retry_seconds=retry_seconds)
    return create_app(settings, clock=lambda: NOW)


def test_health_needs_no_model(tmp_path: Path) -> None:
    response = _without_model(tmp_path).test_client().get("/healthz")

    assert (response.status_code, response.get_json()) == (200, {"status": "ok", "live": None})


def test_readiness_names_the_model(client: FlaskClient) -> None:
    response = client.get("/readyz")

    readiness = response.get_json()
    assert response.status_code == 200
    assert (readiness["status"], readiness["degraded"]) == ("ready", [])
    assert readiness["model"]["trained_at"] == "2026-03-01T12:00:30Z"
    assert response.headers["Cache-Control"] == "no-store"


def test_health_counts_changes_since_the_training_and_the_share_of_unknown_terms(models_dir: Path) -> None:
    key, setting = new_key("cms", ["articles"])
    app = create_app(
        Settings(models_dir=models_dir, write_keys=(setting,), live_poll_seconds=0), clock=lambda: NOW
    )
    client, headers = app.test_client(), {"Authorization": f"Bearer {key}"}
    before = client.get("/healthz").get_json()["live"]

    client.put("/v1/articles/new", json={"title": "storm zyzzyva quux blorp"}, headers=headers)
    client.delete("/v1/articles/a", headers=headers)

    after = client.get("/healthz").get_json()["live"]
    assert (before["articles"], before["withdrawn"], before["unknown_terms"]) == (0, 0, None)
    assert (after["articles"], after["withdrawn"], after["unknown_terms"]) == (1, 1, 0.75)
    assert after["version"] > before["version"]
    assert client.get("/readyz").get_json()["live"] == after


def test_without_a_model_every_error_says_why_and_how_to_fix_it(tmp_path: Path) -> None:
    client = _without_model(tmp_path).test_client()

    for path in ("/readyz", "/v1/related?id=a", "/v1/article?id=a", "/v1/articles", "/v1/articles/a"):
        response = client.get(path)
        problem = response.get_json()
        assert (response.status_code, problem["type"]) == (503, "no-model")
        assert str(tmp_path) in problem["detail"]
        assert "make train" in problem["detail"]
    assert client.post("/v1/similar", json={"title": "storm"}).status_code == 503
    assert client.get("/demo/").status_code == 503


def test_a_model_published_later_is_opened(tmp_path: Path, model: Model) -> None:
    client = _without_model(tmp_path).test_client()
    assert client.get("/readyz").status_code == 503

    version = publish(model, tmp_path, now=NOW)

    assert client.get("/readyz").get_json()["model"]["version"] == version
    assert client.get("/v1/related?id=a").status_code == 200


def test_opening_a_missing_model_is_retried_only_after_the_interval(tmp_path: Path, model: Model) -> None:
    client = _without_model(tmp_path, retry_seconds=3600).test_client()

    publish(model, tmp_path, now=NOW)

    assert client.get("/readyz").status_code == 503


def test_an_altered_model_is_not_served(tmp_path: Path, model: Model) -> None:
    folder = tmp_path / publish(model, tmp_path, now=NOW)
    (folder / "manifest.json").write_text("{}")

    response = _without_model(tmp_path).test_client().get("/readyz")

    assert response.status_code == 503
    assert "manifest.json" in response.get_json()["detail"]
