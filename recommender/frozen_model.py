"""The base class of records that are written as JSON."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable pydantic model that rejects unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
