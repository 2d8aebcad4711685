"""Remove old versions from a models folder, but no version that is needed.

A version is renamed to a hidden name before its files are deleted, so no program ever sees a part of it. If
the process is killed in between, the next `prune` or `publish` deletes the rest. A worker that still maps the
arrays of a removed version continues with them: the system frees their space when the worker lets go.
"""

import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from recommender.artifact import (
    BUILDING,
    REFUSED,
    ArtifactError,
    locked,
    open_current,
    versions,
)
from recommender.history import bytes_of, published_at
from recommender.synced_files import sync_folder


@dataclass(frozen=True)
class Decision:
    """Whether a version is kept, and why."""

    version: str
    bytes: int
    kept_because: str  # empty: it is removed


@dataclass(frozen=True)
class Pruned:
    """The decision for each version, oldest first, and the number of removed reports on refused models."""

    decisions: list[Decision]
    refused_reports: int


def prune(
    models_dir: str | Path,
    *,
    now: datetime,
    keep: int = 7,
    keep_days: float = 30,
    in_use: Callable[[], Mapping[str, str]] = dict,
    dry_run: bool = False,
) -> Pruned:
    """Remove the versions that are neither among the newest `keep` nor younger than `keep_days` days.

    The current version stays, and so does every version that `in_use` returns, with the reason. Reports on
    refused models older than `keep_days` are removed, too. With `dry_run` nothing is removed. Raises
    ArtifactError, and removes nothing, if the current version is damaged: an older one may be needed then.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: at least the newest version must be kept")
    folder = Path(models_dir)
    if not folder.is_dir():
        open_current(folder)  # raises NothingPublishedError, and creates no lock
    try:
        with locked(folder):
            current = open_current(folder).manifest.version
            oldest = now - timedelta(days=keep_days)
            reasons = {**in_use(), current: "current"}
            decisions = _decisions(folder, keep, oldest, reasons)
            reports = [path for path in (folder / REFUSED).glob("*.json") if _is_older(path.stem, oldest)]
            if not dry_run:
                for decision in decisions:
                    if not decision.kept_because:
                        _hide(folder / decision.version)
                sync_folder(folder)
                for hidden in folder.glob(f"{BUILDING}*"):
                    _delete(hidden)
                for path in reports:
                    path.unlink()
    except OSError as error:
        where = error.filename or folder
        raise ArtifactError(f"cannot remove {where}: {error.strerror or error}") from error
    return Pruned(decisions, len(reports))


def _decisions(folder: Path, keep: int, oldest: datetime, reasons: Mapping[str, str]) -> list[Decision]:
    names = versions(folder)
    newest = set(names[-keep:])

    def reason(name: str) -> str:
        if name in reasons:
            return reasons[name]
        if name in newest:
            return f"one of the newest {keep}"
        return "" if _is_older(name, oldest) else "not old enough"

    return [Decision(name, bytes_of(folder, name), reason(name)) for name in names]


def _is_older(name: str, oldest: datetime) -> bool:
    """Return whether a name has a date before `oldest`. A name without a date is never older."""
    published = published_at(name)
    return published is not None and published < oldest


def _hide(path: Path) -> None:
    path.rename(path.with_name(f"{BUILDING}{secrets.token_hex(8)}"))


def _delete(path: Path) -> None:
    if path.is_symlink():  # the files are elsewhere, and not ours
        path.unlink()
    else:
        shutil.rmtree(path)
