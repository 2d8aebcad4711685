"""A published version equals the trained model, or it is refused."""

import hashlib
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from recommender.article import Article
from recommender.artifact import (
    FORMAT,
    ArtifactError,
    current_version,
    keep_refused,
    open_current,
    open_version,
    publish,
    versions,
)
from recommender.manifest import Manifest
from recommender.model import Model
from recommender.model_arrays import arrays_of, fault_of
from recommender.regular_file import learn_digests
from recommender.training.neighbors.kept import StoredCandidates
from recommender.training.train import ESTIMATORS, Trained, train
from tests.support.sample import NOW


def array_files(record: Any, prefix: str = "") -> Iterator[str]:
    """Yield the file of each array in a dataclass and its nested dataclasses."""
    for field in fields(record):
        if field.type is np.ndarray:
            yield f"{prefix}{field.name}.npy"
        for kind in get_args(field.type) or (field.type,):
            if is_dataclass(kind):
                yield from array_files(kind, f"{prefix}{field.name}.")


ARRAYS = sorted(array_files(Model))
CANDIDATES = [f"candidates.{field.name}.npy" for field in fields(StoredCandidates)]
FILES = [*ARRAYS, *CANDIDATES, ESTIMATORS]


def version_folder(models_dir: Path) -> Path:
    return models_dir / current_version(models_dir)


def values_of(model: Model) -> Iterator[np.ndarray]:
    for file in ARRAYS:
        value: Any = model
        for name in file.removesuffix(".npy").split("."):
            value = getattr(value, name)
        yield value


def flip(path: Path, bit: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= bit
    path.write_bytes(content)


def sign(models_dir: Path, **changes: Any) -> None:
    """Update manifest and CURRENT to match the files, like an attacker with write access."""
    folder = version_folder(models_dir)
    manifest = json.loads((folder / "manifest.json").read_text())
    names = [path.name for path in folder.iterdir() if path.stem != "manifest"]
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    text = json.dumps(manifest | changes)
    (folder / "manifest.json").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.sha256").write_text(f"{digest}\n")
    (models_dir / "CURRENT").write_text(f"{folder.name} {digest}\n")


def refusal(models_dir: Path, *, verify: bool = True) -> str:
    with pytest.raises(ArtifactError) as refused:
        open_current(models_dir, verify=verify)
    return str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("verify", [True, False])
def test_every_array_comes_back_equal(trained: Trained, published: Path, verify: bool) -> None:  # noqa: FBT001
    opened = open_current(published, verify=verify)

    for saved, read in zip(values_of(trained.model), values_of(opened), strict=True):
        assert read.dtype == saved.dtype
        assert np.array_equal(read, saved)


def test_an_opened_model_gives_the_same_results_as_the_trained_model(
    trained: Trained, published: Path
) -> None:
    some = trained.model.articles.ids[10]

    assert open_current(published).similar(some) == trained.model.similar(some)


def test_arrays_are_mapped_and_cannot_be_written(published: Path) -> None:
    for array in values_of(open_current(published)):
        assert not array.flags.writeable
        assert not array.flags.owndata


def test_a_version_contains_only_its_arrays_and_its_manifest(published: Path) -> None:
    names = sorted(path.name for path in version_folder(published).iterdir())

    assert names == sorted([*FILES, "manifest.json", "manifest.sha256"])


def test_the_manifest_states_what_was_published(trained: Trained, published: Path) -> None:
    manifest = open_current(published).manifest

    unpublished = {"format": 0, "version": "", "files": {}}
    assert manifest.model_copy(update=unpublished) == trained.model.manifest
    assert (manifest.format, manifest.version) == (FORMAT, current_version(published))
    assert sorted(manifest.files) == sorted(FILES)


def test_the_manifest_lists_the_sha256_of_every_other_file(published: Path) -> None:
    folder = version_folder(published)

    for name, digest in open_current(published).manifest.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_current_contains_the_version_and_the_sha256_of_its_manifest(published: Path) -> None:
    version, digest = (published / "CURRENT").read_text().split()

    assert version == current_version(published)
    assert hashlib.sha256((published / version / "manifest.json").read_bytes()).hexdigest() == digest


def test_a_version_is_named_by_its_time_and_corpus(trained: Trained, published: Path) -> None:
    fingerprint = trained.model.manifest.corpus.fingerprint

    assert current_version(published) == f"{NOW:%Y%m%dT%H%M%SZ}-{fingerprint[:8]}"


def test_every_version_is_kept_and_the_last_is_current(trained: Trained, published_copy: Path) -> None:
    first = current_version(published_copy)

    second = publish(trained.model, published_copy, now=NOW + timedelta(days=1))

    assert versions(published_copy) == [first, second]
    assert open_current(published_copy).manifest.version == second
    assert open_version(published_copy, first).manifest.version == first


def test_versions_of_the_same_second_are_in_the_order_of_publishing(trained: Trained, tmp_path: Path) -> None:
    facts = trained.model.manifest.corpus
    published = [
        publish(
            replace(
                trained.model,
                manifest=trained.model.manifest.model_copy(
                    update={"corpus": facts.model_copy(update={"fingerprint": digit * 64})}
                ),
            ),
            tmp_path,
            now=NOW,
        )
        for digit in "b0a"
    ]

    assert versions(tmp_path) == published
    assert sorted(published) != published


def test_two_versions_in_one_second_get_two_names(trained: Trained, published_copy: Path) -> None:
    first = current_version(published_copy)

    names = [publish(trained.model, published_copy, now=NOW) for _ in range(2)]

    assert names == [f"{first}-2", f"{first}-3"]
    assert open_current(published_copy).manifest.version == names[-1]


def test_a_clock_that_goes_back_does_not_make_an_old_version_current(
    trained: Trained, published_copy: Path
) -> None:
    second = publish(trained.model, published_copy, now=NOW - timedelta(hours=1))

    assert current_version(published_copy) == second
    assert open_current(published_copy).manifest.version == second


def test_a_missing_folder_is_created(trained: Trained, tmp_path: Path) -> None:
    version = publish(trained.model, tmp_path / "deep" / "models")

    assert open_current(tmp_path / "deep" / "models").manifest.version == version


@pytest.mark.slow
def test_shuffled_articles_on_another_number_of_threads_give_the_same_bytes(
    sample_articles: list[Article], tmp_path: Path
) -> None:
    shuffled = random.Random(5).sample(sample_articles, len(sample_articles))  # noqa: S311 no secret

    publish(train(sample_articles, threads=2, now=NOW).model, tmp_path / "a")
    publish(train(shuffled, threads=1, now=NOW).model, tmp_path / "b")

    files = open_current(tmp_path / "a").manifest.files
    assert sorted(files) == ARRAYS
    assert open_current(tmp_path / "b").manifest.files == files


@pytest.fixture(scope="module")
def one_copy(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder for tests that undo their damage."""
    return Path(shutil.copytree(published, tmp_path_factory.mktemp("one") / "models"))


@pytest.mark.parametrize(
    "name",
    [
        name if number % 4 == 0 else pytest.param(name, marks=pytest.mark.slow)
        for number, name in enumerate(["manifest.json", *FILES])
    ],
)
def test_a_single_flipped_bit_is_refused_with_the_name_of_its_file(one_copy: Path, name: str) -> None:
    path = version_folder(one_copy) / name
    flip(path)

    message = refusal(one_copy)
    flip(path)

    assert str(path) in message
    assert open_current(one_copy)
    assert f"restore {path.parent} from a copy, or run `recommender train`" in message


def test_any_flipped_bit_of_current_is_refused(published_copy: Path) -> None:
    path = published_copy / "CURRENT"
    whole = path.read_bytes()

    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            message = refusal(published_copy, verify=False)
            assert "CURRENT" in message
            assert "run `recommender train`" in message


@pytest.mark.parametrize("name", [ARRAYS[0], ARRAYS[-1], ESTIMATORS])
def test_a_missing_file_is_refused_by_name(published_copy: Path, name: str) -> None:
    path = version_folder(published_copy) / name
    path.unlink()

    assert f"{path} is missing from the version: restore" in refusal(published_copy)


def test_a_missing_manifest_is_refused(published_copy: Path) -> None:
    path = version_folder(published_copy) / "manifest.json"
    path.unlink()

    assert f"cannot read {path}: No such file or directory; restore" in refusal(published_copy)


def test_an_extra_file_is_refused_by_name(published_copy: Path) -> None:
    path = version_folder(published_copy) / "notes.txt"
    path.write_text("not ours")

    assert f"{path} does not belong to the version: restore" in refusal(published_copy)


@pytest.mark.parametrize("size", [0, 1, 40, 1000])
def test_a_truncated_array_is_refused(published_copy: Path, size: int) -> None:
    path = version_folder(published_copy) / "vectors.values.npy"
    path.write_bytes(path.read_bytes()[:size])

    assert f"{path} was altered after publishing" in refusal(published_copy)
    assert f"cannot map {path}" in refusal(published_copy, verify=False)


def test_a_missing_array_is_named_even_without_checksums(published_copy: Path) -> None:
    path = version_folder(published_copy) / "neighbors.rows.npy"
    path.unlink()

    assert f"cannot map {path}" in refusal(published_copy, verify=False)


def test_a_version_without_one_of_the_arrays_is_refused(published_copy: Path) -> None:
    folder = version_folder(published_copy)
    (folder / "neighbors.rows.npy").unlink()
    sign(published_copy)

    assert f"{folder} has no array neighbors.rows.npy: restore" in refusal(published_copy)


def test_without_verify_an_altered_array_opens_but_an_altered_manifest_does_not(
    published_copy: Path,
) -> None:
    folder = version_folder(published_copy)

    flip(folder / "vectors.values.npy")
    open_current(published_copy, verify=False)
    flip(folder / "manifest.json")

    assert "manifest.json does not match its sha256 in CURRENT" in refusal(published_copy, verify=False)


def test_the_message_about_an_empty_models_folder_says_what_to_run(tmp_path: Path) -> None:
    message = f"no published model in {tmp_path}; run `make train` or `recommender train`"

    assert refusal(tmp_path) == message
    assert refusal(tmp_path / "none") == message.replace(str(tmp_path), str(tmp_path / "none"))
    assert versions(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "20260101T000000Z-0123abcd",
        "../../etc " + "0" * 64 + "\n",
        ". " + "0" * 64 + "\n",
        "é",
        "\0" * 91,
    ],
)
def test_an_invalid_current_is_refused_with_its_content(published_copy: Path, content: str) -> None:
    (published_copy / "CURRENT").write_text(content)

    message = refusal(published_copy)

    assert f"{published_copy / 'CURRENT'} does not name an existing version" in message
    assert "run `recommender train`" in message


def test_a_current_with_a_missing_or_extra_byte_is_refused(published_copy: Path) -> None:
    path = published_copy / "CURRENT"
    whole = path.read_text()

    for content in (whole[:-1], whole + "\n", whole * 2):
        path.write_text(content)
        assert "does not name an existing version" in refusal(published_copy)


def test_a_current_that_names_a_missing_version_is_refused(published_copy: Path) -> None:
    folder = version_folder(published_copy)
    folder.rename(folder.with_name("elsewhere"))

    assert f"does not name an existing version: '{folder.name} " in refusal(published_copy)


def test_an_unreadable_current_is_refused(published_copy: Path) -> None:
    (published_copy / "CURRENT").unlink()
    (published_copy / "CURRENT").mkdir()

    assert f"cannot read {published_copy / 'CURRENT'}: it is not a regular file" in refusal(published_copy)


def test_a_version_under_another_name_is_refused(published_copy: Path) -> None:
    folder = version_folder(published_copy)
    other = f"{folder.name}-2"
    folder.rename(folder.with_name(other))
    pointer = published_copy / "CURRENT"
    pointer.write_text(pointer.read_text().replace(folder.name, other))

    assert f"belongs to version {folder.name}: restore" in refusal(published_copy)


def test_a_manifest_of_another_format_is_refused(published_copy: Path) -> None:
    sign(published_copy, format=1)

    assert f"has format 1, this program reads {FORMAT}: run `recommender train`" in refusal(published_copy)


def test_a_manifest_of_another_format_may_have_other_fields(published_copy: Path) -> None:
    sign(published_copy, format=FORMAT + 1, shards=4)

    assert f"has format {FORMAT + 1}, this program reads {FORMAT}: run `recommender train`" in refusal(
        published_copy
    )


def test_a_manifest_from_an_earlier_release_with_the_old_gate_key_opens(published_copy: Path) -> None:
    path = version_folder(published_copy) / "manifest.json"
    recipe = json.loads(path.read_text())["recipe"]
    recipe["gate"]["min_section_agreement"] = 0.36
    del recipe["gate"]["min_category_agreement"]
    sign(published_copy, recipe=recipe)

    assert open_current(published_copy).manifest.recipe.gate.min_category_agreement == 0.36


def test_a_manifest_with_an_unknown_field_is_refused_by_the_fields_name(published_copy: Path) -> None:
    sign(published_copy, shards=4)

    assert "manifest.json: shards: Extra inputs are not permitted: restore" in refusal(published_copy)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_an_array_of_objects_is_refused_and_never_unpickled(published_copy: Path, tmp_path: Path) -> None:
    path = version_folder(published_copy) / "vectors.values.npy"
    np.save(path, np.array([Bomb(tmp_path / "exploded")]), allow_pickle=True)
    sign(published_copy)

    assert f"cannot map {path}" in refusal(published_copy)
    assert not (tmp_path / "exploded").exists()


def test_estimators_are_checked_but_never_loaded(published_copy: Path, tmp_path: Path) -> None:
    path = version_folder(published_copy) / ESTIMATORS
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    sign(published_copy)

    open_current(published_copy)

    assert not (tmp_path / "exploded").exists()


def test_opening_a_model_loads_no_training_library(published: Path) -> None:
    code = f"""
import sys
from recommender.artifact import open_current
open_current({str(published)!r}).similar("1001")
print(*sorted({{"joblib", "numba", "pandas", "sklearn"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


def test_a_missing_version_is_refused_by_name(published: Path) -> None:
    for name in ("20200101T000000Z-00000000", "..", "", "CURRENT"):
        with pytest.raises(ArtifactError, match=f"no version {name!r} in"):
            open_version(published, name)


def test_any_altered_file_of_an_older_version_is_refused(trained: Trained, published_copy: Path) -> None:
    older = version_folder(published_copy)
    publish(trained.model, published_copy, now=NOW + timedelta(days=1))
    flip(older / "articles.ids.utf8.npy")

    with pytest.raises(ArtifactError, match=r"articles\.ids\.utf8\.npy was altered after publishing"):
        open_version(published_copy, older.name)


def test_an_altered_manifest_of_the_current_version_is_refused_by_name_too(published_copy: Path) -> None:
    path = version_folder(published_copy) / "manifest.json"
    path.write_text(path.read_text().replace('"articles": 259', '"articles": 260'))

    with pytest.raises(ArtifactError, match=r"manifest\.json does not match its sha256 in CURRENT"):
        open_version(published_copy, path.parent.name)


def test_a_version_opens_by_its_name_even_if_current_is_damaged(published_copy: Path) -> None:
    version = current_version(published_copy)
    (published_copy / "CURRENT").write_text("")

    assert open_version(published_copy, version).manifest.version == version


def test_folders_that_are_not_versions_are_not_listed(published_copy: Path) -> None:
    (published_copy / ".building-0123").mkdir()
    (published_copy / ".building-0123" / "manifest.json").write_text("{}")
    (published_copy / "notes").mkdir()

    assert versions(published_copy) == [current_version(published_copy)]


def test_a_version_copied_to_another_name_is_not_listed(published_copy: Path) -> None:
    shutil.copytree(version_folder(published_copy), published_copy / "backup")

    assert versions(published_copy) == [current_version(published_copy)]


def test_a_models_folder_may_be_moved(published_copy: Path, tmp_path: Path) -> None:
    moved = published_copy.rename(tmp_path / "elsewhere")

    assert open_current(moved).manifest.version == current_version(moved)


def test_arrays_that_are_not_contiguous_are_published_with_equal_content(
    trained: Trained, tmp_path: Path
) -> None:
    model = trained.model
    striped = replace(model.neighbors, rows=np.asfortranarray(model.neighbors.rows))

    publish(replace(model, neighbors=striped), tmp_path)

    assert np.array_equal(open_current(tmp_path).neighbors.rows, model.neighbors.rows)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256"])
def test_an_altered_manifest_of_an_older_version_is_refused(published_copy: Path, name: str) -> None:
    older = version_folder(published_copy)
    (published_copy / "CURRENT").unlink()
    path = older / name
    content = path.read_bytes()
    path.write_bytes((b"0" if content[:1] != b"0" else b"1") + content[1:])

    with pytest.raises(ArtifactError, match=r"json does not match .* in .*manifest\.sha256: restore"):
        open_version(published_copy, older.name)


def test_reports_of_refused_models_are_stored_beside_the_versions(
    trained: Trained, published_copy: Path
) -> None:
    before = (published_copy / "CURRENT").read_bytes()

    paths = [keep_refused('{"reasons": []}\n', trained.model, published_copy, now=NOW) for _ in range(2)]

    (version,) = versions(published_copy)
    assert [path.name for path in paths] == [f"{version}.json", f"{version}-2.json"]
    assert {path.read_text() for path in paths} == {'{"reasons": []}\n'}
    assert (published_copy / "CURRENT").read_bytes() == before
    assert open_current(published_copy).manifest.version == version


def test_a_report_that_cannot_be_written_is_an_error(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ArtifactError, match="cannot write the report to "):
        keep_refused("{}", trained.model, tmp_path / "file")


def test_a_manifest_from_before_the_gate_is_read(published: Path) -> None:
    manifest = open_current(published).manifest

    before = manifest.model_dump_json(exclude={"gate", "evaluation"})

    assert "gate" not in json.loads(before)
    assert Manifest.model_validate_json(before) == manifest


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("name", ["CURRENT", "manifest.json", "manifest.sha256", "neighbors.rows.npy"])
@pytest.mark.parametrize(
    "put",
    [link_to("/dev/zero"), link_to("/dev/stdin"), os.mkfifo, Path.mkdir, link_to("nowhere"), link_to("/etc")],
    ids=["device", "terminal", "fifo", "folder", "dangling link", "link to a folder"],
)
def test_only_regular_files_are_opened(
    published_copy: Path, name: str, put: Callable[[Path], None], *, verify: bool
) -> None:
    path = (published_copy if name == "CURRENT" else version_folder(published_copy)) / name
    path.unlink()
    put(path)

    with pytest.raises(ArtifactError, match=re.escape(name)):
        open_current(published_copy, verify=verify)


def test_a_learned_digest_is_used_for_as_long_as_the_file_is_the_same(
    published_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = version_folder(published_copy) / "neighbors.rows.npy"
    os.mkfifo(path.with_name("fifo"))  # must not stop it
    learn_digests(path.parent)
    path.with_name("fifo").unlink()
    content, times = path.read_bytes(), path.stat()
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)  # nothing can be read again
        open_current(published_copy)

    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert f"{path} was altered after publishing" in refusal(published_copy)


def test_a_link_to_a_regular_file_is_refused(published_copy: Path, tmp_path: Path) -> None:
    path = version_folder(published_copy) / "neighbors.rows.npy"
    path.symlink_to(shutil.move(path, tmp_path / "rows.npy"))

    assert f"{path}: it is not a regular file" in refusal(published_copy)


def changed(record: Any, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Return a copy of a dataclass with one array changed, by its dotted name."""
    first, _, rest = name.partition(".")
    value = getattr(record, first)
    return replace(record, **{first: changed(value, rest, change) if rest else change(value.copy())})


def with_last(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.reshape(-1)[-1] = value
        return array

    return change


def swapped(array: np.ndarray) -> np.ndarray:
    array[1], array[2] = array[2] + 1, array[1]
    return array


OFFSETS = [name for name in (file.removesuffix(".npy") for file in ARRAYS) if name.endswith("offsets")]
ROWS = [
    *("neighbors.rows", "copies.first", "corrections.nearest", "vectors.columns", "vectors.term_rows"),
    "title_words.rows",
    *(
        "corrections.expansion_rows",
        "topic_space.first",
        "articles.newest",
        "articles.url_rows",
        "vocabulary.latent_terms",
    ),
    *("articles.tags.codes", "articles.authors.codes", "articles.categories.codes"),
    *("articles.category.codes", "articles.types.codes", "articles.langs.codes"),
]
UNBOUND = {"articles.published", "articles.updated", "articles.minutes"}


@pytest.mark.parametrize("value", [-2, 10**6, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("name", ROWS)
def test_a_row_or_code_out_of_range_is_named(trained: Trained, name: str, value: int) -> None:
    fault = fault_of(changed(trained.model, name, with_last(value)))

    assert fault.startswith(f"{name} contains {value}, which is not from ")


@pytest.mark.parametrize("change", [with_last(10**6), swapped, lambda array: array + 1])
@pytest.mark.parametrize("name", OFFSETS)
def test_offsets_that_do_not_ascend_are_named(trained: Trained, name: str, change: Any) -> None:
    model = trained.model
    if len(dict(arrays_of(model))[name]) > 3:
        assert fault_of(changed(model, name, change)).startswith(f"{name} does not ascend from 0 to ")


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda array: array[:-1], lambda array: array.astype("S9")])
def test_every_array_of_another_length_or_type_is_a_fault(trained: Trained, change: Any) -> None:
    for name, array in arrays_of(trained.model):
        if len(array):
            assert fault_of(changed(trained.model, name, change)), name


def test_a_trained_model_has_no_fault_and_every_array_of_rows_is_checked(trained: Trained) -> None:
    integers = {name for name, array in arrays_of(trained.model) if array.dtype.kind == "i"}

    assert fault_of(trained.model) == ""
    assert integers - UNBOUND == {*ROWS, *OFFSETS}


def test_a_version_with_a_row_out_of_range_is_refused(trained: Trained, tmp_path: Path) -> None:
    publish(changed(trained.model, "neighbors.rows", with_last(10**6)), tmp_path, now=NOW)

    for verify in (True, False):
        with pytest.raises(ArtifactError, match=r"neighbors\.rows contains 1000000.*restore"):
            open_current(tmp_path, verify=verify)
