"""The outcome of a training is recorded for CI: as JSON in the models folder, and as Markdown."""

import json
from pathlib import Path
from typing import Any

import pytest

from recommender.artifact import current_version
from tests.support.cli import Run

pytestmark = pytest.mark.slow

STRICT = "[gate]\nmin_articles = 4\n"


def last_run() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(Path("models/last-run.json").read_text(encoding="utf-8"))
    return record


def test_a_published_model_is_recorded(run: Run, corpus: Path) -> None:
    assert run("train", corpus, "--summary", "summary.md").status == 0

    record, version = last_run(), current_version("models")
    assert (record["state"], record["exit_status"], record["version"]) == ("published", 0, version)
    assert (record["articles"], record["reasons"], record["error"]) == (3, [], None)
    assert {check["name"] for check in record["gate"]["checks"]} >= {"articles", "coverage"}
    assert record["started_at"] < record["finished_at"]
    summary = Path("summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"# Training published {version}\n\n## Quality gate\n")
    assert "| articles | 3 | ≥ 1 | passed |" in summary
    shown = run("models", "last-run")
    assert (shown.status, shown.out) == (0, f"published {version}\n")


def test_a_refused_model_is_recorded_with_the_reasons(run: Run, corpus: Path) -> None:
    run("train", corpus)
    Path("strict.toml").write_text(STRICT)

    ended = run("train", corpus, "--recipe", "strict.toml", "--summary", "summary.md")

    record = last_run()
    assert (record["state"], record["exit_status"], record["version"]) == ("refused", 3, None)
    assert record["reasons"] == ["articles 3, not at least 4"]
    assert (
        json.loads(Path(record["refused_report"]).read_text(encoding="utf-8"))["reasons"] == record["reasons"]
    )
    reason = "refused by quality gate: articles 3, not at least 4"
    assert ended.err.splitlines()[-1] == reason
    assert Path("summary.md").read_text(encoding="utf-8").startswith(f"# Training {reason}\n")
    shown = run("models", "last-run")
    assert (shown.status, shown.out) == (3, f"{reason}\n")


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["missing.jsonl"], 1, "missing.jsonl does not exist"),
        (["corpus.jsonl", "--recipe", "broken.toml"], 2, "broken.toml"),
        (["corpus.jsonl", "--labels", "missing.csv"], 2, "missing.csv"),
    ],
)
def test_a_failure_replaces_the_record_of_an_earlier_success(
    run: Run, corpus: Path, arguments: list[str], status: int, error: str
) -> None:
    Path("broken.toml").write_text("[terms]\nnonsense = 1\n")
    run("train", corpus)

    ended = run("train", *arguments, "--summary", "summary.md")

    record = last_run()
    assert (ended.status, record["exit_status"], record["state"]) == (status, status, "failed")
    assert error in record["error"]
    assert Path("summary.md").read_text(encoding="utf-8").startswith("# Training failed: ")
    assert run("models", "last-run").status == status


def test_a_killed_training_is_no_success(run: Run, corpus: Path) -> None:
    run("train", corpus)
    record = last_run() | {"state": "running", "exit_status": None}
    Path("models/last-run.json").write_text(json.dumps(record))

    ended = run("models", "last-run")

    assert (ended.status, ended.out[:28]) == (1, "still running, or killed: st")


@pytest.mark.parametrize("content", [None, "{", '{"format": 1, "state": "fine"}'])
def test_without_a_valid_record_the_last_run_is_unknown(run: Run, content: str | None) -> None:
    if content is not None:
        Path("models").mkdir()
        Path("models/last-run.json").write_text(content)

    ended = run("models", "last-run")

    assert (ended.status, ended.out) == (1, "")
    assert "models/last-run.json" in ended.err


def test_a_summary_that_cannot_be_written_ends_the_training_before_it_starts(run: Run, corpus: Path) -> None:
    ended = run("train", corpus, "--summary", "missing/summary.md")

    assert (ended.status, Path("models").exists()) == (1, False)
    assert "cannot write missing/summary.md: No such file or directory" in ended.err
