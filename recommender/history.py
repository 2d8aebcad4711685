"""Facts about the published versions: age, size, quality and the result of the quality gate."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recommender.artifact import (
    MANIFEST,
    ArtifactError,
    current_version,
    open_version,
    read_manifest,
    versions,
)
from recommender.manifest import Manifest


@dataclass(frozen=True)
class VersionFacts:
    """Facts about a published version; None for what was not measured, or if it cannot be opened."""

    version: str
    published_at: datetime | None
    current: bool
    bytes: int
    trained_at: datetime | None = None
    articles: int | None = None
    ndcg_at_9: float | None = None  # measured if the training had labels
    coverage: float | None = None
    category_agreement: float | None = None
    gate: str | None = None  # "passed" or "overridden"; None: the gate was not run
    gate_reasons: str = ""
    list_overlap: float | None = None  # with the version that the gate compared it with
    fault: str = ""  # why it cannot be opened


def version_facts(models_dir: str | Path, *, check_arrays: bool = True) -> list[VersionFacts]:
    """Return facts about the published versions, oldest first.

    A version that cannot be opened is included, with its `fault`. Without `check_arrays`, only the manifests
    are read, which is much faster. If `CURRENT` is damaged, no version is current. Raises
    NothingPublishedError if there is neither a version nor `CURRENT`.
    """
    folder, names = Path(models_dir), versions(models_dir)
    try:
        current = current_version(folder)
    except ArtifactError:
        if not names:
            raise
        current = ""
    return [_facts(folder, name, is_current=current == name, check_arrays=check_arrays) for name in names]


def published_at(version: str) -> datetime | None:
    """Return the time in the name of a version, None if it is not a date."""
    try:
        return datetime.strptime(re.sub("-.*", "", version), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def bytes_of(models_dir: str | Path, version: str) -> int:
    """Return the size of the files of a version, 0 if it was removed in the meantime."""
    return sum(_sizes(Path(models_dir) / version))


def _facts(folder: Path, name: str, *, is_current: bool, check_arrays: bool) -> VersionFacts:
    known: dict[str, Any] = {
        "version": name,
        "published_at": published_at(name),
        "current": is_current,
        "bytes": bytes_of(folder, name),
    }
    try:
        if check_arrays:
            manifest = open_version(folder, name, verify=False).manifest
        else:
            manifest = read_manifest(folder / name / MANIFEST)
    except ArtifactError as error:
        return VersionFacts(**known, fault=str(error))
    gate = manifest.gate
    return VersionFacts(
        **known,
        trained_at=manifest.trained_at,
        articles=manifest.corpus.articles,
        ndcg_at_9=_measure(manifest, "quality", "ndcg_at_9", "mean"),
        coverage=_measure(manifest, "health", "coverage"),
        category_agreement=_measure(manifest, "health", "category_agreement"),
        gate=gate.outcome if gate else None,
        gate_reasons="; ".join(gate.reasons) if gate else "",
        list_overlap=gate.list_overlap if gate else None,
    )


def _measure(manifest: Manifest, *path: str) -> float | None:
    """Return a measure in the manifest's evaluation, None if it was not measured."""
    value: Any = manifest.evaluation
    for key in ("systems", 0, *path):
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return float(value) if isinstance(value, int | float) else None


def _sizes(folder: Path) -> Iterator[int]:
    try:
        for path in folder.iterdir():
            yield path.stat().st_size
    except FileNotFoundError:
        return
