"""Schemas of query parameters and request bodies.

The description of a field says which values are allowed; errors and the OpenAPI document show it.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, get_origin
from urllib.parse import parse_qsl, quote

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import from_json

from recommender.article import Article, check_id, moment
from recommender.article_id import ArticleId
from recommender.given_vectors import MOST_NUMBERS, GivenVector, VectorError
from recommender.serving.http.problems import Fault, Place, Problem, bad_body, bad_parameter
from recommender.serving.lists.query import ANY, DIVERSITY, FRESHNESS, Dedupe, ListQuery, Mode
from recommender.text import detect_language, language_code, plain_text

MAX_FIELDS = 1000  # of a query string
MAX_URL_CHARS = 4096
MAX_QUERY_CHARS = 200
_CHARS_OF_A_LIST = 1000  # of a text; so many cost about as much as a plain list
RELATED_SUFFIX, TRENDING_SUFFIX = "/related", "/trending"  # of the path of an article
_ENDPOINT_OF_SUFFIX = {RELATED_SUFFIX: "/v1/related", TRENDING_SUFFIX: "/v1/trending/rank"}
ANY_TIME = datetime(9000, 1, 1, tzinfo=UTC)  # a filter may be any date in the future
_INT64 = np.iinfo(np.int64)
_TEXT_ID = "-"  # an Article needs an id, but a text has none

_SHARE_ALLOWED = "a number from 0 to 1 with at most two decimals"
_LIMIT_ALLOWED = "a whole number from 1 to 50"
_NAMES_ALLOWED = "the name or slug of a category; may be repeated"
_DATE_ALLOWED = "an ISO 8601 date or time, such as 2025-04-24T05:40:00Z"
_QUERY_ALLOWED = "1 to 200 characters; the last word may be incomplete"
VECTOR_ALLOWED = f"a list of 1 to {MOST_NUMBERS} finite numbers that are not all 0"
ID_ALLOWED = "an article's id: 1-512 bytes of UTF-8, no NUL, not '.' or '..'"


def cursor_after(date: int, article_id: str) -> str:
    """Return the opaque cursor of the page after an article that was published at `date`, in microseconds."""
    return urlsafe_b64encode(f"{date} {article_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[int, str]:
    """Return the date and the article id in a cursor. Raises ValueError for any other string."""
    date, _, article_id = urlsafe_b64decode(cursor.encode("ascii")).decode().partition(" ")
    if cursor_after(int(date), check_id(article_id)) != cursor or not _INT64.min <= int(date) <= _INT64.max:
        raise ValueError(cursor)
    return int(date), article_id


def _number(value: object) -> object:
    """Parse a number from a query string; numbers from a JSON body stay unchanged."""
    if not isinstance(value, str):
        return value
    if _WHOLE.fullmatch(value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value) else value


def _share(value: object) -> object:
    """Parse a share from a query string. Raises ValueError for more than two decimals."""
    if isinstance(value, str):
        value = float(value) if _TWO_DECIMALS.fullmatch(value) else value
    if isinstance(value, float) and value != round(value, 2):
        raise ValueError(value)
    return value


def _flag(value: object) -> object:
    """Return the 0 or 1 of a JSON body as the string that a query would have."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _date(value: object) -> object:
    return moment(value, now=ANY_TIME) if isinstance(value, str) else value


def _language(value: object) -> object:
    """Return the code of a language tag, in the form in which articles have it."""
    if not isinstance(value, str) or not re.fullmatch(_LANGUAGE_TAG, value):
        return value
    return language_code(value) or value.lower()


_WHOLE = re.compile(r"[0-9]{1,9}")
_TWO_DECIMALS = re.compile(r"[01](\.[0-9]{1,2})?")
_DECIMAL = re.compile(r"[0-9]{1,9}\.[0-9]{1,20}|[0-9](\.[0-9]{1,20})?e-[0-9]{1,2}")  # such as 1e-05

# BeforeValidators come last but run first, so that the JSON schema describes the checks after them.
_Limit = Annotated[int, Field(strict=True, ge=1, le=50, description=_LIMIT_ALLOWED), BeforeValidator(_number)]
_Categories = Annotated[
    tuple[str, ...], Field(max_length=200, description=_NAMES_ALLOWED), BeforeValidator(_as_list)
]
Date = Annotated[datetime, Field(strict=True), BeforeValidator(_date)]
_Cursor = Annotated[tuple[int, str], WithJsonSchema({"type": "string"}), BeforeValidator(read_cursor)]
_Days = Annotated[float, Field(strict=True, ge=0, le=36525), BeforeValidator(_number)]
_Score = Annotated[float, Field(strict=True, ge=0, le=1), BeforeValidator(_number)]
_Share = Annotated[
    float,
    Field(strict=True, ge=0, le=1, description=_SHARE_ALLOWED, json_schema_extra={"multipleOf": 0.01}),
    BeforeValidator(_share),
]
_Flag = Annotated[Literal["0", "1"], BeforeValidator(_flag), Field(description="0 or 1")]
_Window = Annotated[Literal["1h", "24h", "7d"], Field(description="'1h', '24h' or '7d'")]
_Mode = Annotated[Mode, Field(description="'related', 'background' (older) or 'follow_up' (newer)")]
_LANGUAGE_TAG = "^([Aa][Nn][Yy]|[A-Za-z]{2,3}|[A-Za-z]{2}([-_][A-Za-z0-9]{2,8}){1,8})$"
_LANGUAGE_ALLOWED = "'any' or a language code such as 'en', 'pt-BR' or 'zh-Hant'"
_Lang = Annotated[
    str,
    Field(pattern=r"^(any|[a-z]{2,3}|zh-Han[st])$", json_schema_extra={"pattern": _LANGUAGE_TAG}),
    BeforeValidator(_language),
]


class Parameters(BaseModel):
    """The parameters of an endpoint; other parameters are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ArticleAddress(Parameters):
    """Names an article by `id` or by `url`."""

    id: Annotated[ArticleId | None, Field(description=ID_ALLOWED)] = None
    url: Annotated[
        str | None,
        Field(min_length=1, max_length=MAX_URL_CHARS, description="the article's URL"),
    ] = None

    def id_or_url(self) -> tuple[Literal["id", "url"], str]:
        """Return the parameter that was sent, and its value. Raises Problem unless exactly one was."""
        if self.id is not None and self.url is None:
            return "id", self.id
        if self.url is not None and self.id is None:
            return "url", self.url
        raise bad_parameter([Fault("query", "id", self.id, "exactly one of id and url")])


class Filters(Parameters):
    """The parameters of every article list."""

    limit: _Limit = 9
    category: _Categories = ()
    exclude_category: _Categories = ()
    exclude: Annotated[
        tuple[ArticleId, ...],
        Field(max_length=200, description="up to 200 article ids; may be repeated"),
        BeforeValidator(_as_list),
    ] = ()
    lang: Annotated[_Lang | None, Field(description=_LANGUAGE_ALLOWED)] = None
    max_age_days: Annotated[_Days | None, Field(description="a number from 0 to 36525")] = None
    published_before: Annotated[Date | None, Field(description=_DATE_ALLOWED)] = None
    published_after: Annotated[Date | None, Field(description=_DATE_ALLOWED)] = None
    mode: _Mode = "related"
    freshness: _Share = FRESHNESS
    diversity: _Share = DIVERSITY
    min_similarity: Annotated[_Score | None, Field(description="a number from 0 to 1")] = None
    fallback: Annotated[Literal["auto", "none"], Field(description="'auto' or 'none'")] = "auto"
    explain: _Flag = "0"
    include: Annotated[Literal["trending"] | None, Field(description="'trending'")] = None

    def query(self, unknown: Literal["404", "fallback"] = "404") -> ListQuery:
        """Return the parameters as the query of a list."""
        return ListQuery(
            limit=self.limit,
            categories=self.category,
            exclude_categories=self.exclude_category,
            exclude=self.exclude,
            lang=self.lang,
            max_age_days=self.max_age_days,
            published_before=self.published_before,
            published_after=self.published_after,
            mode=self.mode,
            freshness=self.freshness,
            diversity=self.diversity,
            min_similarity=self.min_similarity,
            fallback=self.fallback,
            explain=self.explain == "1",
            unknown=unknown,
            include_trending=self.include == "trending",
        )


class RelatedParameters(Filters):
    """The parameters of the list of an article whose id is in the path."""

    unknown: Annotated[Literal["404", "fallback"], Field(description="'404' or 'fallback'")] = "404"


class AddressedRelatedParameters(RelatedParameters, ArticleAddress):
    """The parameters of the list of an article named in the query."""


class BatchParameters(RelatedParameters):
    """The parameters of the lists of several articles."""

    id: Annotated[
        tuple[ArticleId, ...],
        Field(min_length=1, max_length=100, description="1 to 100 article ids; repeat the parameter"),
        BeforeValidator(_as_list),
    ]


class ArticlePageParameters(Parameters):
    """The parameters of the page of an article whose id is in the path."""

    related_limit: _Limit = 9
    trending_limit: _Limit = 8
    exclude_category: _Categories = ()
    dedupe: Annotated[Dedupe, Field(description="'all', 'lists' or 'none'")] = "all"
    explain: _Flag = "0"


class AddressedArticlePageParameters(ArticlePageParameters, ArticleAddress):
    """The parameters of the page of an article named in the query."""


class PaginationParameters(Parameters):
    """The parameters of a page of articles, newest first."""

    limit: _Limit = 9
    exclude_category: _Categories = ()
    cursor: Annotated[_Cursor | None, Field(description="the next_cursor of a response")] = None


class NewestParameters(PaginationParameters):
    """The parameters of the newest articles."""

    category: _Categories = ()
    updated_after: Annotated[Date | None, Field(description=_DATE_ALLOWED)] = None


class RankParameters(Parameters):
    """The parameters of the trending rank of an article whose id is in the path."""

    window: _Window = "1h"


class AddressedRankParameters(RankParameters, ArticleAddress):
    """The parameters of the trending rank of an article named in the query."""


class TrendingParameters(Parameters):
    """The parameters of the list of trending articles."""

    window: _Window = "1h"
    limit: _Limit = 8
    category: _Categories = ()
    exclude_category: _Categories = ()
    published_after: Annotated[Date | None, Field(description=_DATE_ALLOWED)] = None


class SearchParameters(Parameters):
    """The parameters of a search."""

    q: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS, description=_QUERY_ALLOWED)]
    limit: _Limit = 9
    category: _Categories = ()
    exclude_category: _Categories = ()
    lang: Annotated[_Lang, Field(description=_LANGUAGE_ALLOWED)] = ANY


class Text(Filters):
    """The body of a request for articles that are similar to a text."""

    title: Annotated[str, Field(strict=True, description="a string; title or body must contain text")] = ""
    body: Annotated[str, Field(strict=True, description="a string, plain or HTML")] = ""
    published_at: Annotated[Date | None, Field(description=_DATE_ALLOWED)] = None
    vector: Annotated[
        list[Annotated[float, Field(strict=True)]] | None,
        Field(description=f"{VECTOR_ALLOWED}; with it, title and body may be missing"),
    ] = None

    @property
    def cost(self) -> int:
        """About how much computing the list costs; see `ListQuery.cost`."""
        return self.query().cost + (len(self.title) + len(self.body)) // _CHARS_OF_A_LIST

    def article(self, vector_length: int) -> Article:
        """Return the text as an article, without HTML; the language is detected if `lang` is not set.

        `vector_length` is that of the model, 0 if it has no vectors. Raises Problem for a malformed vector,
        and if title and body contain no text, unless there is a vector that the model can use.
        """
        title, body = plain_text(self.title), plain_text(self.body)
        if not title and not body and (self.vector is None or not vector_length):
            raise bad_body([Fault("body", "title", self.title, "a title or a body that contains text")])
        lang = detect_language(f"{title}\n{body}") if self.lang in {None, ANY} else self.lang
        try:
            vector = None if self.vector is None else GivenVector.of(self.vector, vector_length)
        except VectorError as error:
            raise bad_body([Fault("body", "vector", str(error), VECTOR_ALLOWED)]) from None
        date = self.published_at
        return Article(id=_TEXT_ID, title=title, body=body, lang=lang, published_at=date, vector=vector)


AnyParameters = TypeVar("AnyParameters", bound=Parameters)


def read_query(schema: type[AnyParameters], query_string: str) -> AnyParameters:
    """Return the parameters in a raw query string of WSGI, which is bytes decoded as Latin-1.

    Raises Problem for a parameter that is unknown, repeated, out of range or not UTF-8.
    """
    given: dict[str, Any] = {}
    for name, value in _pairs(query_string):
        field = schema.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is tuple:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise bad_parameter([Fault("query", name, value, "a single value")])
        else:
            given[name] = value
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise bad_parameter(_faults(schema, error, "query")) from None


def parse_object(body: bytes, allowed: str = "a JSON object") -> dict[str, Any]:
    """Return the JSON object in a body. Raises Problem for any other body, which names what is `allowed`."""
    fault = Fault("body", "body", body[:200].decode(errors="replace"), allowed)
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem("bad-body", f"the body is not JSON: {error}", (fault,)) from None
    if not isinstance(values, dict):
        raise Problem("bad-body", "the body is not a JSON object", (fault,))
    return values


def validate_body(schema: type[AnyParameters], values: dict[str, Any]) -> AnyParameters:
    """Return the validated values of a JSON object. Raises Problem for an invalid or unknown field."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise bad_body(_faults(schema, error, "body")) from None


def utf8(raw: str, place: Place, name: str) -> str:
    """Decode a WSGI string, which is bytes decoded as Latin-1. Raises Problem if they are not UTF-8."""
    try:
        return raw.encode("latin-1").decode()
    except UnicodeError:
        shown = raw.encode("latin-1", errors="replace").decode(errors="backslashreplace")
        raise bad_parameter([Fault(place, name, shown, "percent-encoded UTF-8")]) from None


def _pairs(query_string: str) -> list[tuple[str, str]]:
    try:
        raw = parse_qsl(query_string, keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_FIELDS)
    except ValueError:
        allowed = f"at most {MAX_FIELDS} parameters"
        raise bad_parameter([Fault("query", "query string", query_string, allowed)]) from None
    return [(utf8(name, "query", "name of a parameter"), utf8(value, "query", name)) for name, value in raw]


def _faults(schema: type[Parameters], error: ValidationError, place: Place) -> list[Fault]:
    faults = []
    for details in error.errors(include_url=False, include_context=False):
        name = str(details["loc"][0])
        field = schema.model_fields.get(name)
        allowed = field.description if field else f"one of {', '.join(schema.model_fields)}"
        value = None if details["type"] == "missing" else _shown(details["input"])
        faults.append(Fault(place, name, value, allowed))
    return faults


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def id_with_slash(tail: str, endpoint: str = "/v1/article", *, check_suffix: bool = False) -> Problem:
    """Return the problem of a path with several segments, which may be an id that contains a slash.

    Its detail names the unambiguous URL of the endpoint. With `check_suffix`, `tail` may also end in
    `/related` or `/trending`; then the detail names the URL of that endpoint, too.
    """
    urls = [f"{endpoint}?id={quote(tail, safe='')}"]
    for suffix, other_endpoint in _ENDPOINT_OF_SUFFIX.items():
        if check_suffix and tail.endswith(suffix):
            urls.append(f"{other_endpoint}?id={quote(tail.removesuffix(suffix), safe='')}")
    detail = f"a path cannot contain an id with a slash; use {' or '.join(urls)}"
    return Problem("not-found", detail, (Fault("path", "id", tail, "one segment of a path"),))
