"""Metrics: whether a model is open, which parts are degraded, and responses by endpoint and status."""

from pathlib import Path

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.newsroom import NOW


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return the samples by name and label values, without the number of the worker."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    families = text_string_to_metric_families(response.text)
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "worker")): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_show_the_model_and_changes_since_its_training(models_dir: Path) -> None:
    key, setting = new_key("cms", ["articles"])
    settings = Settings(models_dir=models_dir, write_keys=(setting,), live_poll_seconds=0)
    client, headers = (
        create_app(settings, clock=lambda: NOW).test_client(),
        {"Authorization": f"Bearer {key}"},
    )
    client.put("/v1/articles/new", json={"title": "storm"}, headers=headers)
    client.delete("/v1/articles/a", headers=headers)
    version = client.get("/readyz").get_json()["model"]["version"]

    metrics = samples(client)

    assert metrics["recommender_ready",] == 1
    assert metrics["recommender_model_trained_timestamp_seconds", version] == 1772366430
    assert metrics["recommender_live_articles",] == 1
    assert metrics["recommender_withdrawn_articles",] == 1
    assert {name[1]: value for name, value in metrics.items() if name[0] == "recommender_degraded"} == {
        "store": 0, "state": 0, "rules": 0, "articles": 0, "model": 0, "refresh": 0, "purge": 0,
    }  # fmt: skip


def test_without_a_model_ready_is_0(tmp_path: Path) -> None:
    client = create_app(Settings(models_dir=tmp_path), clock=lambda: NOW).test_client()

    metrics = samples(client)

    assert metrics["recommender_ready",] == 0
    assert not [name for name in metrics if name[0].startswith("recommender_model")]


def test_without_a_database_the_store_is_degraded(models_dir: Path, tmp_path: Path) -> None:
    settings = Settings(models_dir=models_dir, live_poll_seconds=0, state_file=tmp_path / "state.json")
    create_app(settings, clock=lambda: NOW).test_client().get("/readyz")
    unreachable = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})

    metrics = samples(create_app(unreachable, clock=lambda: NOW).test_client())

    assert (metrics["recommender_ready",], metrics["recommender_degraded", "store"]) == (1, 1)


def test_responses_are_counted_by_endpoint_and_status(client: FlaskClient) -> None:
    before = samples(client)
    for url in ("/v1/related?id=a", "/v1/related?id=a", "/v1/related?id=unknown", "/nothing"):
        client.get(url)

    after = samples(client)

    counts = {name[1:]: count - before.get(name, 0) for name, count in after.items() if "answers" in name[0]}
    assert counts["related", "200"] == 2
    assert counts["related", "404"] == 1
    assert counts["none", "404"] == 1
