"""`recommender key` prints a key and its setting."""

import re

import pytest
from click.testing import CliRunner

from recommender.cli import cli
from recommender.settings import Settings


def test_the_printed_line_is_a_setting_for_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = CliRunner().invoke(cli, ["key", "cms", "--scopes", "events"]).output

    key, name, value = re.fullmatch(r"key: (\S+)\n(RECOMMENDER_WRITE_KEYS)=(\S+)\n", printed).groups()  # type: ignore[union-attr]
    monkeypatch.setenv(name, value)
    assert Settings.read().write_keys == (value,)
    assert key not in value


def test_a_read_only_key_is_a_setting_of_the_read_keys() -> None:
    assert (
        "\nRECOMMENDER_READ_KEYS=desk:" in CliRunner().invoke(cli, ["key", "desk", "--scopes", "read"]).output
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a:b"], "'a:b' is not a valid key name"),
        (["cms", "--scopes", "events+all"], "'all' is not one of articles, rules, events, read"),
    ],
)
def test_an_invalid_name_or_scope_is_rejected(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["key", *arguments])

    assert (done.exit_code, message in done.output) == (2, True)
