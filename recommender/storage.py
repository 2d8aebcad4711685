"""A folder on any storage that fsspec supports: local, S3, Google Cloud, Azure, SFTP and others.

The storages differ in how a file is replaced. Object stores replace it in one step, and S3 only if it is
still the file that was read. In file systems, the new file is written aside and renamed. Credentials in a
URL, and in the messages of the libraries, are never printed.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from recommender.artifact import ArtifactError
from recommender.printable import one_line, without_secrets

_CHUNK_BYTES = 8 << 20
_CALLS_AT_ONCE = 4
_INSTALL = "pip install 'recommender[registry]'"


class StorageError(ArtifactError):
    """A file of a storage that cannot be read or written; the message has the URL without credentials."""


class MissingError(StorageError):
    """A file that does not exist."""


class ConflictError(StorageError):
    """A file that another process has changed since it was read."""


class StoredFile(NamedTuple):
    """The content of a file, and what the storage calls this state of it; "" if it has no name for it."""

    content: bytes
    etag: str


class Storage:
    """A folder at a URL, such as `s3://bucket/models`; its files have paths below it.

    Every method raises StorageError if the storage does not respond or refuses the call.
    """

    def __init__(self, url: str) -> None:
        self.name = without_secrets(url)
        self._url, self._secrets = url, _secrets_in(url)

    @property
    def calls_at_once(self) -> int:
        """How many threads may copy files. One connection of SFTP blocks if several do."""
        with self._errors("open", ""):
            return _CALLS_AT_ONCE if self._is_object_store else 1

    def read(self, path: str, max_bytes: int) -> StoredFile:
        """Return a file. Raises MissingError, and StorageError if it is larger than `max_bytes`."""
        with self._errors("read", path):
            self._files.invalidate_cache()
            facts = self._files.info(self._at(path))
            if facts["type"] != "file":  # reading a FIFO would wait for a writer
                raise StorageError(f"{self.name}/{path} is not a regular file")
            if facts["size"] is None or facts["size"] > max_bytes:
                raise StorageError(f"{self.name}/{path} is larger than {max_bytes:,} bytes")
            return StoredFile(self._files.cat_file(self._at(path)), str(facts.get("ETag", "")))

    def sizes_in(self, folder: str) -> dict[str, int]:
        """Return the size of each file in a folder, by name; none if there is no such folder."""
        with suppress(MissingError), self._errors("list", folder):
            self._files.invalidate_cache()
            files = self._files.ls(self._at(folder), detail=True)
            return {Path(file["name"]).name: file["size"] for file in files if file["type"] == "file"}
        return {}

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file in chunks. Raises MissingError."""
        with self._errors("read", path), self._files.open(self._at(path), block_size=_CHUNK_BYTES) as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def put(self, source: Path, path: str) -> None:
        """Copy a local file to the storage; this replaces what is there."""
        with self._errors("write", path):
            self._make_folder(path)
            self._files.put_file(str(source), self._at(path))

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless it exists; return whether it was written."""
        with self._errors("write", path):
            if self._is_object_store:
                try:
                    self._files.pipe_file(self._at(path), content, mode="create")
                except FileExistsError:
                    return False
            elif self._files.exists(self._at(path)):
                return False
            else:
                self._overwrite(path, content)
        return True

    def replace(self, path: str, content: bytes, before: StoredFile | None) -> None:
        """Replace a file in one step. Raises ConflictError if it is no longer as it was `before`.

        None means that it did not exist. S3 makes sure of that. Other storages are asked before, so a change
        in the last moment may be lost.
        """
        if self._is_s3 and before is not None:
            self._replace_s3(path, content, before)
        elif before is None:
            if not self.create(path, content):
                raise ConflictError(f"{self.name}/{path} was changed in the meantime")
        elif self.read(path, len(before.content) + len(content)).content != before.content:
            raise ConflictError(f"{self.name}/{path} was changed in the meantime")
        else:
            with self._errors("write", path):
                self._overwrite(path, content)

    def _replace_s3(self, path: str, content: bytes, before: StoredFile) -> None:
        try:
            with self._errors("write", path):
                self._files.pipe_file(self._at(path), content, IfMatch=before.etag)
        except StorageError:
            # A repeated call fails if the first one was carried out, but its response was lost.
            now = self.read(path, len(before.content) + len(content))
            if now.content == content:
                return
            if now.etag != before.etag:
                raise ConflictError(f"{self.name}/{path} was changed in the meantime") from None
            raise

    def _overwrite(self, path: str, content: bytes) -> None:
        if self._is_object_store:
            self._files.pipe_file(self._at(path), content)
        else:
            self._make_folder(path)
            aside = self._at(f"{path}.{secrets.token_hex(8)}.new")
            self._files.pipe_file(aside, content)
            self._files.mv(aside, self._at(path))

    @cached_property
    def _files(self) -> Any:
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system, and the path of the folder in it."""
        from fsspec.core import url_to_fs  # noqa: PLC0415 only who uses a registry needs it

        # A new connection, because one that broke would be used again.
        files, root = url_to_fs(self._url, skip_instance_cache=True)
        return files, root.rstrip("/")

    @property
    def _is_s3(self) -> bool:
        protocol = self._files.protocol
        return "s3" in ((protocol,) if isinstance(protocol, str) else protocol)

    @property
    def _is_object_store(self) -> bool:
        return bool(self._files.async_impl)

    def _at(self, path: str) -> str:
        return f"{self._opened[1]}/{path}"

    def _make_folder(self, path: str) -> None:
        if not self._is_object_store:
            self._files.makedirs(self._at(path).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _errors(self, action: str, path: str) -> Iterator[None]:
        """Raise every error of a library as a StorageError without credentials."""
        place = f"{self.name}/{path}"
        try:
            yield
        except StorageError:
            raise
        except ImportError as error:
            cause = f"{error.name} is required" if error.name else str(error)
            raise StorageError(f"cannot {action} {place}: {cause}: {_INSTALL}") from None
        except Exception as error:  # noqa: BLE001 each library has its own
            if isinstance(error, FileNotFoundError) and action != "write":
                raise MissingError(f"{place} does not exist") from None
            # Without the cause, whose text may contain the password.
            raise StorageError(f"cannot {action} {place}: {self._described(error)}") from None

    def _described(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return one_line(text)[:300]


def _secrets_in(url: str) -> list[str]:
    """Return the parts of a URL that must not be printed, the longest first."""
    parts = urlsplit(url)
    user, _, _ = parts.netloc.rpartition("@")
    values = [pair.partition("=")[2] for pair in parts.query.split("&")]
    found = {user, user.partition(":")[2], parts.query, *values}
    found |= {unquote(secret) for secret in found}
    return sorted((secret for secret in found if secret), key=len, reverse=True)
