"""The files in `docs/deploy/` and for containers do what they say: their steps run, their syntax is valid."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.fake_wordpress import FakeWordPress
from tests.support.guide import ROOT
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
