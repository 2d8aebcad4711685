"""Editorial rules as they are written: what editors pin, keep out, prefer and limit, checked field by field.

Articles are named by id, sections by name or slug; whether they exist is not asked, for they may come later.
"""

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from recommender.article_id import BodyArticleId

LEAST_FACTOR, GREATEST_FACTOR = 0.1, 10.0  # also of all boosts of one article together
MAX_SHOWN_CHARS = 100

_KINDS = "'pin', 'block', 'sensitive', 'boost' or 'cap'"
_LAST = ("reason", "author", "from", "until")  # of a rule as people read it


@dataclass(frozen=True, slots=True)
class RuleFault:
    """One wrong value: of which rule (its id, or its place), in which field, and what is allowed there."""

    rule: str
    field: str
    value: str | None  # None: missing
    allowed: str

    def __str__(self) -> str:
        """Return the fault in one line."""
        what = "is missing" if self.value is None else f"is {self.value[:MAX_SHOWN_CHARS]!r}"
        return f"{self.rule}: {self.field} {what}; allowed: {self.allowed}"


class RulesError(ValueError):
    """Rules that cannot be taken. `faults` holds every wrong value; empty where there was nothing to read."""

    def __init__(self, message: str, faults: Sequence[RuleFault] = ()) -> None:
        super().__init__("\n".join([message, *map(str, faults)]))
        self.faults = tuple(faults)


def _moment(value: object) -> object:
    """Read an aware moment, of TOML or as ISO 8601; one without an offset might mean any zone."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(read, datetime) or read.tzinfo is None:
        raise ValueError(value)
    return read.astimezone(UTC)


def _text(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


_IDS = "a list of 1 to 1000 ids of articles"
_Ids = Annotated[
    tuple[BodyArticleId, ...], Field(min_length=1, max_length=1000, strict=False, description=_IDS)
]
_MOMENT = "a moment with its offset, such as 2026-11-03T18:00:00Z"
_Moment = Annotated[datetime, BeforeValidator(_moment)]
_Name = Annotated[
    str, BeforeValidator(_text), Field(min_length=1, max_length=200, description="1 to 200 characters")
]
_Text = Annotated[
    str, BeforeValidator(_text), Field(min_length=1, max_length=1000, description="1 to 1000 characters")
]
RuleId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$",
        description="1 to 100 of the characters A-Z a-z 0-9 . _ -, the first no dot",
    ),
]
_SECTION = "the name or slug of a section"
_Section = Annotated[_Name, Field(description=_SECTION)]
_Factor = Annotated[
    float,
    Field(ge=LEAST_FACTOR, le=GREATEST_FACTOR, allow_inf_nan=False, description="a number from 0.1 to 10"),
]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: RuleId
    reason: _Text
    author: _Name  # who wrote the rule
    begins: Annotated[_Moment | None, Field(alias="from", description=_MOMENT)] = None
    until: Annotated[_Moment | None, Field(description=_MOMENT)] = None

    @model_validator(mode="after")
    def _check_time(self) -> Self:
        if self.begins is not None and self.until is not None and self.until <= self.begins:
            raise _wrong("until", "a moment after `from`")
        return self

    @field_serializer("begins", "until", when_used="json-unless-none")
    def _iso(self, moment: datetime) -> str:
        return moment.isoformat().replace("+00:00", "Z")

    def acts(self, now: datetime) -> bool:
        """Tell whether the rule acts at a moment: from `from` on, until just before `until`."""
        return (self.begins is None or self.begins <= now) and (self.until is None or now < self.until)

    def as_json(self) -> dict[str, Any]:
        """Return the rule as HTTP and the database hold it: what is not set is left out."""
        told = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        first = {name: told.pop(name) for name in ("id", "kind")}
        last = {name: told.pop(name) for name in _LAST if name in told}
        return first | told | last


class _Placed(_Rule):
    """A rule that acts in the lists of one article, of one section, or everywhere."""

    for_article: Annotated[BodyArticleId | None, Field(description="the id of an article")] = None
    for_section: Annotated[_Section | None, Field(description=_SECTION)] = None

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.for_article is not None and self.for_section is not None:
            raise _wrong("for_section", "only one of for_article and for_section")
        return self


class Pin(_Placed):
    """These articles come first, in this order."""

    kind: Literal["pin"]
    articles: _Ids


class Block(_Placed):
    """These articles do not appear."""

    kind: Literal["block"]
    articles: _Ids


class Sensitive(_Rule):
    """These articles are in no list."""

    kind: Literal["sensitive"]
    articles: _Ids


class Boost(_Rule):
    """The scores of these articles, or of those in a section or by an author, are multiplied."""

    kind: Literal["boost"]
    articles: Annotated[_Ids | None, Field(description=_IDS)] = None
    in_section: Annotated[_Section | None, Field(description=_SECTION)] = None
    by_author: Annotated[_Name | None, Field(description="the name of an author of articles")] = None
    factor: _Factor

    @model_validator(mode="after")
    def _check_target(self) -> Self:
        if [self.articles, self.in_section, self.by_author].count(None) != 2:  # noqa: PLR2004 all but one
            raise _wrong("articles", "exactly one of articles, in_section and by_author")
        return self


class Cap(_Rule):
    """A list holds at most so many articles of one section, or of one author."""

    kind: Literal["cap"]
    per: Annotated[Literal["section", "author"], Field(description="'section' or 'author'")]
    at_most: Annotated[int, Field(ge=1, le=50, description="a whole number from 1 to 50")]


Rule = Pin | Block | Sensitive | Boost | Cap


def read_rule(given: object, name: str) -> Rule:
    """Return a rule out of JSON or TOML; faults call it by its id, or else by `name`. Raises RulesError."""
    called = given.get("id") if isinstance(given, dict) else None
    called = f"rule {called[:MAX_SHOWN_CHARS]!r}" if isinstance(called, str) else name
    try:
        return _RULE.validate_python(given)
    except ValidationError as error:
        found = [_fault(called, given, each) for each in error.errors(include_url=False)]
        by_field = {fault.field: fault for fault in reversed(found)}  # the first of each
        raise RulesError("not a rule", list(reversed(by_field.values()))) from None


def read_set(given: Sequence[object]) -> tuple[Rule, ...]:
    """Return rules of distinct ids in the order given. Raises RulesError with the faults of all of them."""
    rules: dict[str, Rule] = {}
    faults: list[RuleFault] = []
    for number, each in enumerate(given, 1):
        try:
            rule = read_rule(each, f"rule {number}")
        except RulesError as error:
            faults += error.faults
            continue
        if rule.id in rules:
            faults.append(RuleFault(f"rule {number}", "id", rule.id, "an id that no other rule has"))
        rules[rule.id] = rule
    if faults:
        raise RulesError(_counted(len(faults)), faults)
    return tuple(rules.values())


def read_file(path: str | Path) -> tuple[Rule, ...]:
    """Return the rules of a TOML file, each a `[[rule]]`. Raises RulesError with all faults."""
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RulesError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesError(f"{path} is not TOML: {error}") from None
    faults = [RuleFault("the file", name, _shown(given[name]), "rule") for name in given if name != "rule"]
    rules: tuple[Rule, ...] = ()
    tables = given.get("rule", [])
    if not isinstance(tables, list):
        faults.append(RuleFault("the file", "rule", _shown(tables), "[[rule]], a table for each rule"))
        tables = []
    try:
        rules = read_set(tables)
    except RulesError as error:
        faults += error.faults
    if faults:
        raise RulesError(f"{path}: {_counted(len(faults))}", faults)
    return rules


def to_json(rule: Rule) -> str:
    """Return a rule as the database keeps it; equal rules are equal strings."""
    return json.dumps(rule.as_json(), ensure_ascii=False, separators=(",", ":"))


def read_stored(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Return the rules of the database, given as ids and JSON, and the ids of those that nobody can read.

    Such a rule was written by another version of the program.
    """
    rules: list[Rule] = []
    unread: list[str] = []
    for rule_id, text in pairs:
        try:
            rules.append(read_rule(json.loads(text), rule_id))
        except ValueError:
            unread.append(rule_id)
    return tuple(rules), tuple(unread)


_RULE: TypeAdapter[Rule] = TypeAdapter(Annotated[Rule, Field(discriminator="kind")])
_KIND_OF: dict[str, type[_Rule]] = {
    "pin": Pin,
    "block": Block,
    "sensitive": Sensitive,
    "boost": Boost,
    "cap": Cap,
}


def _wrong(field: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{allowed}", {"field": field, "allowed": allowed})


def _fault(called: str, given: object, error: Any) -> RuleFault:
    """Return what pydantic found as a fault of ours."""
    if not isinstance(given, dict):
        return RuleFault(called, "rule", _shown(given), "a table of fields")
    if not error["loc"]:
        return RuleFault(called, "kind", _shown(given["kind"]) if "kind" in given else None, _KINDS)
    if error["type"] == "rule":
        field, allowed = error["ctx"]["field"], error["ctx"]["allowed"]
        return RuleFault(called, field, _shown(given[field]) if field in given else None, allowed)
    kind, name = error["loc"][0], str(error["loc"][1])
    fields = {field.alias or own: field for own, field in _KIND_OF[kind].model_fields.items()}
    missing = error["type"] == "missing"
    allowed = fields[name].description if name in fields else f"one of {', '.join(fields)}"
    return RuleFault(called, name, None if missing else _shown(error["input"]), allowed or _KINDS)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _counted(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"
