"""Metrics: state, and what was answered, from which source, how fast; those of all workers together."""

import json
import logging
import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.newsroom import NOW
from tests.support.servers import Server, serving
from tests.support.service import VIEW, WITH_KEY, ServiceUnderTest
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
LISTS = ("/v1/related?id=a&limit=9", "/v1/related?id=8", "/v1/page/9", "/v1/related?id=9&limit=50")


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return the samples by name and label values."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    return samples_in(response.text)


def samples_in(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sample.labels.values()): sample.value
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


def test_responses_are_counted_by_endpoint_status_and_origin(models_dir: Path) -> None:
    service = ServiceUnderTest(models_dir)
    for url in (LISTS[0], LISTS[0], "/v1/related?id=unknown", "/nothing"):
        service.client.get(url)
    service.client.get(f"{LISTS[0]}&fallback=auto")

    after = samples(service.client)

    assert {name[1:]: count for name, count in after.items() if "answers_total" in name[0]} == {
        ("related", "computed", "200"): 1,
        ("related", "finished", "200"): 1,
        ("related", "cached", "200"): 1,
        ("related", "other", "404"): 1,
        ("none", "other", "404"): 1,
    }
    assert after["recommender_answer_seconds_count", "related"] == 4
    assert after["recommender_answer_seconds_bucket", "related", "+Inf"] == 4
    assert after["recommender_answer_seconds_sum", "related"] > 0
    assert after["recommender_queue_wait_seconds_count", "light"] == 1
    service.close()


def test_waits_of_uploads_and_of_fold_ins_are_observed(models_dir: Path) -> None:
    key, key_setting = new_key("cms", ["articles"])
    service = ServiceUnderTest(models_dir, write_keys=key_setting)
    new = {"title": "Storm floods the harbour", "body": "The harbour was flooded."}
    service.client.put("/v1/articles/new", json=new, headers={"Authorization": f"Bearer {key}"})

    after = samples(service.client)

    assert after["recommender_queue_wait_seconds_count", "upload"] == 1
    assert after["recommender_queue_wait_seconds_count", "fold_in"] == 1
    service.close()


def test_items_are_counted_by_source_also_if_the_list_is_cached(models_dir: Path) -> None:
    service, expected = ServiceUnderTest(models_dir), Counter[str]()
    for url in LISTS:
        for _ in range(3):
            body = service.client.get(url).get_json()
            for part in [body] if "items" in body else [body["related"], body["trending"]]:
                expected.update(item["source"] for item in part["items"] if item["source"])

    after = samples(service.client)

    assert {
        name[1]: count for name, count in after.items() if name[0] == "recommender_items_total"
    } == expected
    assert {"similar", "recent"} <= set(expected)
    service.close()


def test_events_trending_and_failures_are_counted(models_dir: Path, tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    service = ServiceUnderTest(models_dir, database_url=f"sqlite:///{database}")
    service.send({**VIEW, "event_id": "1"}, {**VIEW, "event_id": "1"}, {"article_id": "a"}, **WITH_KEY)
    service.client.get("/v1/trending")
    before = samples(service.client)
    service.close()
    for path in tmp_path.glob("live.db*"):
        path.unlink()
    database.mkdir()

    assert service.post({"events": [VIEW]}).status_code == 503
    after = samples(service.client)

    verdicts = {name[1]: count for name, count in before.items() if name[0] == "recommender_events_total"}
    assert verdicts == {"accepted": 1, "duplicate": 1, "rejected": 1}
    assert before["recommender_trending_refresh_seconds_count",] == 1
    assert before["recommender_store_failures_total",] == 0
    assert after["recommender_store_failures_total",] >= 1
    assert after["recommender_degraded", "store"] == 0  # the refresh has not noticed it yet


def test_the_access_log_has_request_ids_and_no_personal_data(
    models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = ServiceUnderTest(models_dir, access_log=True)
    headers = {"User-Agent": "my-browser", "X-Request-ID": "cms-17", "X-Forwarded-For": "198.51.100.7"}

    with caplog.at_level(logging.INFO, logger="recommender.access"):
        for url in (LISTS[0], LISTS[0], "/v1/search?q=my-illness", "/who/is/my-name"):
            service.client.get(url, headers=headers, environ_overrides={"REMOTE_ADDR": "203.0.113.9"})

    lines = [record for record in caplog.records if record.name == "recommender.access"]
    shown = [{**vars(line)} for line in lines]
    assert [(line["call"], line["status"], line["origin"]) for line in shown] == [
        ("related", 200, "computed"),
        ("related", 200, "finished"),
        ("search", 200, "computed"),
        ("none", 404, "other"),
    ]
    assert {line["request_id"] for line in shown} == {"cms-17"}
    assert all(line["milliseconds"] > 0 for line in shown)
    assert not re.search(r"my-|198\.51|203\.0", str(shown) + caplog.text)
    service.close()


@pytest.mark.parametrize("name", ["alerts.yml", "grafana-dashboard.json"])
def test_alerts_and_dashboard_use_existing_metrics_and_labels(name: str, models_dir: Path) -> None:
    service = ServiceUnderTest(models_dir)
    service.client.get(LISTS[0])
    families = {name[0]: set[str]() for name in samples(service.client)}
    for family in text_string_to_metric_families(service.client.get("/metrics").text):
        for sample in family.samples:
            families[sample.name] |= set(sample.labels)
    families["recommender_unknown_terms_ratio"] = set()  # only with live articles
    text = (ROOT / "docs" / "deploy" / name).read_text(encoding="utf-8").replace('\\"', '"')

    used = set(re.findall(r"\brecommender_[a-z_]+", text))
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([a-z_, ]+)\)", text)))) - {"instance"}
    selected = re.findall(r"(recommender_\w+)\{([a-z_]+)[=!]", text)

    assert used
    assert used <= set(families)
    assert grouped <= set().union(*families.values())
    assert all(label in families[metric] for metric, label in selected)
    service.close()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (apt: prometheus)")
def test_prometheus_accepts_the_alerts_and_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    folder, queries = ROOT / "docs" / "deploy", tmp_path / "queries.yml"
    panels = json.loads((folder / "grafana-dashboard.json").read_text(encoding="utf-8"))["panels"]
    exprs = [
        target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]
    ]
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(exprs)]
    queries.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))

    for path in (folder / "alerts.yml", queries):
        checked = subprocess.run(
            ["promtool", "check", "rules", path], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_the_metrics_of_four_workers_are_those_of_the_client(models_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = {"database_url": f"sqlite:///{tmp_path / 'live.db'}", "state_file": tmp_path / "state.json"}
    with serving(
        log,
        4,
        models_dir=models_dir,
        address_limit="1000000/second",
        log_format="json",
        access_log=True,
        **options,
    ) as server:
        baseline = metrics_of(server)
        with ThreadPoolExecutor(8) as pool:
            counts = sum(pool.map(lambda _: statuses_of(server), range(8)), Counter())

        def counted() -> Counter[str]:
            now = metrics_of(server)
            total = Counter[str]()
            for name, count in now.items():
                if name[0] == "recommender_answers_total" and name[1] in {"related", "none", "events"}:
                    total[f"{name[1]} {name[3]}"] += round(count - baseline.get(name, 0))
            total["accepted"] = round(now["recommender_events_total", "accepted"])
            return total

        eventually(lambda: counted() == counts, 20, lambda: f"{counted()} {counts}")
        workers = workers_of(server)
        workers[0].kill()
        eventually(lambda: len(workers_of(server)) == 4 and workers[0] not in workers_of(server))
        eventually(lambda: counted() == counts, 20, lambda: f"{counted()} {counts}")
        assert metrics_of(server)["recommender_ready",] == 1

    first, *rest = log.read_text().splitlines()
    lines = [json.loads(line) for line in rest]
    access = [line for line in lines if "request_id" in line]
    assert first.startswith("http://127.0.0.1")
    assert (
        len({line["request_id"] for line in access})
        == len(access)
        > sum(counts.values()) - counts["accepted"]
    )


def workers_of(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def metrics_of(server: Server) -> dict[tuple[str, ...], float]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/metrics", headers={"Connection": "close"})
    text = connection.getresponse().read().decode()
    connection.close()
    return samples_in(text)


def statuses_of(server: Server) -> Counter[str]:
    """Send 60 requests on new connections; return how many there were of each call and status."""
    counts = Counter[str]()
    for number in range(20):
        counts[f"related {server.ask('GET', f'/v1/related?id={number % 10}').status}"] += 1
        counts[f"none {server.ask('GET', '/nothing').status}"] += 1
        answer = server.ask("POST", "/v1/events", {"events": [VIEW, VIEW]})
        counts[f"events {answer.status}"] += 1
        counts["accepted"] += answer.body["accepted"]
    return counts
