"""The file finally contains the articles of the site, whatever changes and whenever an import stops."""

import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import stamina
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Request, Response

from recommender.cli import cli
from tests.support.fake_wordpress import FakeWordPress
from tests.support.laws import examples
from tests.support.sites import listening

pytestmark = pytest.mark.slow

POSTS = st.integers(1, 20)
CHANGES = st.lists(
    st.tuples(POSTS, st.sampled_from(["publish", "revert", "trash", "delete", "password"])),
    max_size=20,
)
STEPS = st.lists(st.tuples(CHANGES, st.integers(1, 7)), min_size=1, max_size=5)


def imported(site: FakeWordPress, path: Path) -> Result:
    return CliRunner().invoke(cli, ["import", "wordpress", f"{site.url}/", "-o", str(path)])


def held(path: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line["title"] for line in lines}


def shown(site: FakeWordPress) -> dict[str, str]:
    return {
        str(post_id): post["title"]["rendered"]
        for post_id, post in site.posts.items()
        if post["status"] == "publish" and not post["content"]["protected"]
    }


def change(site: FakeWordPress, post_id: int, what: str, second: int) -> None:
    moment = f"2026-02-01T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
    known: dict[str, Any] = site.posts.get(post_id, {})
    match what:
        case "publish":
            before = known.get("title"), known.get("modified_gmt")
            title = {"rendered": f"State {second}"}
            site.add(post_id, title=title, modified_gmt=moment, before=before)
        case "revert" if known.get("before", (None,))[0]:
            known["title"], known["modified_gmt"] = known["before"]
        case "trash" if known:
            known["status"] = "trash"
        case "delete":
            site.posts.pop(post_id, None)
        case "password" if known:
            known["content"] = {"rendered": "", "protected": True}


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
@example(steps=[([(post_id, "publish") for post_id in range(1, 6)], 3), ([(1, "delete")], 7)])
@example(
    steps=[
        ([(1, "publish")], 7),
        ([(post_id, "publish") for post_id in range(1, 6)], 3),
        ([(1, "revert")], 7),
    ]
)
def test_finally_the_file_contains_the_articles_of_the_site(
    steps: list[tuple[list[tuple[int, str]], int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, seconds, site = tmp_path_factory.mktemp("law") / "posts.jsonl", count(1), FakeWordPress()
    path.write_text("")
    with (
        listening(site) as site.url,
        pytest.MonkeyPatch.context() as patch,
        stamina.set_testing(True, attempts=1),
    ):
        patch.setattr("recommender.commands.sites._CHUNK", 4)
        patch.setattr("recommender.commands.destinations._MANY", 100)
        site.add(99)
        for changes, cut_off_at in steps:
            for post_id, what in changes:
                change(site, post_id, what, next(seconds))
            left = iter([None] * cut_off_at)
            site.spoil = lambda _, left=left: next(left, Response(status=403))  # type: ignore[misc]
            if imported(site, path).exit_code == 0:
                assert held(path) == shown(site)
        site.spoil = lambda _: None

        assert imported(site, path).exit_code == 0
        assert held(path) == shown(site)
        assert not path.with_name("posts.jsonl.partial").exists()


def test_a_killed_import_continues(tmp_path: Path) -> None:
    path, site = tmp_path / "posts.jsonl", FakeWordPress()
    with listening(site) as site.url:
        for post_id in range(1, 260):
            site.add(post_id)
        command = [sys.executable, "-m", "recommender", "import", "wordpress", site.url, "-o", str(path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

            def kill(request: Request) -> None:
                if request.args.get("include", "").startswith("201,"):
                    os.kill(process.pid, signal.SIGKILL)

            site.spoil = kill
            process.wait(60)
        was_there, site.spoil = path.exists(), lambda _: None

        done = imported(site, path)

    assert (process.returncode, was_there) == (-signal.SIGKILL, False)
    assert done.stdout == f"259 posts: 200 read before; 259 new, 0 changed, 0 removed, in {path}\n"
    assert held(path) == shown(site)
