"""The settings of the service: everything that may differ from one machine to the next."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, IPvAnyNetwork, PlainSerializer, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "RECOMMENDER_"
FILE_VARIABLE = f"{PREFIX}SETTINGS"

# Defaults for counting events; the store has the same. A visitor counts once per article in a visitor window;
# 98 % of a portal's visitors make one request in four days.
VISITOR_WINDOW_MINUTES = 360
SOURCE_WINDOW_MINUTES = 30
SOURCE_CAP = 3


def _words(value: object) -> object:
    """Split a list as the environment holds it, at spaces and commas."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _joined(value: tuple[object, ...]) -> str:
    return " ".join(str(each) for each in value)


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


_List = (NoDecode, BeforeValidator(_words), PlainSerializer(_joined))
_KEY = r"^[A-Za-z0-9._-]{1,64}:[0-9a-f]{64}:"
_SCOPE = "(articles|rules|events|read)"
_WriteKey = Annotated[str, Field(pattern=rf"{_KEY}{_SCOPE}(\+{_SCOPE})*$")]
_ReadKey = Annotated[str, Field(pattern=rf"{_KEY}read$")]
_Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.:\[\]-]+$")]
_Rate = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}/(second|minute|hour)$")]
_Weight = Annotated[str, Field(pattern=r"^(view|click|share|comment|like)=[0-9]{1,4}(\.[0-9]{1,3})?$")]
_HalfLife = Annotated[str, Field(pattern=r"^(1h|24h|7d)=[1-9][0-9]{0,4}$")]
_RATE = "a number per second, minute or hour, such as 100/second"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable, its value and what is allowed."""


class Settings(BaseSettings):
    """Read from the environment, each name in capitals behind `RECOMMENDER_`; an empty variable is unset.

    `RECOMMENDER_SETTINGS` may name a file in TOML that holds settings, too, each by its own name. What is
    given to the constructor wins over the environment, and that over the file. A field's description says
    what it allows.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, protected_namespaces=()
    )

    models_dir: Annotated[Path, Field(description="a folder")] = Path("models")
    host: Annotated[str, Field(min_length=1, description="an address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="a whole number from 1 to 65535")] = 8000
    workers: Annotated[int, Field(ge=1, le=256, description="a whole number from 1 to 256")] = 1
    max_body_bytes: Annotated[
        int, Field(ge=1, le=1 << 30, description="a whole number from 1 to 1073741824")
    ] = 1 << 20  # of a request
    max_batch_bytes: Annotated[
        int, Field(ge=1, le=1 << 30, description="a whole number from 1 to 1073741824")
    ] = 32 << 20  # of a batch of articles, sent with a key
    site_name: Annotated[str, Field(min_length=1, max_length=100, description="1 to 100 characters")] = (
        "Newsroom"
    )
    verify: Annotated[bool, Field(description="true or false")] = True  # hash the model before opening it
    model_retry_seconds: Annotated[float, Field(ge=0, le=3600, description="a number from 0 to 3600")] = 1.0
    stale_after_hours: Annotated[float, Field(gt=0, description="a number above 0")] = 48.0  # of the model
    database_url: Annotated[
        str,
        Field(
            min_length=1,
            repr=False,  # it may hold a password
            description="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
        ),
    ] = "sqlite:///recommender.db"
    state_file: Annotated[Path, Field(description="a file")] = Path("recommender-state.json")
    live_poll_seconds: Annotated[float, Field(ge=0, le=60, description="a number from 0 to 60")] = (
        0.3  # between looks at what other workers have changed; 0: none
    )
    rules_file: Annotated[Path | None, Field(description="a file in TOML")] = None
    visitor_window_minutes: Annotated[
        int, Field(ge=1, le=1440, description="a whole number from 1 to 1440")
    ] = VISITOR_WINDOW_MINUTES
    source_window_minutes: Annotated[
        int, Field(ge=1, le=1440, description="a whole number from 1 to 1440")
    ] = SOURCE_WINDOW_MINUTES
    # How many readers of one article an address stands for in that window, at most, by type of event.
    source_cap: Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")] = (
        SOURCE_CAP
    )

    event_weights: Annotated[
        tuple[_Weight, ...],
        *_List,
        Field(description="such as view=1 share=5, apart by spaces; view, click, share, comment, like"),
    ] = ()  # what is not named weighs what it does by default
    trending_half_lives: Annotated[
        tuple[_HalfLife, ...],
        *_List,
        Field(description="such as 1h=12 7d=1680, apart by spaces: of windows 1h, 24h, 7d, in minutes"),
    ] = ()  # likewise

    purge_url: Annotated[
        str | None,
        Field(
            pattern=r"^(https?|file)://.",
            repr=False,  # it may hold a password
            description="an address such as https://cache.example/purge, or file:///var/cache/nginx/recommender",
        ),
    ] = None  # of the shared cache, told of each change what to forget
    purge_header: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9-]+: ?[!-~][ -~]*$", repr=False, description="such as Fastly-Key: secret"),
    ] = None  # sent along
    cache_bytes: Annotated[
        int, Field(ge=0, le=1 << 34, description="a whole number from 0 to 17179869184")
    ] = 12 << 20  # of answers that a worker keeps; 0: none
    # Keys are hidden: who sets one itself in place of its digest shall not read it in a log.
    write_keys: Annotated[
        tuple[_WriteKey, ...],
        *_List,
        Field(repr=False, description="name:sha256:scopes, several apart by spaces; see `recommender key`"),
    ] = ()
    read_keys: Annotated[
        tuple[_ReadKey, ...],
        *_List,
        Field(repr=False, description="name:sha256:read, several apart by spaces; see `recommender key`"),
    ] = ()
    trusted_proxies: Annotated[
        tuple[IPvAnyNetwork, ...],
        *_List,
        Field(description="addresses or networks such as 10.0.0.0/8, apart by spaces"),
    ] = ()
    event_origins: Annotated[
        tuple[_Origin, ...], *_List, Field(description="such as https://www.example.com, apart by spaces")
    ] = ()
    cors_origins: Annotated[
        tuple[_Origin, ...], *_List, Field(description="such as https://www.example.com, apart by spaces")
    ] = ()  # whose pages may read; none named: all
    demo: Annotated[bool | None, Field(description="true or false")] = None  # unless reading needs a key
    drop_in: Annotated[
        tuple[Literal["yarpp", "jetpack", "parsely", "gorse"], ...],
        *_List,
        Field(description="of yarpp, jetpack, parsely, gorse, apart by spaces"),
    ] = ()  # services whose calls are answered, too
    # Tells readers without a visitor_id apart for a day, by address and browser.
    daily_visitor_hash: Annotated[bool, Field(description="true or false")] = False
    key_limit: Annotated[_Rate, Field(description=_RATE)] = "1000/second"  # of one key in one worker
    # Of an address without a key: requests that write, and the events in them.
    address_limit: Annotated[_Rate, Field(description=_RATE)] = "100/second"
    address_event_limit: Annotated[_Rate, Field(description=_RATE)] = "6000/minute"
    address_read_limit: Annotated[_Rate, Field(description=_RATE)] = "1000/second"
    # Of an address or a key: lists and searches for which the whole corpus is scored. So many of them are
    # made at once in a worker, and so many wait for that; the others are sent away.
    scoring_limit: Annotated[_Rate, Field(description=_RATE)] = "100/second"
    scoring_at_once: Annotated[int, Field(ge=1, le=16, description="a whole number from 1 to 16")] = 2
    scoring_queue: Annotated[int, Field(ge=0, le=16, description="a whole number from 0 to 16")] = 16

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 there are none, nor secrets
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, the strongest first."""
        file = _settings_file()
        if file is None:
            return init_settings, env_settings
        _read_toml(file)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Return the settings of this environment, `given` ones first. Raises SettingsError."""
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            field = cls.model_fields.get(name)
            allowed = field.description if field else "no such setting"
            shown = repr(str(first["input"])[:100]) if field is None or field.repr else "wrong"
            raise SettingsError(f"{_told(name, given)} is {shown}; allowed: {allowed}") from None

    @property
    def weight_of(self) -> dict[str, float]:
        """The weights of types of events that are set."""
        return {name: float(value) for name, value in map(_pair, self.event_weights)}

    @property
    def half_life_of(self) -> dict[str, float]:
        """The half-lives of windows that are set, in minutes."""
        return {name: float(value) for name, value in map(_pair, self.trending_half_lives)}

    @property
    def has_demo(self) -> bool:
        """Whether there is a demo: if nothing is said of it, where everybody may read."""
        return not self.read_keys if self.demo is None else self.demo

    def export(self) -> None:
        """Put these settings into the environment, for the worker processes that inherit it."""
        for name, value in self.model_dump(mode="json").items():
            os.environ[f"{PREFIX}{name.upper()}"] = "" if value is None else str(value)


def write_half_life(path: str | Path, window: str, minutes: float) -> None:
    """Put the half-life of a window into a file of settings, which may not exist yet; all else in it stays.

    Raises SettingsError where the file cannot be read or written, or has the setting over several lines.
    """
    path, name = Path(path), "trending_half_lives"
    known = _read_toml(path) if path.exists() else {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    words: Any = _words(known.get(name, ()))
    half_life_of = dict(map(_pair, words)) | {window: f"{minutes:g}"}
    line = f'{name} = "{" ".join("=".join(pair) for pair in half_life_of.items())}"'
    changed, found = re.subn(rf"(?m)^{name}[ \t]*=.*$", line, text)
    try:
        tomllib.loads(changed)
        path.write_text(changed if found else f"{line}\n{text}", encoding="utf-8")
    except tomllib.TOMLDecodeError:
        raise SettingsError(f"{path} has {name} over several lines; put it on one, as {line}") from None
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}") from error


def _settings_file() -> Path | None:
    named = os.environ.get(FILE_VARIABLE)
    return Path(named) if named else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}, a file of settings, cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}") from error


def _told(name: str, given: dict[str, Any]) -> str:
    """Return what to call a setting: by its name in the file, where it is from there."""
    variable, file = f"{PREFIX}{name.upper()}", _settings_file()
    if file is None or name in given or os.environ.get(variable) or name not in _read_toml(file):
        return variable
    return f"{name} in {file}"
