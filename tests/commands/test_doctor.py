"""`recommender doctor` finds nothing wrong with a healthy deployment, and names each fault with its cure."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from recommender.artifact import current_version, publish
from recommender.registry import push
from recommender.serving.http.auth import new_key
from recommender.serving.store import Store
from tests.support.cli import Run
from tests.support.newsroom import build_model, newsroom
from tests.support.servers import serving
from tests.support.sites import listening

EMPTY = f"cms:{sha256(b'').hexdigest()}:articles"


class Cache:
    """A shared cache that records the keys of purges, or refuses them."""

    def __init__(self) -> None:
        self.status, self.keys = 200, list[str]()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.keys.append(Request(environ).headers["Surrogate-Key"])
        return Response(status=self.status)(environ, start_response)


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def folder(cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of a healthy deployment, whose settings are in the environment."""
    publish_at(datetime.now(UTC), tmp_path)
    database = f"sqlite:///{tmp_path / 'live.db'}"
    with closing(Store(database)) as store:
        store.version()
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    with listening(cache) as url:
        settings = {
            "models_dir": tmp_path / "models",
            "database_url": database,
            "rules_file": rules,
            "purge_url": f"{url}/purge",
            "purge_header": "Key: secret-of-cache",
            "write_keys": new_key("cms", ["articles"])[1],
            "trusted_proxies": "127.0.0.1 10.0.0.0/8 203.0.113.0/24",
            "port": 1,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"RECOMMENDER_{name.upper()}", str(value))
        yield tmp_path


def publish_at(now: datetime, folder: Path) -> None:
    model = build_model(newsroom())
    manifest = model.manifest.model_copy(update={"trained_at": now})
    publish(replace(model, manifest=manifest), folder / "models", now=now)


def faults(run: Run, *options: object) -> dict[str, tuple[str, str]]:
    """Return the status and finding of each check that is not ok; the exit status must agree."""
    done = run("doctor", "--json", *options)
    checks = [check for check in done.json() if check["status"] != "ok" and check["name"] != "user"]
    assert done.status == int(any(check["status"] == "error" for check in checks))
    assert all(check["advice"] for check in checks)
    return {check["name"]: (check["status"], check["finding"]) for check in checks}


def test_a_healthy_deployment_is_healthy_and_stays_as_it_is(run: Run, folder: Path, cache: Cache) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    done = run("doctor")

    assert (done.status, faults(run)) == (0, {})
    assert "0 errors" in done.out
    assert "all checksums match" in done.out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert set(cache.keys) == {"recommender-doctor"}


@pytest.mark.usefixtures("folder")
def test_a_wrong_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_WORKERS", "many")

    assert faults(run)["settings"][1].startswith("RECOMMENDER_WORKERS is 'many'; allowed")


@pytest.mark.usefixtures("folder")
def test_a_misspelt_setting_is_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_PURGEURL", "https://cache.example/purge")

    assert faults(run)["settings"] == (
        "warning",
        "RECOMMENDER_PURGEURL has no effect: unknown key; did you mean purge_url?",
    )


def test_an_altered_model_is_named(run: Run, folder: Path) -> None:
    models = folder / "models"
    path = models / current_version(models) / "articles.titles.utf8.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    status, finding = faults(run)["model"]

    assert (status, finding.split(":")[0]) == ("error", f"{path} was altered after publishing")


@pytest.mark.parametrize(("days", "status"), [(-3, "warning"), (2, "error")])
def test_an_old_model_is_a_warning_and_one_of_the_future_an_error(
    run: Run, folder: Path, days: int, status: str
) -> None:
    publish_at(datetime.now(UTC) + timedelta(days=days), folder)

    assert faults(run).keys() == {"model age"}
    assert faults(run)["model age"][0] == status


def test_a_registry_is_compared_with_the_current_model(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, here = folder / "registry", current_version(folder / "models")
    monkeypatch.setenv("RECOMMENDER_MODELS_URL", registry.as_uri())

    empty = faults(run)
    push(folder / "models", registry.as_uri())
    same = faults(run)
    publish_at(datetime.now(UTC) + timedelta(seconds=2), folder)

    assert empty["registry"][0] == "error"
    assert same == {}
    assert faults(run)["registry"] == (
        "warning",
        f"its current version is {here}, here it is {current_version(folder / 'models')}",
    )


@pytest.mark.parametrize("where", ["nowhere/state.json", "models"])
def test_a_state_file_that_cannot_be_written_is_named(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("RECOMMENDER_STATE_FILE", str(folder / where))

    assert faults(run)["state file"][0] == "error"


def test_a_damaged_state_file_is_named(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "state.json").write_text("[")
    monkeypatch.setenv("RECOMMENDER_STATE_FILE", str(folder / "state.json"))

    assert "is damaged" in faults(run)["state file"][1]


def test_a_newer_database_is_named(run: Run, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "live.db")) as database:
        database.execute("UPDATE numbers SET value = 99 WHERE name = 'schema'")
        database.commit()

    assert "schema version 99" in faults(run)["database"][1]


def test_a_file_that_is_no_database_is_named(run: Run, folder: Path) -> None:
    (folder / "live.db").write_bytes(b"not a database" * 1000)

    assert faults(run)["database"] == ("error", "it cannot be used now: file is not a database")


def test_a_database_server_that_is_down_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_DATABASE_URL", "postgresql+psycopg://me:secret-word@127.0.0.1:1/x")

    done = run("doctor")

    assert "connection failed" in faults(run)["database"][1]
    assert "secret-word" not in done.out + done.err


def test_a_full_disk_is_named(
    run: Run, folder: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOMMENDER_STATE_FILE", str(full_disk / "state.json"))

    done = run("doctor", "--json")

    found = [check for check in done.json() if check["name"] == "disk"]
    assert [check["finding"].split("free at ")[1] for check in found] == [
        str(folder / "models"),
        str(full_disk),
    ]
    assert (done.status, found[1]["status"]) == (1, "error")


@pytest.mark.usefixtures("folder")
def test_a_shared_cache_that_refuses_purges_is_named(run: Run, cache: Cache) -> None:
    cache.status = 403

    assert faults(run) == {
        "purge URL": ("error", "the shared cache cannot be purged: it responds with status 403")
    }


def test_wrong_rules_are_named(run: Run, folder: Path) -> None:
    (folder / "rules.toml").write_text("[[rule]]\nkind = 'pin'\n")

    assert faults(run).keys() == {"rules file"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("setting", "value", "check", "status"),
    [
        ("WRITE_KEYS", EMPTY, "keys", "error"),
        ("WRITE_KEYS", "", "keys", "warning"),
        ("TRUSTED_PROXIES", "0.0.0.0/0", "proxies", "error"),
        ("TRUSTED_PROXIES", "::/0", "proxies", "error"),
        ("TRUSTED_PROXIES", "", "proxies", "warning"),
    ],
)
def test_unsafe_keys_and_proxies_are_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, check: str, status: str
) -> None:
    monkeypatch.setenv(f"RECOMMENDER_{setting}", value)

    assert faults(run)[check][0] == status


@pytest.mark.usefixtures("folder")
def test_one_key_for_two_clients_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = new_key("cms", ["articles"])[1]
    monkeypatch.setenv("RECOMMENDER_WRITE_KEYS", f"{setting} {setting.replace('cms', 'app')}")

    assert faults(run)["keys"] == ("error", "the same key is set twice: app, cms")


@pytest.mark.usefixtures("folder")
def test_another_program_at_the_address_is_named(run: Run) -> None:
    with listening(Response("hello")) as url:
        status, finding = faults(run, "--port", url.rpartition(":")[2])["service"]

    assert status == "error"
    assert finding.startswith("no valid response")


@pytest.mark.slow
def test_a_running_service_is_compared_with_the_folder(run: Run, folder: Path) -> None:
    with serving(folder / "log", models_dir=folder / "models", trusted_proxies="127.0.0.1") as server:
        running = faults(run, "--port", server.port)
        (folder / "models" / "CURRENT").unlink()
        without = faults(run, "--port", server.port)

    assert running == {}
    assert {"model", "service"} <= without.keys()
