"""The settings of the service: everything that may differ from one machine to the next."""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "RECOMMENDER_"


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
    site_name: Annotated[str, Field(min_length=1, max_length=100, description="1 to 100 characters")] = (
        "Newsroom"
    )
    verify: Annotated[bool, Field(description="true or false")] = True  # hash the model before opening it
    model_retry_seconds: Annotated[float, Field(ge=0, le=3600, description="a number from 0 to 3600")] = 1.0
    stale_after_hours: Annotated[float, Field(gt=0, description="a number above 0")] = 48.0  # of the model

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Return the settings of this environment, `given` ones first. Raises SettingsError."""
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            allowed = cls.model_fields[name].description if name in cls.model_fields else "no such setting"
            shown = repr(str(first["input"])[:100])
            raise SettingsError(f"{PREFIX}{name.upper()} is {shown}; allowed: {allowed}") from None

    def export(self) -> None:
        """Put these settings into the environment, for the worker processes that inherit it."""
        for name, value in self.model_dump(mode="json").items():
            os.environ[f"{PREFIX}{name.upper()}"] = str(value)
