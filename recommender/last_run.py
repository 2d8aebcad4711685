"""The record of the last training, `last-run.json` in the models folder.

`make` turns every failure into exit status 2. So a job that runs `make train` reads here how the training
ended. The record says "running" from the start: a training that was killed leaves that behind, and no record
of an earlier success.
"""

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, JsonValue, ValidationError

from recommender.artifact import ArtifactError, locked
from recommender.frozen_model import FrozenModel
from recommender.synced_files import replace_file

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

    @property
    def description(self) -> str:
        """How the training ended, in one line."""
        if self.state == "published":
            return f"published {self.version}"
        if self.state == "refused":
            return f"refused by quality gate: {'; '.join(self.reasons)}"
        if self.state == "running":
            return f"still running, or killed: started {self.started_at:%Y-%m-%d %H:%M} UTC"
        return f"failed: {self.error}"


def write_last_run(models_dir: Path, run: LastRun) -> None:
    """Write the record atomically, unless there is no models folder. Raises ArtifactError."""
    if not models_dir.is_dir():
        return
    try:
        with locked(models_dir):
            replace_file(models_dir / NAME, run.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise ArtifactError(f"cannot write {models_dir / NAME}: {error.strerror}") from error


def read_last_run(models_dir: Path) -> LastRun:
    """Return the record of the last training. Raises ArtifactError if there is none or it is damaged."""
    path = models_dir / NAME
    try:
        return LastRun.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}; run `recommender train`") from error
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged: {error.errors()[0]['msg']}") from error
