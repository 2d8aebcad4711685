"""Read regular files only: opening a FIFO waits for a writer, and reading a device may never end."""

import errno
import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
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
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path, names: list[str]) -> dict[str, str]:
    """Return the sha256 of each file, read on two threads. Raises OSError like `open_regular`."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(lambda name: digest_of(folder / name), names), strict=True))
