"""What monitors are told: whether there is a model, what is missing, and how calls are answered."""

from pathlib import Path

from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.newsroom import NOW


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return the samples by name and the values of their labels, but for the worker's number."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    families = text_string_to_metric_families(response.text)
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "worker")): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_model_and_what_came_after_it_are_told(models_dir: Path) -> None:
    key, word = new_key("cms", ["articles"])
    settings = Settings(models_dir=models_dir, write_keys=(word,), live_poll_seconds=0)
    client, headers = (
        create_app(settings, clock=lambda: NOW).test_client(),
        {"Authorization": f"Bearer {key}"},
    )
    client.put("/v1/articles/new", json={"title": "storm"}, headers=headers)
    client.delete("/v1/articles/a", headers=headers)
    version = client.get("/readyz").get_json()["model"]["version"]

    told = samples(client)

    assert told["recommender_ready",] == 1
    assert told["recommender_model_trained_timestamp_seconds", version] == 1772366430
    assert told["recommender_live_articles",] == 1
    assert told["recommender_withdrawn_articles",] == 1
    assert {name[1]: value for name, value in told.items() if name[0] == "recommender_degraded"} == {
        "store": 0, "state": 0, "rules": 0, "purge": 0,
    }  # fmt: skip


def test_without_a_model_metrics_say_so(tmp_path: Path) -> None:
    client = create_app(Settings(models_dir=tmp_path), clock=lambda: NOW).test_client()

    told = samples(client)

    assert told["recommender_ready",] == 0
    assert not [name for name in told if name[0].startswith("recommender_model")]


def test_a_metric_moves_while_the_database_is_away(models_dir: Path, tmp_path: Path) -> None:
    settings = Settings(models_dir=models_dir, live_poll_seconds=0, state_file=tmp_path / "state.json")
    create_app(settings, clock=lambda: NOW).test_client().get("/readyz")
    away = settings.model_copy(update={"database_url": "sqlite:////nowhere/at/all.db"})

    told = samples(create_app(away, clock=lambda: NOW).test_client())

    assert (told["recommender_ready",], told["recommender_degraded", "store"]) == (1, 1)


def test_answers_are_counted_by_call_and_status(client: FlaskClient) -> None:
    before = samples(client)
    for address in ("/v1/related?id=a", "/v1/related?id=a", "/v1/related?id=unknown", "/nothing"):
        client.get(address)

    after = samples(client)

    counts = {name[1:]: count - before.get(name, 0) for name, count in after.items() if "answers" in name[0]}
    assert counts["related", "200"] == 2
    assert counts["related", "404"] == 1
    assert counts["none", "404"] == 1
