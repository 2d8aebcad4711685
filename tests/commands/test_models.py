"""Published versions are listed, verified and rolled back to."""

from pathlib import Path

from recommender.artifact import current_version, versions
from tests.support.cli import Run


def test_versions_are_listed_and_verified(run: Run, published: Path) -> None:
    version = current_version(published)

    listed = run("models", "list", "--models-dir", published)

    assert listed.status == 0
    assert [line.split()[0] for line in listed.out.splitlines() if "current" in line] == [version]
    for named in ([], [version]):
        assert run("models", "verify", *named, "--models-dir", published).out.startswith(f"{version}: 7")
    assert run("models", "verify", "20200101T000000Z-00000000", "--models-dir", published).status == 1


def test_verify_names_the_altered_file(run: Run, published_copy: Path) -> None:
    path = published_copy / current_version(published_copy) / "articles.titles.utf8.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    for command in (["models", "verify"], ["related", "1001"]):
        ended = run(*command, "--models-dir", published_copy)

        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith(f"error: {path} was altered after publishing: restore")


def test_a_rollback_makes_the_previous_version_current(run: Run, corpus: Path) -> None:
    run("train", corpus)
    run("train", corpus)
    first, second = versions("models")

    back = run("models", "rollback")
    forth = run("models", "rollback", second)

    assert (back.status, back.out, back.err) == (0, f"{first} is now the current version\n", "")
    assert (forth.status, current_version("models")) == (0, second)


def test_a_rollback_without_an_older_version_fails(run: Run, published: Path) -> None:
    version = current_version(published)

    ended = run("models", "rollback", "--models-dir", published)

    message = f"error: nothing to roll back to: {version} is the oldest version in {published}\n"
    assert (ended.status, ended.out, ended.err) == (1, "", message)
