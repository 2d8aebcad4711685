"""Whether a version could be published to a folder."""

import os
import tempfile
from pathlib import Path

from recommender.artifact import BUILDING, CURRENT, LOCK, ArtifactError


def check_writable(models_dir: str | Path) -> None:
    """Raise ArtifactError if a version could not be published to this folder; nothing is changed.

    A folder that does not exist is not created, but it must be possible to create it.
    """
    folder = Path(models_dir)
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    try:
        for name in (CURRENT, LOCK):
            if (folder / name).is_dir():
                raise ArtifactError(f"cannot publish to {folder}: {name} in it is a folder; remove it")
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=existing, ignore_cleanup_errors=True) as trial:
            (Path(trial) / folder.absolute().relative_to(existing.absolute())).mkdir(
                parents=True, exist_ok=True
            )
    except OSError as error:
        cure = "pass a writable folder as --models-dir"
        raise ArtifactError(f"cannot publish to {folder}: {existing}: {error.strerror}; {cure}") from error
