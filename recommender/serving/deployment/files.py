"""Checks of the files that serving reads and writes: models, the state file, the rules file, free space."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from recommender.artifact import ArtifactError, open_current
from recommender.manifest import Manifest
from recommender.serving.deployment.check import Check, error, ok, warning
from recommender.serving.rules.schema import RulesError, read_file
from recommender.serving.worker.state_file import SavedState
from recommender.settings import Settings

_MIB = 1 << 20
_LEAST_BYTES = 64 * _MIB  # below which a folder counts as full
_FEW_BYTES = 512 * _MIB
_LEAST_FILES = 1000
_CLOCK_TOLERANCE = timedelta(minutes=1)


def model_checks(settings: Settings, now: datetime) -> Iterator[Check]:
    """Yield the checks of the current model: its files with their checksums, then its age."""
    try:
        manifest = open_current(settings.models_dir).manifest
    except ArtifactError as fault:
        yield error(
            "model", str(fault), "train a model, or copy one to this folder; check RECOMMENDER_MODELS_DIR"
        )
        return
    articles, files = manifest.corpus.articles, len(manifest.files)
    yield ok("model", f"{manifest.version}: {articles:,} articles, {files} files, all checksums match")
    yield _age(manifest, now, settings.stale_after_hours)


def _age(manifest: Manifest, now: datetime, stale_after_hours: float) -> Check:
    age = now - manifest.trained_at
    if age < -_CLOCK_TOLERANCE:
        finding = f"the model was trained at {manifest.trained_at:%Y-%m-%d %H:%M} UTC, which is in the future"
        return error("model age", finding, "set the clock of this machine, or of the one that trains")
    hours = age.total_seconds() / 3600
    finding = f"trained {hours:.1f} hours ago; stale after {stale_after_hours:g}"
    if hours <= stale_after_hours:
        return ok("model age", finding)
    advice = "see why the last training failed or was refused; or set RECOMMENDER_STALE_AFTER_HOURS"
    return warning("model age", finding, advice)


def state_check(settings: Settings) -> Check:
    """Return whether the state file can be replaced, and read if it exists."""
    name, path = "state file", settings.state_file
    advice = "create the folder, or change its rights or RECOMMENDER_STATE_FILE"
    if path.is_dir():
        return error(name, f"{path} is a folder", advice)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}."):
            pass
    except OSError as fault:
        return error(name, f"cannot write in {path.parent}: {fault.strerror}", advice)
    if path.exists() and SavedState.read(path) is None:
        advice = "delete it while the database responds; the service then writes it again"
        return error(name, f"{path} cannot be read or is damaged", advice)
    return ok(name, f"{path} can be written")


def rules_check(settings: Settings) -> Check | None:
    """Return whether the rules file is valid; None if there is none."""
    if settings.rules_file is None:
        return None
    try:
        count = len(read_file(settings.rules_file))
    except RulesError as fault:
        return error("rules file", str(fault), f"correct it: recommender rules check {settings.rules_file}")
    return ok("rules file", f"{settings.rules_file} has {count} rules")


def disk_checks(settings: Settings, database_file: Path | None) -> Iterator[Check]:
    """Yield the free space of each file system that serving or training writes to."""
    folders = [settings.models_dir, settings.state_file.parent]
    folders += [] if database_file is None else [database_file.parent]
    checked = set[int]()
    for folder in (path.absolute() for path in folders):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        device = existing.stat().st_dev
        if device not in checked:
            checked.add(device)
            yield _space(existing)


def _space(folder: Path) -> Check:
    free, system = shutil.disk_usage(folder).free, os.statvfs(folder)
    finding = f"{free // _MIB:,} MiB free at {folder}"
    if free < _LEAST_BYTES:
        return error("disk", finding, "free some space: changes and new models cannot be written")
    if system.f_files and system.f_favail < _LEAST_FILES:
        return error("disk", f"room for {system.f_favail} more files at {folder}", "delete files")
    if free < _FEW_BYTES:
        return warning("disk", finding, "free some space, for example of old models")
    return ok("disk", finding)
