"""The file of rules is read again when it changes; an invalid file changes nothing."""

import logging
import os
from pathlib import Path

import pytest

from recommender.serving.rules import file as file_module
from recommender.serving.rules.file import RulesFile

RULE = (
    '[[rule]]\nid = "{}"\nkind = "sensitive"\narticles = ["1"]\nreason = "asked for"\nauthor = "A. Reyes"\n'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULE.format("first"))
    return path


def ids(file: RulesFile) -> list[str]:
    return [rule.id for rule in file.rules()]


def rewrite(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.rename(path)


def test_without_a_path_there_are_no_rules() -> None:
    assert RulesFile().rules() == ()


def test_a_changed_file_is_read_again(path: Path) -> None:
    file = RulesFile(path)

    rewrite(path, RULE.format("second"))

    assert ids(file) == ["second"]


def test_a_file_overwritten_in_place_is_read_again(path: Path) -> None:
    file = RulesFile(path)

    path.write_text(RULE.format("second"))
    os.utime(path, ns=(1, 1))

    assert ids(file) == ["second"]


@pytest.mark.parametrize("text", ["[[rule]]", "no TOML", None])
def test_an_invalid_file_leaves_the_rules_unchanged(
    path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = RulesFile(path)

    if text is None:
        path.unlink()
    else:
        rewrite(path, text)

    with caplog.at_level(logging.ERROR):
        assert ids(file) == ids(file) == ["first"]
    assert len(caplog.records) == 1
    assert str(path) in str(file.fault)


def test_a_corrected_file_is_read_again(path: Path) -> None:
    file = RulesFile(path)
    rewrite(path, "[[rule]]")
    file.rules()

    rewrite(path, RULE.format("second"))

    assert ids(file) == ["second"]
    assert file.fault is None


def test_at_the_start_an_invalid_file_gives_the_last_known_rules_or_none(path: Path) -> None:
    last_known = RulesFile(path).rules()
    path.write_text("[[rule]]")

    for known in (last_known, ()):
        file = RulesFile(path, known)
        assert file.rules() == known
        assert "rule 1: kind is missing" in str(file.fault)


def test_after_an_unexpected_error_the_file_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RulesFile(path)
    rewrite(path, RULE.format("second"))
    with monkeypatch.context() as patch:
        patch.setattr(file_module, "read_file", lambda _: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            file.rules()

    assert ids(file) == ["second"]
