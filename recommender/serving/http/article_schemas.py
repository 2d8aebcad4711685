"""The schema of an article that the CMS sends: its fields and their JSON types.

`recommender.fields` parses the content of the fields, such as dates and URLs.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from recommender.fields import RefusedError
from recommender.serving.http.parameters import ID_ALLOWED, VECTOR_ALLOWED
from recommender.visibility import PUBLIC, SCHEDULED


def _string_schema(pattern: str) -> dict[str, Any]:
    """Return the JSON schema of a string that matches a pattern, or null."""
    return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "null"}]}


_Text = Annotated[str | None, Field(description="a string, plain or HTML")]
_Name = Annotated[str | None, Field(description="a string")]
_Names = Annotated[
    list[str | None] | str | None,
    Field(description="a list of strings, or a string with | between items"),
]
_Time = Annotated[
    str | None,
    Field(description="an ISO 8601 date or time, such as 2025-04-24T05:40:00Z"),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"const": ""}, {"type": "null"}]}),
]
_Url = Annotated[
    str | None,
    Field(
        description="an http or https URL, or a path that begins with /",
        json_schema_extra=_string_schema(r"^\s*($|[Hh][Tt][Tt][Pp][Ss]?://[^\s/]|/)"),
    ),
]


class SentArticle(BaseModel):
    """An article; it needs a title or a body. If `updated_at` is missing, the current time is used."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    id: Annotated[int | str | None, Field(description=ID_ALLOWED)] = None
    title: _Text = None
    body: _Text = None
    url: _Url = None
    category: Annotated[str | None, Field(description="the primary category, a string")] = None
    categories: _Names = None
    tags: _Names = None
    authors: _Names = None
    type: _Name = None
    published_at: _Time = None
    updated_at: _Time = None
    lang: Annotated[
        str | None,
        Field(
            description="a language code such as 'en'",
            json_schema_extra=_string_schema(r"^\s*($|[A-Za-z]{2,3}([-_]|\s*$))"),
        ),
    ] = None
    image_url: _Url = None
    vector: Annotated[list[float] | None, Field(description=VECTOR_ALLOWED)] = None
    status: Annotated[
        str | None,
        Field(
            description="'publish', or 'future' with a published_at; drafts are rejected",
            json_schema_extra={
                "anyOf": [{"type": "string", "enum": sorted(PUBLIC | SCHEDULED)}, {"type": "null"}]
            },
        ),
    ] = None
    post_password: Annotated[
        str | None, Field(max_length=0, description="an empty string; articles with a password are rejected")
    ] = None


def check_types(values: dict[str, Any]) -> None:
    """Check the names and types of an article's fields. Raises RefusedError for the first invalid field."""
    try:
        SentArticle.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)[0]
        name = str(details["loc"][0])[:100]
        field = SentArticle.model_fields.get(name)
        if field is None:
            known = ", ".join(SentArticle.model_fields)
            raise RefusedError(f"{name}: unknown field", f"allowed fields: {known}") from None
        raise RefusedError(f"{name}: wrong type", field.description or "") from None
