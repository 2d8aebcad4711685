"""Published models on disk: immutable versions in a models folder, and a pointer to the current version.

A version is a folder of `.npy` arrays and `manifest.json`, which lists the sha256 of every other file. The
file `CURRENT` contains the version's name and the sha256 of its manifest, so an altered version is never
served. Opening maps the arrays into memory and never unpickles.

A new version is built in a temporary folder, synced to disk and renamed. Then `CURRENT` is replaced, which
switches the service. A failure at any point leaves the old version in service. Arrays are found by walking
the model's dataclasses: a new array is only a new field. `format` says which programs can read the version.
"""

import contextlib
import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from recommender.manifest import Manifest
from recommender.model import Model
from recommender.model_arrays import arrays_of, fault_of, restored
from recommender.regular_file import digest_of, digests_of, open_regular, read_regular
from recommender.synced_files import digest_of_synced, replace_file, sync_folder, write_synced
from recommender.wrong_type import wrong_type

FORMAT = 4  # goes up with every change of the arrays or the manifest that older programs cannot read
CURRENT = "CURRENT"
MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.sha256"
REFUSED = ".refused"
LOCK = ".lock"
BUILDING = ".building-"
_VERSION = r"\d{8}T\d{6}Z-[0-9a-f]{8}(?:-\d+)?"
POINTER = re.compile(rf"({_VERSION}) ([0-9a-f]{{64}})\n")
_CURE = "run `recommender train` to publish a new version"

ExtraFiles = Mapping[str, Callable[[Path], None] | np.ndarray]  # by name
_NOTHING: ExtraFiles = {}


class _Format(BaseModel):
    format: int


class ArtifactError(RuntimeError):
    """A model that cannot be opened or published; the message has the file and the cure.

    >>> recommender.open_current("no-such-folder")
    Traceback (most recent call last):
    recommender.artifact.NothingPublishedError: no published model in no-such-folder; ...
    """


class NothingPublishedError(ArtifactError):
    """A models folder without a current version."""


def publish(
    model: Model, models_dir: str | Path, *, now: datetime | None = None, extra_files: ExtraFiles = _NOTHING
) -> str:
    """Write the model as a new version, make it current, and return the version's name.

    The version is built in a temporary folder, synced and renamed before `CURRENT` is replaced, so a failure
    at any point leaves the old version in service. `extra_files` maps names to functions that write
    additional files, or to arrays. They get checksums like the arrays of the model. Raises ArtifactError if
    the disk is full or the folder is not writable.

    >>> recommender.publish(trained.model, models_dir) in recommender.versions(models_dir)
    True
    """
    if not isinstance(model, Model):
        raise wrong_type("publish", "a Model", model, "call train(corpus).publish(models_dir)")
    folder = Path(models_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.absolute().parent)
        with locked(folder):
            return _publish(model, folder, now or datetime.now(UTC), extra_files)
    except OSError as error:
        where = error.filename or folder
        raise ArtifactError(
            f"cannot publish to {where}: {error.strerror or error}; the current version stays in service"
        ) from error


def keep_refused(report: str, model: Model, models_dir: str | Path, *, now: datetime | None = None) -> Path:
    """Write the report on a refused model to `.refused/<version>.json` and return the path.

    `<version>` is the name that the version would have had; no version changes. Raises ArtifactError if the
    file cannot be written.
    """
    folder = Path(models_dir)
    try:
        (folder / REFUSED).mkdir(parents=True, exist_ok=True)
        with locked(folder):
            wanted = _version_name(model, now or datetime.now(UTC))
            path = folder / REFUSED / _free_name(folder / REFUSED, wanted, ".json")
            replace_file(path, report.encode())
    except OSError as error:
        where = error.filename or folder
        raise ArtifactError(f"cannot write the report to {where}: {error.strerror or error}") from error
    return path


def open_current(models_dir: str | Path = "models", *, verify: bool = True) -> Model:
    """Open the current version, with its arrays mapped into memory.

    Every file is first checked against its sha256; pass `verify=False` to skip this if it was just done.
    Raises ArtifactError, with the file and the cure, if nothing is published or a file was altered.

    >>> model = recommender.open_current(models_dir)
    """
    folder = Path(models_dir)
    version, digest = pointer_of(folder)
    return open_folder(folder / version, digest, verify=verify)


def open_version(models_dir: str | Path, version: str, *, verify: bool = True) -> Model:
    """Open any version by its name; raises ArtifactError like `open_current`.

    >>> model = recommender.open_version(models_dir, recommender.versions(models_dir)[0])
    """
    folder = Path(models_dir)
    _check_version(folder, version)
    current, digest = _current_if_any(folder)
    return open_folder(folder / version, digest if version == current else None, verify=verify)


def open_arrays(models_dir: str | Path, version: str, names: Iterable[str]) -> list[np.ndarray]:
    """Open arrays that were published beside a version, mapped; raises ArtifactError if one is missing."""
    return [_open_array(Path(models_dir) / version / name) for name in names]


def roll_back(models_dir: str | Path = "models", version: str | None = None) -> str:
    """Make another version current, atomically, and return its name.

    The default is the version before the current one. Every file is first checked against its sha256. Raises
    ArtifactError, and keeps the current version, if there is no such version or it cannot be opened.
    """
    folder = Path(models_dir)
    if not versions(folder):
        raise _nothing_published(folder)
    try:
        with locked(folder):
            wanted = version or version_before(folder)
            _check_version(folder, wanted)
            if wanted == _current_if_any(folder)[0]:
                raise ArtifactError(f"{wanted} is already the current version in {folder}")
            digest = digest_of(folder / wanted / MANIFEST)
            open_folder(folder / wanted, digest, verify=True)
            make_current(folder, wanted, digest)
    except OSError as error:
        where = error.filename or folder
        raise ArtifactError(
            f"cannot roll back in {where}: {error.strerror or error}; the current version stays in service"
        ) from error
    return wanted


def versions(models_dir: str | Path) -> list[str]:
    """Return the names of the published versions, oldest first.

    Those of the same second, which their names do not order, are in the order in which they were written.

    >>> len(recommender.versions(models_dir)) > 0
    True
    """
    manifests = {path.parent.name: path for path in Path(models_dir).glob(f"*/{MANIFEST}")}
    names = [name for name in manifests if re.fullmatch(_VERSION, name)]
    return sorted(names, key=lambda name: (name[:16], manifests[name].stat().st_mtime_ns, name))


def current_version(models_dir: str | Path) -> str:
    """Return the name of the current version; raises ArtifactError if there is none."""
    return pointer_of(Path(models_dir))[0]


def version_before(models_dir: str | Path) -> str:
    """Return the name of the version before the current one; raises ArtifactError if there is none."""
    folder = Path(models_dir)
    current, names = pointer_of(folder)[0], versions(folder)
    # The current version may be damaged, and so not be among them.
    older = names[: names.index(current)] if current in names else [name for name in names if name < current]
    if not older:
        raise ArtifactError(f"nothing to roll back to: {current} is the oldest version in {folder}")
    return older[-1]


@contextlib.contextmanager
def locked(folder: Path, name: str = LOCK) -> Iterator[None]:
    """Let only one process change versions at a time; the system releases the lock of a killed process."""
    with (folder / name).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_current(folder: Path, version: str, digest: str) -> None:
    """Replace `CURRENT`, under the lock; `digest` is the sha256 of the version's manifest."""
    replace_file(folder / CURRENT, pointer_text(version, digest))


def pointer_text(version: str, digest: str) -> bytes:
    """Return the content of `CURRENT`, which `POINTER` matches."""
    return f"{version} {digest}\n".encode()


def _publish(model: Model, folder: Path, now: datetime, extra_files: ExtraFiles) -> str:
    for abandoned in folder.glob(f"{BUILDING}*"):  # from a killed process: this one holds the lock
        shutil.rmtree(abandoned, ignore_errors=True)
    version = _free_name(folder, _version_name(model, now))
    building = folder / f"{BUILDING}{secrets.token_hex(8)}"
    building.mkdir()
    try:
        digest = _write_version(model, building, version, extra_files)
        building.rename(folder / version)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    try:
        sync_folder(folder)
        make_current(folder, version, digest)
    except BaseException:
        if not (folder / CURRENT).exists() or version not in (folder / CURRENT).read_text():
            shutil.rmtree(folder / version, ignore_errors=True)
        raise
    return version


def _write_version(model: Model, building: Path, version: str, extra_files: ExtraFiles) -> str:
    """Write and sync every file of a version, and return the sha256 of its manifest."""
    with ThreadPoolExecutor(4) as pool:
        arrays = {f"{name}.npy": array for name, array in arrays_of(model)}
        arrays |= {name: extra for name, extra in extra_files.items() if isinstance(extra, np.ndarray)}
        written = {name: pool.submit(_write_array, building / name, array) for name, array in arrays.items()}
        for name, extra in extra_files.items():
            if not isinstance(extra, np.ndarray):
                extra(building / name)
                written[name] = pool.submit(digest_of_synced, building / name)
        digests = {name: written[name].result() for name in sorted(written)}
    manifest = model.manifest.model_copy(update={"format": FORMAT, "version": version, "files": digests})
    text = manifest.model_dump_json(indent=2).encode() + b"\n"
    digest = hashlib.sha256(text).hexdigest()
    write_synced(building / MANIFEST, [text])
    write_synced(building / MANIFEST_DIGEST, [f"{digest}\n".encode()])
    sync_folder(building)
    return digest


def open_folder(folder: Path, digest: str | None, *, verify: bool) -> Model:
    """Open the version in a folder of its name; `digest` is the sha256 of its manifest, None if unknown.

    Raises ArtifactError like `open_version`.
    """
    manifest = read_manifest(folder / MANIFEST, digest)
    if manifest.version != folder.name:
        raise ArtifactError(f"{folder / MANIFEST} belongs to version {manifest.version}: {_cure(folder)}")
    if verify:
        _verify(folder, manifest.files)
    names = [name for name in manifest.files if name.endswith(".npy")]
    arrays = {name.removesuffix(".npy"): _open_array(folder / name) for name in names}
    try:
        model = Model(manifest=manifest, **restored(Model, "", arrays))
    except KeyError as missing:
        raise ArtifactError(f"{folder} has no array {missing.args[0]}.npy: {_cure(folder)}") from None
    if fault := fault_of(model):
        raise ArtifactError(f"{folder}: {fault}: {_cure(folder)}")
    return model


def read_manifest(path: Path, digest: str | None = None) -> Manifest:
    """Return the manifest in a file, of which `digest` is the sha256, None if unknown.

    Raises ArtifactError if it cannot be read, was altered, or has another format.
    """
    try:
        text = read_regular(path)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}; {_cure(path.parent)}") from error
    actual = hashlib.sha256(text).hexdigest()
    if digest is not None and actual != digest:
        raise ArtifactError(f"{path} does not match its sha256 in {CURRENT}: {_cure(path.parent)}")
    digest_file, written_digest = path.with_name(MANIFEST_DIGEST), b""
    with contextlib.suppress(OSError):
        written_digest = read_regular(digest_file)
    if written_digest != f"{actual}\n".encode():
        raise ArtifactError(f"{path} does not match its sha256 in {digest_file}: {_cure(path.parent)}")
    try:
        # Check the format before the fields, because another format may have different fields.
        if (written := _Format.model_validate_json(text).format) != FORMAT:
            raise ArtifactError(f"{path} has format {written}, this program reads {FORMAT}: {_CURE}")
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtifactError(f"{path}: {where}: {first['msg']}: {_cure(path.parent)}") from error


def _verify(folder: Path, files: Mapping[str, str]) -> None:
    """Raise ArtifactError unless the folder contains exactly these files, unaltered."""
    try:
        names = sorted({path.name for path in folder.iterdir()} - {MANIFEST, MANIFEST_DIGEST})
        if names != sorted(files):
            odd = min(set(names) ^ set(files))
            state = "is missing from" if odd in files else "does not belong to"
            raise ArtifactError(f"{folder / odd} {state} the version: {_cure(folder)}")
        for name, digest in digests_of(folder, names).items():
            if digest != files[name]:
                raise ArtifactError(f"{folder / name} was altered after publishing: {_cure(folder)}")
    except OSError as error:
        raise ArtifactError(f"cannot read {error.filename}: {error.strerror}; {_cure(folder)}") from error


def _open_array(path: Path) -> np.ndarray:
    try:
        open_regular(path).close()
        # A plain view of the mapped memory: numpy's memmap class makes every slice several times slower.
        return np.asarray(np.lib.format.open_memmap(str(path), mode="r"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot map {path}: {error}; {_cure(path.parent)}") from error


def _cure(folder: Path) -> str:
    return f"restore {folder} from a copy, or {_CURE}"


def pointer_of(folder: Path) -> tuple[str, str]:
    """Return the current version and the sha256 of its manifest. Raises ArtifactError."""
    path = folder / CURRENT
    try:
        text = read_regular(path).decode("ascii", "replace")
    except FileNotFoundError:
        raise _nothing_published(folder) from None
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    pointer = POINTER.fullmatch(text)
    if pointer is None or not (folder / pointer[1]).is_dir():
        raise ArtifactError(f"{path} does not name an existing version: {text[:100]!r}; {_CURE}")
    return pointer[1], pointer[2]


def _current_if_any(folder: Path) -> tuple[str, str]:
    """Return the current version and the sha256 of its manifest, or empty strings.

    Commands that name a version must also work if `CURRENT` is missing or damaged.
    """
    try:
        return pointer_of(folder)
    except ArtifactError:
        return "", ""


def _check_version(folder: Path, version: str) -> None:
    if version not in versions(folder):
        raise ArtifactError(f"no version {version!r} in {folder}; `ls {folder}` lists the versions")


def _nothing_published(folder: Path) -> NothingPublishedError:
    return NothingPublishedError(f"no published model in {folder}; run `make train` or `recommender train`")


def _version_name(model: Model, now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}-{model.manifest.corpus.fingerprint[:8]}"


def _free_name(folder: Path, wanted: str, ending: str = "") -> str:
    names = [wanted + ending, *(f"{wanted}-{number}{ending}" for number in range(2, 10_000))]
    return next(name for name in names if not (folder / name).exists())


def _write_array(path: Path, array: np.ndarray) -> str:
    """Write and sync an array, and return the sha256 of the file."""
    array, header = np.ascontiguousarray(array), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    digest = hashlib.sha256(header.getbuffer())
    with path.open("xb") as file:
        file.writelines((header.getbuffer(), array.data))  # `tofile` does not report that the disk is full
        file.flush()
        digest.update(array.ravel().data)
        os.fsync(file.fileno())
    return digest.hexdigest()
