"""Files that survive a crash of the machine: written and synced, or replaced atomically."""

import os
from collections.abc import Iterable
from pathlib import Path

from recommender.regular_file import digest_of


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of a file atomically."""
    new_file = path.with_name(f"{path.name}.new")
    write_synced(new_file, [content])
    new_file.replace(path)
    sync_folder(path.parent)


def write_synced(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file, and make it survive a crash."""
    with path.open("wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())


def digest_of_synced(path: Path) -> str:
    """Make a file survive a crash, and return its sha256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return digest_of(path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a crash."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
