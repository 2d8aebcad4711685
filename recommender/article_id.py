"""The id of an article in requests and rules: how it is validated, and its JSON schemas."""

from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from recommender.article import MAX_ID_BYTES, check_id

ID_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES}
BODY_ID_SCHEMA: dict[str, Any] = {"anyOf": [ID_SCHEMA, {"type": "integer"}]}

# A few articles receive most of the events, so most checks repeat.
_check_id = lru_cache(maxsize=10_000)(check_id)


def _parse_id(value: object) -> object:
    """Return a valid id, an integer as its decimal digits. Raises InvalidArticleError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return _check_id(value) if isinstance(value, str) else value


# An id in a query string or a path.
ArticleId = Annotated[str, WithJsonSchema(ID_SCHEMA), BeforeValidator(_parse_id)]
# An id in a JSON body, where a CMS may send an integer.
BodyArticleId = Annotated[str, WithJsonSchema(BODY_ID_SCHEMA), BeforeValidator(_parse_id)]
