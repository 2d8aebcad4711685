"""The files in `docs/deploy/` and for containers do what they say: their steps run, their syntax is valid."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.fake_wordpress import FakeWordPress
from tests.support.guide import ROOT, block, check_arguments
from tests.support.sites import listening

DEPLOY = ROOT / "docs" / "deploy"


@pytest.fixture
def site() -> Iterator[FakeWordPress]:
    fake = FakeWordPress()
    with listening(fake) as fake.url:
        for post_id in range(1, 13):
            fake.add(post_id)
        yield fake


def github_steps() -> list[str]:
    steps = read("github-actions.yml")["jobs"]["train"]["steps"]
    not_here = {"Install", "Load the key for MODELS_TARGET"}  # these need a registry and a server
    return [step["run"] for step in steps if "run" in step and step["name"] not in not_here]


def gitlab_steps() -> list[str]:
    lines: list[str] = read("gitlab-ci.yml")["train"]["script"]
    return lines


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return content


def run_steps(steps: list[str], folder: Path, site: FakeWordPress) -> subprocess.CompletedProcess[str]:
    """Run the steps of a job in an empty checkout, as its runner does."""
    bin_folder, checkout = folder / "bin", folder / "checkout"
    shutil.rmtree(checkout, ignore_errors=True)
    for made in (bin_folder, checkout, folder / "target"):
        made.mkdir(exist_ok=True)
    command = bin_folder / "recommender"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m recommender "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "SITE": site.url,
        "MODELS_TARGET": str(folder / "target"),
        "GITHUB_STEP_SUMMARY": str(checkout / "summary.md"),
    }
    script = "\n".join(["set -eo pipefail", *steps])
    return subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("rsync"), reason="needs rsync")
@pytest.mark.parametrize("steps", [github_steps, gitlab_steps])
def test_a_nightly_job_publishes_a_good_model_and_not_a_refused_one(
    steps: Any, site: FakeWordPress, tmp_path: Path
) -> None:
    first = run_steps(steps(), tmp_path, site)

    assert first.returncode == 0, first.stderr
    current = (tmp_path / "target" / "CURRENT").read_text()
    assert (tmp_path / "target" / current.split()[0] / "manifest.json").exists()
    assert (
        (tmp_path / "checkout" / "summary.md").read_text(encoding="utf-8").startswith("# Training published")
    )

    for post_id in range(3, 13):
        del site.posts[post_id]  # an export that was cut off
    second = run_steps(steps(), tmp_path, site)

    assert second.returncode == 3, second.stderr
    assert (tmp_path / "target" / "CURRENT").read_text() == current
    assert "the corpus shrank" in (tmp_path / "checkout" / "summary.md").read_text(encoding="utf-8")
    assert '"state": "refused"' in (tmp_path / "checkout" / "models" / "last-run.json").read_text()


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_jobs_install_an_extra_that_exists_and_keep_the_record(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")

    assert "pip install --constraint constraints.txt '.[train]'" in text
    assert "models/last-run.json" in text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_the_units_of_systemd_are_valid(tmp_path: Path) -> None:
    units = [*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")]
    for unit in units:
        text = unit.read_text(encoding="utf-8").replace("/srv/recommender/.venv/bin/recommender", "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")

    verified = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit.name for unit in units)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert len(units) == 3
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_commands_of_units_and_images_are_valid() -> None:
    units = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.glob("*.service"))
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    jobs = "\n".join([*github_steps(), *gitlab_steps()])

    lines = re.findall(r"^ExecStart=\S+/recommender (.*)$", units, re.MULTILINE)
    lines += re.findall(r"^recommender (.*)$", jobs, re.MULTILINE)
    words = [shlex.split(line) for line in lines]
    words += [json.loads(command) for command in re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)]
    words.append(services["serve"]["command"])

    assert len(words) == 11
    for command in words:
        if "--help" not in command:
            check_arguments(command)


def test_nginx_in_front_of_the_containers_is_configured_as_in_the_guide() -> None:
    shown = block("caching.md", "nginx").replace("127.0.0.1:8000", "serve:8000")

    assert (DEPLOY / "nginx.conf").read_text(encoding="utf-8") == shown


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["hadolint"], "Dockerfile"),
        (["check-jsonschema", "--builtin-schema", "vendor.compose-spec"], "compose.yaml"),
        (
            ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
            "docs/deploy/github-actions.yml",
        ),
        (
            ["check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
            "docs/deploy/gitlab-ci.yml",
        ),
    ],
)
@pytest.mark.slow
def test_linters_accept_the_file(command: list[str], file: str) -> None:
    program = Path(sys.executable).with_name(command[0])
    if not program.exists():
        pytest.skip(f"needs {command[0]}, which the extra `dev` installs")

    checked = subprocess.run(
        [program, *command[1:], ROOT / file], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
