"""Settings are read from the environment and a file, and invalid ones are named."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.settings import Settings, SettingsError
from recommender.settings_file import write_half_life


def test_settings_missing_in_the_environment_have_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECOMMENDER_PORT", raising=False)

    settings = Settings.read()

    assert (settings.port, settings.max_body_bytes, settings.verify) == (8000, 1024 * 1024, True)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_MODELS_DIR", "/srv/models")
    monkeypatch.setenv("RECOMMENDER_VERIFY", "false")

    settings = Settings.read()

    assert settings.models_dir == Path("/srv/models")
    assert not settings.verify


def test_arguments_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_PORT", "9000")

    assert Settings.read(port=9001).port == 9001


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_PORT", "")

    assert Settings.read().port == 8000


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "abc", "a whole number from 1 to 65535"),
        ("PORT", "65536", "a whole number from 1 to 65535"),
        ("WORKERS", "0", "a whole number from 1 to 256"),
        ("MAX_BODY_BYTES", "-1", "a whole number from 1 to 1073741824"),
        ("VERIFY", "perhaps", "true or false"),
        ("MODEL_RETRY_SECONDS", "nan", "a number from 0 to 3600"),
        ("STALE_AFTER_HOURS", "0", "a number above 0"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "addresses or networks such as 10.0.0.0/8, separated by spaces"),
        ("EVENT_ORIGINS", "example.com", "such as https://www.example.com, separated by spaces"),
        (
            "EVENT_WEIGHTS",
            "view",
            "view, click, share, comment, like; such as view=1 share=5, separated by spaces",
        ),
        (
            "TRENDING_HALF_LIVES",
            "1h=0",
            "minutes for 1h, 24h, 7d; such as 1h=12 7d=1680, separated by spaces",
        ),
        ("KEY_LIMIT", "0/second", "a number per second, minute or hour, such as 100/second"),
    ],
)
def test_an_invalid_value_is_rejected_in_one_line_with_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(f"RECOMMENDER_{name}", value)

    with pytest.raises(SettingsError) as refused:
        Settings.read()

    assert str(refused.value) == f"RECOMMENDER_{name} is {value!r}; allowed: {allowed}"


def test_an_unknown_setting_is_rejected() -> None:
    with pytest.raises(SettingsError, match=r"RECOMMENDER_PROT: unknown key; did you mean port\?"):
        Settings.read(prot=1)


def test_lists_are_separated_by_spaces_or_commas_and_survive_an_export(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in Settings.model_fields:  # so that the exported values are read back
        monkeypatch.setenv(f"RECOMMENDER_{name.upper()}", "")
    keys = [f"cms:{'0' * 64}:events+articles", f"cms:{'1' * 64}:rules"]
    monkeypatch.setenv("RECOMMENDER_WRITE_KEYS", ", ".join(keys))
    monkeypatch.setenv("RECOMMENDER_TRUSTED_PROXIES", "10.0.0.0/8 ::1")
    monkeypatch.setenv("RECOMMENDER_DROP_IN_EXCLUDE_CATEGORY", 'sponsored "Daily briefing"')

    settings = Settings.read()
    settings.export()

    assert settings.write_keys == tuple(keys)
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert Settings.read() == settings


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("sponsored daily-briefing", ("sponsored", "daily-briefing")),
        ("sponsored, daily-briefing", ("sponsored", "daily-briefing")),
        ('sponsored "Daily briefing"', ("sponsored", "Daily briefing")),
        ('"Food, Drink","Daily briefing"', ("Food, Drink", "Daily briefing")),
        ("Editor's-picks #ad", ("Editor's-picks", "#ad")),
        ('"The \\"Star\\"" C++', ('The "Star"', "C++")),
        ('" Anzeigen & Größen "\n🗞', ("Anzeigen & Größen", "🗞")),
        (" , ", ()),
        ('"Daily  briefing" "\u00a0Paid\u00a0content "', ("Daily briefing", "Paid content")),
    ],
)
def test_names_of_categories_may_contain_spaces(
    monkeypatch: pytest.MonkeyPatch, value: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("RECOMMENDER_DROP_IN_EXCLUDE_CATEGORY", value)

    assert Settings.read().drop_in_exclude_category == names


@pytest.mark.parametrize("value", ['"Daily briefing', '""', '"  "', "x" * 201, "\\"])
def test_an_invalid_name_of_a_category_is_rejected(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RECOMMENDER_DROP_IN_EXCLUDE_CATEGORY", value)

    with pytest.raises(
        SettingsError, match=r"RECOMMENDER_DROP_IN_EXCLUDE_CATEGORY is .*; allowed: names or slugs"
    ):
        Settings.read()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9), max_size=4))
def test_names_of_categories_survive_an_export(names: list[str]) -> None:
    names = [" ".join(name.split()) for name in names if name.split()]
    settings = Settings(drop_in_exclude_category=tuple(names))

    exported = settings.model_dump(mode="json")["drop_in_exclude_category"]

    assert Settings.read(drop_in_exclude_category=exported).drop_in_exclude_category == tuple(names)


def test_a_settings_file_may_list_names_of_categories(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('drop_in_exclude_category = ["Daily briefing", "sponsored"]')
    monkeypatch.setenv("RECOMMENDER_SETTINGS", str(file))

    assert Settings.read().drop_in_exclude_category == ("Daily briefing", "sponsored")


@pytest.mark.parametrize("value", ["a-key-in-place-of-its-digest", f"cms:{'0' * 63}:events", "cms:x:all"])
def test_an_invalid_key_is_rejected_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RECOMMENDER_WRITE_KEYS", value)

    with pytest.raises(
        SettingsError, match="RECOMMENDER_WRITE_KEYS is invalid; allowed: name:sha256"
    ) as refused:
        Settings.read()

    assert value not in str(refused.value)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file named in the environment."""
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("RECOMMENDER_SETTINGS", str(path))
    return path


def test_a_settings_file_is_read_and_the_environment_overrides_it(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    file.write_text('port = 9000\nsite_name = "Courier"\ntrending_half_lives = ["1h=10"]\n')
    monkeypatch.setenv("RECOMMENDER_PORT", "9001")

    settings = Settings.read(workers=2)

    assert (settings.port, settings.site_name, settings.workers) == (9001, "Courier", 2)
    assert settings.half_life_of == {"1h": 10}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 70000", "port in {file} is '70000'; allowed: a whole number from 1 to 65535"),
        ("prot = 1", "prot in {file}: unknown key; did you mean port?"),
        (
            "recommender_rules_fil = 1",
            "recommender_rules_fil in {file}: unknown key; did you mean rules_file?",
        ),
        ("Models-Dir = 1", "Models-Dir in {file}: unknown key; did you mean models_dir?"),
        ("zzzz = 1", "zzzz in {file}: unknown key; the keys are models_dir, models_url, host, port"),
        (
            "port",
            "{file} is not valid TOML: Expected '=' after a key in a key/value pair (at end of document)",
        ),
        (None, "cannot read the settings file {file}: No such file or directory"),
    ],
)
def test_an_error_in_a_settings_file_is_reported_with_its_path(
    file: Path, text: str | None, message: str
) -> None:
    if text is not None:
        file.write_text(text)

    with pytest.raises(SettingsError) as refused:
        Settings.read()

    assert str(refused.value).startswith(message.format(file=file))


def test_an_invalid_variable_is_not_attributed_to_the_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    file.write_text("port = 9000")
    monkeypatch.setenv("RECOMMENDER_PORT", "abc")

    with pytest.raises(SettingsError, match=r"^RECOMMENDER_PORT is 'abc'"):
        Settings.read()


def test_a_half_life_is_written_and_the_rest_of_the_file_stays(file: Path) -> None:
    write_half_life(file, "1h", 10)
    assert file.read_text() == 'trending_half_lives = "1h=10"\n'

    file.write_text('# ours\nport = 9000\ntrending_half_lives = ["7d=1000", "1h=15"]\nworkers = 3\n')
    write_half_life(file, "1h", 20)

    assert file.read_text() == '# ours\nport = 9000\ntrending_half_lives = "7d=1000 1h=20"\nworkers = 3\n'
    assert Settings.read().half_life_of == {"7d": 1000, "1h": 20}


def test_a_file_that_would_become_invalid_is_not_changed(file: Path) -> None:
    for text in ('trending_half_lives = [\n"1h=12",\n]\n', "not TOML"):
        file.write_text(text)

        with pytest.raises(SettingsError, match=r"settings\.toml"):
            write_half_life(file, "1h", 20)

        assert file.read_text() == text


def test_a_settings_file_is_replaced_at_once_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('site_name = "News"\n')
    path.chmod(0o640)
    (tmp_path / "link.toml").symlink_to(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(SettingsError, match="No space left"):
            write_half_life(path, "1h", 12)
    assert path.read_text() == 'site_name = "News"\n'
    write_half_life(tmp_path / "link.toml", "1h", 12)

    assert path.read_text() == 'trending_half_lives = "1h=12"\nsite_name = "News"\n'
    assert path.stat().st_mode & 0o777 == 0o640
    assert {file.name for file in tmp_path.iterdir()} == {"settings.toml", "link.toml"}
