"""The settings of the service: everything that may differ from one machine to the next."""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, IPvAnyNetwork, PlainSerializer, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "RECOMMENDER_"


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

    What is given to the constructor wins over the environment. A field's description says what it allows.
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
    ] = 30  # a visitor counts once per article in it
    source_window_minutes: Annotated[
        int, Field(ge=1, le=1440, description="a whole number from 1 to 1440")
    ] = 30
    # How many readers of one article an address stands for in that window, at most.
    source_cap: Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")] = 3

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
    # Tells readers without a visitor_id apart for a day, by address and browser.
    daily_visitor_hash: Annotated[bool, Field(description="true or false")] = False
    key_limit: Annotated[_Rate, Field(description=_RATE)] = "1000/second"  # of one key in one worker
    # Of an address without a key: requests that write, and the events in them.
    address_limit: Annotated[_Rate, Field(description=_RATE)] = "100/second"
    address_event_limit: Annotated[_Rate, Field(description=_RATE)] = "6000/minute"

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
            raise SettingsError(f"{PREFIX}{name.upper()} is {shown}; allowed: {allowed}") from None

    @property
    def weight_of(self) -> dict[str, float]:
        """The weights of types of events that are set."""
        return {name: float(value) for name, value in map(_pair, self.event_weights)}

    @property
    def half_life_of(self) -> dict[str, float]:
        """The half-lives of windows that are set, in minutes."""
        return {name: float(value) for name, value in map(_pair, self.trending_half_lives)}

    def export(self) -> None:
        """Put these settings into the environment, for the worker processes that inherit it."""
        for name, value in self.model_dump(mode="json").items():
            os.environ[f"{PREFIX}{name.upper()}"] = "" if value is None else str(value)
