"""An article as the CMS sends it: which fields it may have, and of what types of JSON.

What a field's text means, such as a date or an address, is for `recommender.fields` to read.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from recommender.fields import PUBLIC, SCHEDULED, RefusedError
from recommender.serving.http.parameters import ID_ALLOWED


def _string(pattern: str) -> dict[str, Any]:
    """Return what the document tells of a text that is to begin in some way."""
    return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "null"}]}


_Text = Annotated[str | None, Field(description="a string, plain or HTML")]
_Name = Annotated[str | None, Field(description="a string")]
_Names = Annotated[
    list[str | None] | str | None, Field(description="a list of strings, or one string with | between them")
]
_Moment = Annotated[
    str | None,
    Field(
        description="an ISO 8601 date or time, such as 2025-04-24T05:40:00Z",
    ),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"const": ""}, {"type": "null"}]}),
]
_Url = Annotated[
    str | None,
    Field(
        description="an address on the web, or a path from the root",
        json_schema_extra=_string(r"^\s*($|[Hh][Tt][Tt][Pp][Ss]?://[^\s/]|/)"),
    ),
]


class SentArticle(BaseModel):
    """An article; it needs a title or a body. Without `updated_at` it is of now."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    id: Annotated[int | str | None, Field(description=ID_ALLOWED)] = None
    title: _Text = None
    body: _Text = None
    url: _Url = None
    category: Annotated[str | None, Field(description="the primary one, a string")] = None
    categories: _Names = None
    tags: _Names = None
    authors: _Names = None
    type: _Name = None
    published_at: _Moment = None
    updated_at: _Moment = None
    lang: Annotated[
        str | None,
        Field(
            description="a language code such as 'en'",
            json_schema_extra=_string(r"^\s*($|[A-Za-z]{2,3}([-_]|\s*$))"),
        ),
    ] = None
    image_url: _Url = None
    status: Annotated[
        str | None,
        Field(
            description="'publish', or 'future' with a published_at; no draft is taken",
            json_schema_extra={
                "anyOf": [{"type": "string", "enum": sorted(PUBLIC | SCHEDULED)}, {"type": "null"}]
            },
        ),
    ] = None
    post_password: Annotated[
        str | None, Field(max_length=0, description="none: what has one is not taken")
    ] = None


def check_types(values: dict[str, Any]) -> None:
    """Check the names and the types of an article's fields. Raises RefusedError for the first wrong one."""
    try:
        SentArticle.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])[:100]
        field = SentArticle.model_fields.get(name)
        if field is None:
            known = " ".join(SentArticle.model_fields)
            raise RefusedError(f"{name}: unknown field", f"fields are {known}") from None
        raise RefusedError(f"{name}: wrong type", field.description or "") from None
