"""Record how a training ends: in the models folder, and as Markdown for the page of a CI job."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from recommender.commands.exit_status import REFUSED, exit_status
from recommender.commands.files import echo, write


@dataclass
class RecordedRun:
    """The outcome of a training that is running, as far as it is known."""

    outcome: Any = None
    articles: int | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)

    def ended(self, started_at: datetime, status: int, error: BaseException | None) -> Any:
        """Return the record of this training."""
        from recommender.last_run import LastRun

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
    from recommender.last_run import LastRun

    run, started_at = RecordedRun(), datetime.now(UTC)
    if summary_path:
        write(summary_path, "")
    _record(models_dir, LastRun(state="running", started_at=started_at), note=False)
    try:
        yield run
    except BaseException as error:
        _end(models_dir, summary_path, run, run.ended(started_at, exit_status(error), error))
        raise
    _end(models_dir, summary_path, run, run.ended(started_at, 0, None))


def _end(models_dir: Path, summary_path: Path | None, run: RecordedRun, record: Any) -> None:
    from recommender.sections import sections_markdown, training_sections

    _record(models_dir, record, note=run.outcome is not None)
    if summary_path:
        sections = training_sections(run.facts, run.outcome.verdict) if run.outcome else []
        try:
            write(summary_path, sections_markdown(f"Training {record.description}", sections))
        except click.ClickException as error:  # the training ended as it is recorded
            echo(f"note: {error.format_message()}", err=True)


def _record(models_dir: Path, record: Any, *, note: bool) -> None:
    """Write the record. If the folder is not usable, training itself reports that, so no note is needed."""
    from recommender.artifact import ArtifactError
    from recommender.last_run import write_last_run

    try:
        write_last_run(models_dir, record)
    except ArtifactError as error:
        if note:
            echo(f"note: {error}", err=True)


def _message(error: BaseException | None) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted"
    return str(error) or type(error).__name__
