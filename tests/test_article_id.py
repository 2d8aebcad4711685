"""Article ids in requests: valid ids are returned as strings, and integers as their digits."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from recommender.article_id import BODY_ID_SCHEMA, ID_SCHEMA, ArticleId, BodyArticleId

QUERY, BODY = TypeAdapter[str](ArticleId), TypeAdapter[str](BodyArticleId)


@pytest.mark.parametrize("ids", [QUERY, BODY])
@pytest.mark.parametrize(("value", "article_id"), [("4711", "4711"), (4711, "4711"), ("é" * 256, "é" * 256)])
def test_a_valid_id_is_returned_as_a_string(ids: TypeAdapter[str], value: object, article_id: str) -> None:
    assert ids.validate_python(value, strict=True) == article_id


@pytest.mark.parametrize("ids", [QUERY, BODY])
@pytest.mark.parametrize("value", ["", "..", "a\0", "\ud800", "é" * 257, True, 1.5, None, ["1"]])
def test_an_invalid_id_is_rejected(ids: TypeAdapter[str], value: Any) -> None:
    with pytest.raises(ValidationError):
        ids.validate_python(value, strict=True)


def test_only_a_body_documents_integers() -> None:
    assert QUERY.json_schema() == ID_SCHEMA
    assert BODY.json_schema() == BODY_ID_SCHEMA
    assert {"type": "integer"} in BODY_ID_SCHEMA["anyOf"]
