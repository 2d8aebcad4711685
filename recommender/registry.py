"""The registry of models: a models folder on any storage, such as S3, from which other machines copy.

Its layout is that of `models/`. `push` writes `manifest.sha256` first, which reserves the name of the
version, and `manifest.json` last: a version without it is not complete. Then it replaces `CURRENT`.

`pull` trusts nothing there. It reads a manifest of limited size, whose sha256 must be that in `CURRENT`, and
only files with plain names. The copy is opened and verified like any published version before it is put in
place. So a version that is broken, partial or hostile is refused, and the current version stays in service.
"""

import contextlib
import logging
import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from recommender.artifact import (
    BUILDING,
    CURRENT,
    MANIFEST,
    MANIFEST_DIGEST,
    POINTER,
    ArtifactError,
    NothingPublishedError,
    current_version,
    locked,
    make_current,
    open_folder,
    open_version,
    pointer_of,
    pointer_text,
    read_manifest,
)
from recommender.regular_file import digest_of
from recommender.storage import ConflictError, MissingError, Storage, StoredFile
from recommender.synced_files import sync_folder, write_synced

POLL_SECONDS = 3.0
_MAX_RETRY_SECONDS = 300.0
_ARRIVING = ".arriving"  # the folder of a copy that is not complete
_PULL_LOCK = ".pull-lock"
_MAX_POINTER_BYTES = 200
_MAX_MANIFEST_BYTES = 16 << 20
_MAX_FILES = 1000
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SPARE_BYTES = 64 << 20  # that a copy leaves free

_log = logging.getLogger(__name__)

Pointer = tuple[str, str]  # the content of `CURRENT`: a version, and the sha256 of its manifest


@dataclass(frozen=True)
class Copied:
    """The version that is current now, and what was copied for it: nothing if all was there."""

    version: str
    files: int
    bytes: int


def push(models_dir: str | Path, url: str, version: str | None = None) -> Copied:
    """Copy a version to the registry, by default the current one, and make it current there.

    Files that are there already are not copied again. Raises ArtifactError if the version is damaged, if the
    registry has another version of that name, or if somebody else changed its `CURRENT` in the meantime. Then
    `CURRENT` there stays as it was.
    """
    folder, storage = Path(models_dir), Storage(url)
    version = version or current_version(folder)
    files = open_version(folder, version).manifest.files
    try:
        digest = digest_of(folder / version / MANIFEST)
        before = _current_file(storage)
        _reserve(storage, version, digest)
        copied = _upload(storage, folder / version, [*sorted(files), MANIFEST])
    except OSError as error:
        raise ArtifactError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error
    content = pointer_text(version, digest)
    if before is None or before.content != content:
        try:
            storage.replace(CURRENT, content, before)
        except ConflictError as error:
            raise ArtifactError(f"{error}; push again to make {version} the current version there") from None
    return copied


def pull(models_dir: str | Path, url: str) -> Copied:
    """Copy the current version of the registry to a models folder, and make it current there.

    A damaged version of that name in the folder is replaced. Raises ArtifactError, and leaves the current
    version in service, if the version in the registry is not complete or not valid, or if it does not fit on
    the disk. Raises NothingPublishedError if the registry has no current version.
    """
    folder, storage = Path(models_dir), Storage(url)
    version, digest = _registry_pointer(storage)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, _PULL_LOCK):
            with locked(folder):
                if _is_here(folder, version, digest):
                    make_current(folder, version, digest)
                    return Copied(version, 0, 0)
            arriving = folder / _ARRIVING
            shutil.rmtree(arriving, ignore_errors=True)  # of a process that was killed
            try:
                copied = _download(storage, arriving / version, digest)
                with locked(folder):
                    _put_in_place(arriving / version, folder)
                    make_current(folder, version, digest)
            finally:
                shutil.rmtree(arriving, ignore_errors=True)
    except OSError as error:
        where = error.filename or folder
        raise ArtifactError(
            f"cannot write to {where}: {error.strerror or error}; the current version stays in service"
        ) from error
    return copied


class RegistryFollower:
    """Keeps a models folder at the current version of a registry.

    A version that was refused is copied again after a pause, which doubles up to five minutes, or when
    `CURRENT` in the registry changes. Each reason for a failure is logged once.
    """

    def __init__(self, models_dir: str | Path, url: str) -> None:
        self._folder, self._url = Path(models_dir), url
        self._storage = Storage(url)
        self._refused: Pointer | None = None
        self._retry_at = self._pause = 0.0
        self._reason = ""

    def run_once(self) -> None:
        """Make the current version of the registry that of the folder, unless it is already or that fails."""
        wanted = None
        try:
            wanted = _registry_pointer(self._storage)
            if wanted == self._refused and monotonic() < self._retry_at:
                return
            if wanted != self._local():
                copied = pull(self._folder, self._url)
                _log.info("model %s of the registry is the current one now", copied.version)
        except Exception as error:  # noqa: BLE001 the outermost loop of a process, which must go on
            self._fail(error, wanted)
            return
        self._refused, self._pause, self._reason = None, 0.0, ""

    def _local(self) -> Pointer | None:
        try:
            return pointer_of(self._folder)
        except ArtifactError:  # there is none, or it is damaged
            return None

    def _fail(self, error: Exception, wanted: Pointer | None) -> None:
        self._storage = Storage(self._url)  # a new connection
        if wanted is not None:
            self._pause = min(max(2 * self._pause, POLL_SECONDS), _MAX_RETRY_SECONDS)
            self._refused, self._retry_at = wanted, monotonic() + self._pause
        is_expected = isinstance(error, ArtifactError)
        reason = str(error) if is_expected else repr(error)
        if reason != self._reason:
            exception = None if is_expected else error
            _log.warning("no new model from the registry: %s", reason, exc_info=exception)
        self._reason = reason


def registry_version(url: str) -> str:
    """Return the current version of a registry. Raises ArtifactError like `pull`."""
    return _registry_pointer(Storage(url))[0]


def _registry_pointer(storage: Storage) -> Pointer:
    file = _current_file(storage)
    if file is None:
        raise NothingPublishedError(f"no published model in {storage.name}; run `recommender models push`")
    text = file.content.decode("ascii", "replace")
    pointer = POINTER.fullmatch(text)
    if pointer is None:
        raise ArtifactError(
            f"{storage.name}/{CURRENT} does not name a version: {text[:100]!r}; push one again"
        )
    return pointer[1], pointer[2]


def _current_file(storage: Storage) -> StoredFile | None:
    try:
        return storage.read(CURRENT, _MAX_POINTER_BYTES)
    except MissingError:
        return None


def _reserve(storage: Storage, version: str, digest: str) -> None:
    """Reserve the name of a version for this sha256 of a manifest. Raises ArtifactError if it is taken."""
    path, content = f"{version}/{MANIFEST_DIGEST}", f"{digest}\n".encode()
    if not storage.create(path, content) and storage.read(path, _MAX_POINTER_BYTES).content != content:
        raise ArtifactError(f"{storage.name}/{version} is another model; versions in a registry never change")


def _upload(storage: Storage, folder: Path, names: list[str]) -> Copied:
    """Copy the files that the registry does not have in their full size, the last one after all others."""
    there = storage.sizes_in(folder.name)
    sizes = {name: (folder / name).stat().st_size for name in names}
    missing = [name for name in names if there.get(name) != sizes[name]]

    def put(name: str) -> None:
        storage.put(folder / name, f"{folder.name}/{name}")

    with ThreadPoolExecutor(storage.calls_at_once) as pool:
        list(pool.map(put, [name for name in missing if name != MANIFEST]))
    if MANIFEST in missing:
        put(MANIFEST)
    return Copied(folder.name, len(missing), sum(sizes[name] for name in missing))


def _is_here(folder: Path, version: str, digest: str) -> bool:
    """Return whether the folder has the version, undamaged. Raises ArtifactError if it is another model."""
    try:
        open_folder(folder / version, None, verify=True)
    except ArtifactError:
        return False
    if digest_of(folder / version / MANIFEST) != digest:
        raise ArtifactError(
            f"{folder / version} is another model than the version of that name in the registry"
        )
    return True


def _download(storage: Storage, folder: Path, digest: str) -> Copied:
    """Copy a version to a folder of its name and verify it. Raises ArtifactError if it is refused."""
    version = folder.name
    folder.mkdir(parents=True)
    manifest = storage.read(f"{version}/{MANIFEST}", _MAX_MANIFEST_BYTES).content
    write_synced(folder / MANIFEST, [manifest])
    write_synced(folder / MANIFEST_DIGEST, [f"{digest}\n".encode()])
    try:
        names = sorted(read_manifest(folder / MANIFEST, digest).files)
        sizes = _sizes(storage, version, names)
        _check_space(folder, sum(sizes.values()))

        def copy(name: str) -> None:
            chunks = _limited(storage.chunks(f"{version}/{name}"), sizes[name])
            write_synced(folder / name, chunks)

        with ThreadPoolExecutor(storage.calls_at_once) as pool:
            list(pool.map(copy, names))
        open_folder(folder, digest, verify=True)
    except ArtifactError as error:  # with the place that the user can repair
        raise ArtifactError(str(error).replace(str(folder), f"{storage.name}/{version}")) from None
    sync_folder(folder)
    return Copied(version, len(names), sum(sizes.values()))


def _sizes(storage: Storage, version: str, names: list[str]) -> dict[str, int]:
    """Return the size of each file of a version. Raises ArtifactError if a name is hostile or not there."""
    where = f"{storage.name}/{version}"
    if len(names) > _MAX_FILES:
        raise ArtifactError(f"{where} has {len(names):,} files, more than {_MAX_FILES:,}")
    for name in names:
        if not _FILE_NAME.fullmatch(name) or name in {MANIFEST, MANIFEST_DIGEST}:
            raise ArtifactError(f"{where} has a file with a forbidden name: {name[:100]!r}")
    there = storage.sizes_in(version)
    for name in names:
        if name not in there:
            raise ArtifactError(f"{where}/{name} does not exist: the version is not complete; push it again")
    return {name: there[name] for name in names}


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free - _SPARE_BYTES
    if needed > free:
        raise ArtifactError(f"the version has {needed >> 20:,} MiB, and {folder} has room for {free >> 20:,}")


def _limited(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield chunks up to a total size, and no more: a file may have grown since it was listed."""
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def _put_in_place(arrived: Path, folder: Path) -> None:
    """Rename a complete version to its place, and remove a damaged one from there."""
    target = folder / arrived.name
    damaged = folder / f"{BUILDING}{secrets.token_hex(8)}"
    with contextlib.suppress(FileNotFoundError):
        target.rename(damaged)
    arrived.rename(target)
    sync_folder(folder)
    if damaged.is_symlink():
        damaged.unlink()
    else:
        shutil.rmtree(damaged, ignore_errors=True)
