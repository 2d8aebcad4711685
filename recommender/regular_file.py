"""Read regular files only: opening a FIFO waits for a writer, and reading a device may never end."""

import errno
import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError if it is not a regular file, or if it is a symbolic link."""
    if stat.S_ISREG(path.lstat().st_mode):
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular(path: Path) -> bytes:
    """Return the content of a file. Raises OSError like `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def digest_of(path: Path) -> str:
    """Return the sha256 of a file. Raises OSError like `open_regular`."""
    with open_regular(path) as file:
        return _learned.get(_state_of(file)) or hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path, names: list[str]) -> dict[str, str]:
    """Return the sha256 of each file, read on two threads. Raises OSError like `open_regular`."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(lambda name: digest_of(folder / name), names), strict=True))


def learn_digests(folder: Path) -> None:
    """Let this process, and those forked from it, know the sha256 of the files of a folder as they are now.

    A file that is changed or replaced later is read again. Files that cannot be read are left out.
    """
    paths = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(_learn, paths):
            pass


_State = tuple[int, ...]
_learned: dict[_State, str] = {}


def _learn(path: Path) -> None:
    with suppress(OSError), open_regular(path) as file:
        before = _state_of(file)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _state_of(file) == before:
            _learned[before] = digest


def _state_of(file: BufferedReader) -> _State:
    """Return what differs after any change of a file; programs cannot set `st_ctime_ns`."""
    stats = os.fstat(file.fileno())
    return stats.st_dev, stats.st_ino, stats.st_size, stats.st_mtime_ns, stats.st_ctime_ns
