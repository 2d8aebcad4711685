"""`recommender import wordpress --to`: a running service is updated to the state of the site."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.wrappers import Request, Response

from recommender.artifact import publish
from recommender.cli import cli
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings
from tests.support.fake_wordpress import FakeWordPress
from tests.support.newsroom import NOW, build_model, newsroom
from tests.support.sites import listening

pytestmark = pytest.mark.slow

OWN = ["8", "9", "10", "11", "12", "13", "14"]  # decimal ids of public articles in the newsroom


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture
def site() -> Iterator[FakeWordPress]:
    """A site with the newsroom's articles that have decimal ids."""
    fake = FakeWordPress()
    with listening(fake) as fake.url:
        for article_id in OWN:
            fake.add(int(article_id))
        yield fake


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(build_model(newsroom()), folder, now=NOW)
    return folder


@pytest.fixture
def app(models_dir: Path, tmp_path: Path) -> Flask:
    return application(tmp_path, models_dir=models_dir)


def application(folder: Path, **settings: Any) -> Flask:
    settings = {"models_dir": folder / "models", **settings}
    key, setting = new_key("cms", ["articles"])
    (folder / "key").write_text(f"{key}\n")
    return create_app(Settings(write_keys=(setting,), **settings), clock=lambda: NOW)


def reconciled(site: FakeWordPress, app: Any, folder: Path, *arguments: object) -> Result:
    with listening(app) as address:
        given = ["--to", f"{address}/", "--key-file", str(folder / "key"), *map(str, arguments)]
        return CliRunner().invoke(cli, ["import", "wordpress", f"{site.url}/", *given])


def shown(client: FlaskClient, **parameters: str) -> set[str]:
    answer = client.get("/v1/articles", query_string={"limit": 50, **parameters}).get_json()
    return {item["id"] for item in answer["items"]}


def test_new_changed_and_removed_posts_are_sent(site: FakeWordPress, app: Flask, tmp_path: Path) -> None:
    client = app.test_client()
    others = shown(client) - set(OWN)
    since = "2026-02-28T00:00:00"
    site.add(9, title={"rendered": "Corrected"}, modified_gmt="2026-02-28T10:00:00")
    site.add(4711, date_gmt="2026-02-28T09:00:00", modified_gmt="2026-01-01T00:00:00")
    site.posts[10]["status"] = "trash"
    del site.posts[11]

    done = reconciled(site, app, tmp_path, "--modified-after", since)

    assert done.stdout == "6 posts: 2 sent, 0 unchanged, 0 rejected, 2 withdrawn\n"
    assert shown(client) == others | {"8", "9", "12", "13", "14", "4711"}
    assert client.get("/v1/articles/9").get_json()["title"] == "Corrected"
    assert [client.get(f"/v1/articles/{gone}").status_code for gone in (10, 11)] == [410, 410]
    assert "9" in shown(client, updated_after=f"{since}Z")


def test_importing_again_changes_nothing(site: FakeWordPress, app: Flask, tmp_path: Path) -> None:
    site.add(4711)
    reconciled(site, app, tmp_path, "--modified-after", "2026-02-28")

    done = reconciled(site, app, tmp_path, "--modified-after", "2026-01-01")

    assert done.stdout == "8 posts: 7 sent, 1 unchanged, 0 rejected, 0 withdrawn\n"


def test_a_post_that_is_unlisted_but_still_public_stays(
    site: FakeWordPress, app: Flask, tmp_path: Path
) -> None:
    def hide(request: Request) -> Response | None:
        hidden: Any = request.args.get("orderby") and site.posts.pop(8, None)
        answer = Response.from_app(site, request.environ) if hidden else None
        if hidden:
            site.posts[8] = hidden
        return answer

    site.spoil = hide
    done = reconciled(site, app, tmp_path, "--modified-after", "2026-02-28")

    assert done.stdout == "6 posts: 0 sent, 0 unchanged, 0 rejected, 0 withdrawn\n"
    assert "8" in shown(app.test_client())


def test_posts_that_become_password_protected_are_withdrawn(
    site: FakeWordPress, app: Flask, tmp_path: Path
) -> None:
    site.posts[8]["content"] = {"rendered": "", "protected": True}

    done = reconciled(site, app, tmp_path, "--modified-after", "2026-02-28")

    assert "1 withdrawn" in done.stdout
    assert app.test_client().get("/v1/articles/8").status_code == 410


def test_an_article_withdrawn_by_hand_stays_withdrawn(
    site: FakeWordPress, app: Flask, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {(tmp_path / 'key').read_text().strip()}"}
    app.test_client().delete("/v1/articles/8", headers=headers)

    done = reconciled(site, app, tmp_path)

    assert "1 rejected" in done.stdout
    assert "8: older" in done.stderr
    assert app.test_client().get("/v1/articles/8").status_code == 410


def test_a_prefix_separates_the_sites_in_a_service(site: FakeWordPress, app: Flask, tmp_path: Path) -> None:
    before = shown(app.test_client())

    done = reconciled(site, app, tmp_path, "--id-prefix", "north-")

    assert "7 sent" in done.stdout
    assert shown(app.test_client()) == before | {f"north-{article_id}" for article_id in OWN}


def test_a_service_without_a_model_is_filled(site: FakeWordPress, tmp_path: Path) -> None:
    app = application(tmp_path)

    done = reconciled(site, app, tmp_path)

    assert done.stdout == "7 posts: 7 sent, 0 unchanged, 0 rejected, 0 withdrawn\n"


def test_batches_that_are_too_large_are_split(site: FakeWordPress, tmp_path: Path) -> None:
    app = application(tmp_path, max_batch_bytes=1000)

    assert "7 sent" in reconciled(site, app, tmp_path).stdout


def test_most_of_a_service_is_not_withdrawn_at_once(site: FakeWordPress, app: Flask, tmp_path: Path) -> None:
    for post_id in range(100, 112):
        site.add(post_id)
    reconciled(site, app, tmp_path)
    site.posts.clear()

    done = reconciled(site, app, tmp_path)

    assert done.exit_code == 1
    assert "19 of the 19 articles in the service are no longer on the site" in done.output
    assert "8" in shown(app.test_client())


@pytest.mark.parametrize("given", [[], ["-o", "a", "--to", "http://127.0.0.1"], ["--to", "http://127.0.0.1"]])
def test_a_missing_or_double_destination_is_rejected_before_any_request(given: list[str]) -> None:
    done = CliRunner().invoke(cli, ["import", "wordpress", "http://127.0.0.1:1/", *given])

    assert done.exit_code == 2


def test_a_key_that_the_service_rejects_is_reported(site: FakeWordPress, app: Flask, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("another")

    done = reconciled(site, app, tmp_path, "--modified-after", "2026-01-01")

    assert done.exit_code == 1
    assert "403" in str(done.exception)


def test_a_service_with_read_keys_accepts_a_key_with_both_scopes(
    site: FakeWordPress, models_dir: Path, tmp_path: Path
) -> None:
    key, setting = new_key("cms", ["articles", "read"])
    _, reader = new_key("site", ["read"])
    given: dict[str, Any] = {"models_dir": models_dir, "write_keys": (setting,), "read_keys": (reader,)}
    (tmp_path / "key").write_text(key)

    done = reconciled(site, create_app(Settings(**given), clock=lambda: NOW), tmp_path)

    assert done.exit_code == 0, done.exception
