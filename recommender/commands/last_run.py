"""The record of the last training, `last-run.json` in the models folder, and its report in Markdown.

`make` turns every failure into exit status 2. So a job that runs `make train` reads here how the training
ended. The record says "running" from the start: a training that was killed leaves that behind, and no record
of an earlier success.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import AwareDatetime, JsonValue, ValidationError

from recommender.commands.exit_status import REFUSED, exit_status
from recommender.commands.files import echo, write
from recommender.frozen_model import FrozenModel

NAME = "last-run.json"


class LastRun(FrozenModel):
    """How the last training ended."""

    format: int = 1
    state: Literal["running", "published", "refused", "failed"]
    exit_status: int | None = None  # None while it runs, or if it was killed
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None
    version: str | None = None  # the published version
    refused_report: str | None = None
    articles: int | None = None
    reasons: tuple[str, ...] = ()  # why the quality gate refused the model, or would have without --no-gate
    gate: dict[str, JsonValue] | None = None  # all results of the quality gate
    error: str | None = None  # why the training failed


@dataclass
class RecordedRun:
    """The outcome of a training that is running, as far as it is known."""

    outcome: Any = None
    articles: int | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)

    def ended(self, started_at: datetime, status: int, error: BaseException | None) -> LastRun:
        """Return the record of this training."""
        outcome = self.outcome
        state: Any = {0: "published", REFUSED: "refused"}.get(status, "failed")
        return LastRun(
            state=state,
            exit_status=status,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            version=outcome.version if outcome else None,
            refused_report=str(outcome.refused_report) if outcome and outcome.refused_report else None,
            articles=self.articles,
            reasons=tuple(outcome.verdict.reasons) if outcome else (),
            gate=outcome.verdict.model_dump(mode="json") if outcome else None,
            error=_message(error) if state == "failed" else None,
        )


@contextmanager
def recorded_run(models_dir: Path, summary_path: Path | None) -> Iterator[RecordedRun]:
    """Record how the training ends, in the models folder and, if there is a path, as Markdown.

    A failed training does not create the models folder. Raises ClickException, before the training, if the
    Markdown file cannot be written.
    """
    run, started_at = RecordedRun(), datetime.now(UTC)
    if summary_path:
        write(summary_path, "")
    _record(models_dir, LastRun(state="running", started_at=started_at))
    try:
        yield run
    except BaseException as error:
        _end(models_dir, summary_path, run, run.ended(started_at, exit_status(error), error))
        raise
    _end(models_dir, summary_path, run, run.ended(started_at, 0, None))


def read_last_run(models_dir: Path) -> LastRun:
    """Return the record of the last training. Raises ClickException if there is none or it is damaged."""
    path = models_dir / NAME
    try:
        return LastRun.model_validate_json(path.read_bytes())
    except OSError as error:
        raise click.ClickException(
            f"cannot read {path}: {error.strerror}; run `recommender train`"
        ) from error
    except ValidationError as error:
        raise click.ClickException(f"{path} is damaged: {error.errors()[0]['msg']}") from error


def described(run: LastRun) -> str:
    """Return how a training ended, in one line."""
    if run.state == "published":
        return f"published {run.version}"
    if run.state == "refused":
        return f"refused by quality gate: {'; '.join(run.reasons)}"
    if run.state == "running":
        return f"still running, or killed: started {run.started_at:%Y-%m-%d %H:%M} UTC"
    return f"failed: {run.error}"


def _end(models_dir: Path, summary_path: Path | None, run: RecordedRun, record: LastRun) -> None:
    from recommender.sections import sections_markdown, training_sections

    _record(models_dir, record)
    if summary_path:
        sections = training_sections(run.facts, run.outcome.verdict) if run.outcome else []
        write(summary_path, sections_markdown(f"Training {described(record)}", sections))


def _record(models_dir: Path, record: LastRun) -> None:
    from recommender.artifact import locked, replace_file

    if not models_dir.is_dir():
        return
    try:
        with locked(models_dir):
            replace_file(models_dir / NAME, record.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        echo(f"note: cannot write {models_dir / NAME}: {error.strerror}", err=True)


def _message(error: BaseException | None) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted"
    return str(error) or type(error).__name__
