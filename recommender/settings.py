"""Settings of the service, from environment variables and an optional TOML file."""

import os
import re
import shlex
from pathlib import Path
from string import whitespace
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    PlainSerializer,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from recommender.printable import without_secrets
from recommender.settings_file import SettingsError, pair, read_toml, words
from recommender.unknown_key import unknown_key

__all__ = ["Settings", "SettingsError", "metrics_folder", "unknown_variables"]

PREFIX = "RECOMMENDER_"
FILE_VARIABLE = f"{PREFIX}SETTINGS"
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # of prometheus-client

# Defaults for counting events; the store has the same. A visitor counts once per article in a visitor window;
# 98 % of a portal's visitors make one request in four days.
VISITOR_WINDOW_MINUTES = 360
SOURCE_WINDOW_MINUTES = 30
SOURCE_CAP = 3


def _names(value: object) -> object:
    """Split a string as `words` does, but keep what is in double quotes together. Raises ValueError."""
    if not isinstance(value, str):
        return value
    lexer = shlex.shlex(value, posix=True)
    lexer.whitespace, lexer.whitespace_split = f"{whitespace},", True
    lexer.quotes, lexer.commenters = '"', ""
    return list(lexer)


def _collapsed(value: object) -> object:
    """Return text with single spaces between words, as in the names of articles."""
    return " ".join(value.split()) if isinstance(value, str) else value


def _quoted(names: tuple[str, ...]) -> str:
    return " ".join('"{}"'.format(re.sub(r'(["\\])', r"\\\1", name)) for name in names)


def _joined(value: tuple[object, ...]) -> str:
    return " ".join(map(str, value))


_List = (NoDecode, BeforeValidator(words), PlainSerializer(_joined))
_NameList = (NoDecode, BeforeValidator(_names), PlainSerializer(_quoted))
_CategoryName = Annotated[str, BeforeValidator(_collapsed), Field(min_length=1, max_length=200)]
_KEY = r"^[A-Za-z0-9._-]{1,64}:[0-9a-f]{64}:"
_SCOPE = "(articles|rules|events|read|admin)"
_WriteKey = Annotated[str, Field(pattern=rf"{_KEY}{_SCOPE}(\+{_SCOPE})*$")]
_ReadKey = Annotated[str, Field(pattern=rf"{_KEY}read$")]
_Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.:\[\]-]+$")]
_Rate = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}/(second|minute|hour)$")]
_Weight = Annotated[str, Field(pattern=r"^(view|click|share|comment|like)=[0-9]{1,4}(\.[0-9]{1,3})?$")]
_HalfLife = Annotated[str, Field(pattern=r"^(1h|24h|7d)=[1-9][0-9]{0,4}$")]
_Bytes = Annotated[int, Field(ge=1, le=1 << 30, description="a whole number from 1 to 1073741824")]
_Minutes = Annotated[int, Field(ge=1, le=1440, description="a whole number from 1 to 1440")]
_RATE = "a number per second, minute or hour, such as 100/second"


class Settings(BaseSettings):
    """Read from `RECOMMENDER_*` environment variables; an empty variable counts as unset.

    `RECOMMENDER_SETTINGS` may name a TOML file with further settings, under the names of the fields.
    Arguments of the constructor override the environment, and the environment overrides the file. A field's
    description lists the allowed values. The page `docs/settings.md` is made from the fields.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, protected_namespaces=()
    )

    models_dir: Annotated[Path, Field(description="a folder")] = Path("models")
    """Folder of published models."""
    models_url: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9+.-]*://.",
            repr=False,  # it may contain a password
            description="a URL such as s3://bucket/models",
        ),
    ] = None
    """Registry of models. The service copies its current version to `models_dir`, and follows it."""
    host: Annotated[str, Field(min_length=1, description="an address to listen on")] = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535, description="a whole number from 1 to 65535")] = 8000
    """Port to listen on."""
    workers: Annotated[int, Field(ge=1, le=256, description="a whole number from 1 to 256")] = 1
    """Number of worker processes. They share the memory of the model."""
    access_log: Annotated[bool, Field(description="true or false")] = False
    """Whether each response is logged, without personal data."""
    log_format: Annotated[Literal["text", "json"], Field(description="text or json")] = "text"
    """Format of the log."""
    traces_url: Annotated[
        str | None,
        # Hidden, because it may contain a password.
        Field(pattern=r"^https?://.", repr=False, description="such as http://127.0.0.1:4318/v1/traces"),
    ] = None
    """Collector to which traces are sent, by OTLP over HTTP. It needs the extra `tracing`."""
    max_body_bytes: _Bytes = 1 << 20
    """Maximum size of a request body."""
    max_batch_bytes: _Bytes = 32 << 20
    """Maximum size of a batch of articles that is sent with a key."""
    site_name: Annotated[str, Field(min_length=1, max_length=100, description="1 to 100 characters")] = (
        "Newsroom"
    )
    """Name of the site in the demo."""
    verify: Annotated[bool, Field(description="true or false")] = True
    """Whether the checksums of a model are verified when it is opened."""
    model_retry_seconds: Annotated[float, Field(ge=0, le=3600, description="a number from 0 to 3600")] = 1.0
    """Time between two attempts to open a model, after one has failed."""
    stale_after_hours: Annotated[float, Field(gt=0, description="a number above 0")] = 48.0
    """Age from which the model is reported as stale."""
    database_url: Annotated[
        str,
        Field(
            min_length=1,
            repr=False,  # it may contain a password
            description="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
        ),
    ] = "sqlite:///recommender.db"
    """Database of live articles, withdrawals, events and rules."""
    state_file: Annotated[Path, Field(description="a file")] = Path("recommender-state.json")
    """File in which each server keeps the last known withdrawals and rules, for when the database is down."""
    live_poll_seconds: Annotated[float, Field(ge=0, le=60, description="a number from 0 to 60")] = 0.3
    """Time between two checks for changes by other workers; 0 disables them, for tests with one worker."""
    rules_file: Annotated[Path | None, Field(description="a file in TOML")] = None
    """File of editorial rules. Changes are applied while the service runs."""
    visitor_window_minutes: _Minutes = VISITOR_WINDOW_MINUTES
    """Time in which a visitor counts once for an article and type of event."""
    source_window_minutes: _Minutes = SOURCE_WINDOW_MINUTES
    """Time in which `source_cap` applies."""
    source_cap: Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")] = (
        SOURCE_CAP
    )
    """Readers of one article who count per address and type of event in `source_window_minutes`."""

    event_weights: Annotated[
        tuple[_Weight, ...],
        *_List,
        Field(description="view, click, share, comment, like; such as view=1 share=5, separated by spaces"),
    ] = ()
    """Weights of events in trending. Types that are not named keep their default."""
    trending_half_lives: Annotated[
        tuple[_HalfLife, ...],
        *_List,
        Field(description="minutes for 1h, 24h, 7d; such as 1h=12 7d=1680, separated by spaces"),
    ] = ()
    """Half-lives of events in minutes, by window. Others keep the default, `1h=12 24h=240 7d=1680`."""

    purge_url: Annotated[
        str | None,
        Field(
            pattern=r"^(https?|file)://.",
            repr=False,  # it may contain a password
            description="a URL such as https://cache.example/purge, or file:///var/cache/nginx/recommender",
        ),
    ] = None
    """Shared cache that is purged on every change."""
    purge_header: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9-]+: ?[!-~][ -~]*$", repr=False, description="such as Fastly-Key: secret"),
    ] = None
    """Header of purge requests, for the key of the shared cache."""
    cache_bytes: Annotated[
        int, Field(ge=0, le=1 << 34, description="a whole number from 0 to 17179869184")
    ] = 12 << 20
    """Size of the response cache of each worker; 0 disables it."""
    # Keys are hidden: someone may set the key itself instead of its digest, and it must not appear in a log.
    write_keys: Annotated[
        tuple[_WriteKey, ...],
        *_List,
        Field(repr=False, description="name:sha256:scopes, separated by spaces; see `recommender key`"),
    ] = ()
    """Keys that may write. `recommender key` creates one."""
    read_keys: Annotated[
        tuple[_ReadKey, ...],
        *_List,
        Field(repr=False, description="name:sha256:read, separated by spaces; see `recommender key`"),
    ] = ()
    """Keys that may read. If set, reading requires a key."""
    trusted_proxies: Annotated[
        tuple[IPvAnyNetwork, ...],
        *_List,
        Field(description="addresses or networks such as 10.0.0.0/8, separated by spaces"),
    ] = ()
    """Proxies whose `X-Forwarded-For` is used."""
    event_origins: Annotated[
        tuple[_Origin, ...], *_List, Field(description="such as https://www.example.com, separated by spaces")
    ] = ()
    """Sites whose pages may send events. If empty, pages of all sites may."""
    cors_origins: Annotated[
        tuple[_Origin, ...], *_List, Field(description="such as https://www.example.com, separated by spaces")
    ] = ()
    """Sites whose pages may read. If empty, pages of all sites may."""
    demo: Annotated[bool | None, Field(description="true or false")] = None
    """Whether the start page and the demo are on. By default they are, unless reading requires a key."""
    search_snippets: Annotated[bool | None, Field(description="true or false")] = None
    """Whether `/v1/search` returns excerpts of texts. By default it does, if the demo is on."""
    drop_in: Annotated[
        tuple[Literal["yarpp", "jetpack", "parsely", "gorse"], ...],
        *_List,
        Field(description="yarpp, jetpack, parsely, gorse, separated by spaces"),
    ] = ()
    """Services whose API is emulated."""
    drop_in_exclude_category: Annotated[
        tuple[_CategoryName, ...],
        *_NameList,
        Field(
            description='names or slugs of categories, separated by spaces; names with spaces in quotes (")'
        ),
    ] = ()
    """Categories that are excluded from the lists of `drop_in`."""
    daily_visitor_hash: Annotated[bool, Field(description="true or false")] = False
    """Whether readers without a `visitor_id` are distinguished for a day, by address and browser."""
    key_limit: Annotated[_Rate, Field(description=_RATE)] = "1000/second"
    """Requests per key, in each worker."""
    address_limit: Annotated[_Rate, Field(description=_RATE)] = "100/second"
    """Requests that write, per address without a key."""
    address_event_limit: Annotated[_Rate, Field(description=_RATE)] = "6000/minute"
    """Events per address without a key."""
    address_read_limit: Annotated[_Rate, Field(description=_RATE)] = "1000/second"
    """Requests that read, per address without a key."""
    scoring_limit: Annotated[_Rate, Field(description=_RATE)] = "100/second"
    """Requests that score the whole corpus, such as texts and searches, per key or address."""
    computing_limit: Annotated[_Rate, Field(description=_RATE)] = "1000/second"
    """Cost of responses that are not cached, per key or address. A plain list costs 1."""
    connections_per_address: Annotated[
        int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")
    ] = 256
    """Connections of one address, in all workers; more are closed. Trusted proxies may have any number."""
    computing_seconds: Annotated[float, Field(gt=0, le=600, description="a number above 0, up to 600")] = 5.0
    """Time after which a response with several lists is given up."""
    scoring_at_once: Annotated[int, Field(ge=1, le=16, description="a whole number from 1 to 16")] = 2
    """Requests that score the whole corpus at the same time, in each worker."""
    scoring_queue: Annotated[int, Field(ge=0, le=16, description="a whole number from 0 to 16")] = 6
    """Requests that wait to score the whole corpus, in each worker; more are refused."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 not used
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 not used
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings, highest priority first."""
        file = _settings_file()
        if file is None:
            return init_settings, env_settings
        read_toml(file)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Return the settings of this environment with `overrides`. Raises SettingsError."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            field = cls.model_fields.get(name)
            if field is None:
                message = unknown_key(name.lower().removeprefix(PREFIX.lower()), cls.model_fields)
                raise SettingsError(f"{_source(name, overrides)}: {message}") from None
            value = repr(str(first["input"])[:100]) if field.repr else "invalid"
            raise SettingsError(
                f"{_source(name, overrides)} is {value}; allowed: {field.description}"
            ) from None

    @property
    def weight_of(self) -> dict[str, float]:
        """The weights in `event_weights`, by type of event."""
        return {name: float(value) for name, value in map(pair, self.event_weights)}

    @property
    def half_life_of(self) -> dict[str, float]:
        """The half-lives in `trending_half_lives`, by window, in minutes."""
        return {name: float(value) for name, value in map(pair, self.trending_half_lives)}

    @property
    def has_demo(self) -> bool:
        """Whether the demo is enabled; by default it is, unless reading requires a key."""
        return not self.read_keys if self.demo is None else self.demo

    @property
    def has_search_snippets(self) -> bool:
        """Whether a search returns excerpts; by default only if the demo shows the texts anyway."""
        return self.has_demo if self.search_snippets is None else self.search_snippets

    def shown(self) -> dict[str, Any]:
        """Return all settings by name, with keys, passwords and the value of the purge header masked."""
        values = self.model_dump(mode="json")
        hidden = [name for name, field in type(self).model_fields.items() if not field.repr and values[name]]
        values |= {name: without_secrets(values[name]) for name in hidden}
        name, colon, _ = (self.purge_header or "").partition(":")
        return values | {"purge_header": f"{name}: ***" if colon else None}

    def export(self, metrics_folder: str | None = None) -> None:
        """Write these settings, and the folder for metrics, to the environment, which workers inherit."""
        if metrics_folder is not None:
            os.environ[METRICS_VARIABLE] = metrics_folder
        for name, value in self.model_dump(mode="json").items():
            os.environ[f"{PREFIX}{name.upper()}"] = "" if value is None else str(value)


def metrics_folder() -> Path | None:
    """Return the folder in which the workers share their metrics; None if there is only this process."""
    return Path(folder) if (folder := os.environ.get(METRICS_VARIABLE)) else None


def unknown_variables() -> dict[str, str]:
    """Return why a variable that looks like a setting has no effect, by name."""
    setting_of = {n: n[len(PREFIX) :].lower() for n in os.environ if n.upper().startswith(PREFIX)}
    known = {*Settings.model_fields, "settings"}  # variables of the tests begin with test_
    unknown = {name: word for name, word in setting_of.items() if word not in known and word[:5] != "test_"}
    return {name: unknown_key(word, Settings.model_fields) for name, word in unknown.items()}


def _settings_file() -> Path | None:
    path = os.environ.get(FILE_VARIABLE)
    return Path(path) if path else None


def _source(name: str, overrides: dict[str, Any]) -> str:
    """Return the name of a setting in messages: the variable, or the name in the file if it is set there."""
    variable, file = f"{PREFIX}{name.upper()}", _settings_file()
    if file is None or name in overrides or os.environ.get(variable) or name not in read_toml(file):
        return variable
    return f"{name} in {file}"
