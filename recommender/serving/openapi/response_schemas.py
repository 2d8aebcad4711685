"""Answers, each key with its type: what the document tells of them, and tests hold them to.

No answer is made from these; they cost a request nothing.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from recommender.serving.http.problems import KINDS, MAX_SHOWN_CHARS, Place
from recommender.serving.lists.query import Source
from recommender.serving.openapi.request_bodies import AnyRule

_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Degraded = Annotated[list[str], Field(description="what is missing beside the model; empty: nothing")]
_Moment = Annotated[datetime, Field(description="in UTC")]


class Shape(BaseModel):
    """An object of an answer. It has no keys but these."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Model(Shape):
    """Which model answers."""

    version: str
    trained_at: _Moment
    stale: Annotated[bool, Field(description="whether it is older than the settings want it")]


class TermPart(Shape):
    """What a term adds to a score."""

    term: str
    contribution: float


class TopicPart(Shape):
    """What a topic adds to a score."""

    slug: str
    name: str
    contribution: float


class Why(Shape):
    """The parts of a score; they add up to it."""

    terms: Annotated[list[TermPart], Field(description="terms that both texts hold, the strongest first")]
    other_terms: float
    topics: list[TopicPart]
    other_topics: float
    feedback: Annotated[float, Field(description="by moving towards the nearest neighbour")]
    hub: Annotated[float, Field(description="for being near to everything")]
    freshness: Annotated[float, Field(description="by age")]
    boost: Annotated[float, Field(description="by an editorial rule")]


class Card(Shape):
    """An article as it stands in every list; what it lacks is null."""

    id: str
    title: str
    url: str | None
    category: Annotated[str | None, Field(description="the primary one")]
    categories: list[str]
    published_at: _Moment | None
    image_url: str | None
    reading_minutes: _Count
    lang: str | None
    score: Annotated[float | None, Field(description="of an item that is `similar`")]
    source: Annotated[Source | None, Field(description="why it stands in a list; null where nothing ranks")]
    trending_rank: Annotated[int | None, Field(ge=1)]
    also_published_as: Annotated[list[str] | None, Field(description="ids of its copies")]


class Item(Card):
    """An article in a list."""

    why: Annotated[
        Why | None, Field(description="with explain=1; null for an item that is not `similar`")
    ] = None


class Facts(Card):
    """What the CMS said of an article, but for its body."""

    tags: list[str]
    authors: list[str]
    type: str | None
    updated_at: _Moment | None


class TopicShare(Shape):
    """A topic of an article."""

    slug: str
    name: str
    share: _Share


class Article(Facts):
    """An article, its topics, and what stands beside it in time."""

    topics: Annotated[list[TopicShare], Field(description="the largest share first")]
    previous: Card | None
    next: Card | None


class ArticleList(Shape):
    """A list; it holds min(requested, eligible) items."""

    article_id: Annotated[str | None, Field(description="null for a text")]
    as_of: _Moment
    model: Model
    degraded: _Degraded
    requested: _Count
    eligible: Annotated[int, Field(ge=0, description="how many articles might stand in the list")]
    returned: _Count
    items: list[Item]


class BatchResult(Shape):
    """What became of one id of a batch."""

    article_id: str
    status: Literal[200, 404, 410]
    list: Annotated[ArticleList | None, Field(description="null where the article is not there")]


class Batch(Shape):
    """Lists in the order of the request."""

    results: list[BatchResult]


_Window = Literal["1h", "24h", "7d"]
_Basis = Annotated[Literal["views", "recent"], Field(description="what the order rests on")]


class PageTrending(ArticleList):
    """What is read most, beside an article."""

    window: _Window
    basis: _Basis


class Section(Shape):
    """A section of the site."""

    name: str
    slug: str
    articles: _Count


class Page(Shape):
    """All that stands around an article on its page."""

    article: Facts
    related: ArticleList
    trending: PageTrending
    previous: Card | None
    next: Card | None
    sections: Annotated[list[Section], Field(description="the largest first")]
    topics: list[TopicShare]


class Articles(Shape):
    """Articles, the newest first."""

    items: list[Card]
    next_cursor: Annotated[str | None, Field(description="the `cursor` of the next page; null: no more")]


class Topic(Shape):
    """A topic and how many public articles have it first."""

    slug: str
    name: str
    terms: list[str]
    articles: _Count


class AllTopics(Shape):
    """All topics, the largest first."""

    model_version: str
    topics: list[Topic]


class TopicArticles(Articles):
    """A topic, and its articles, the newest first."""

    topic: Topic


class Trending(Shape):
    """What is read most."""

    as_of: _Moment
    window: _Window
    basis: _Basis
    degraded: _Degraded
    items: list[Item]


class Standing(Shape):
    """Where one article stands."""

    article_id: str
    as_of: _Moment
    window: _Window
    rank: Annotated[int | None, Field(ge=1, description="null: nobody has read it")]
    of: _Count
    category_rank: Annotated[int | None, Field(ge=1)]
    category_of: _Count
    score: Annotated[float, Field(ge=0)]
    change: Annotated[int | None, Field(description="above 0: it has climbed")]
    new: bool


class Put(Shape):
    """What became of an article."""

    id: str
    live_version: _Count
    applied: Annotated[bool, Field(description="false: what is known of the article is newer")]


class RejectedArticle(Shape):
    """Why an article of a batch was not taken."""

    index: _Count
    id: str | None
    reason: str


class PutMany(Shape):
    """What became of a batch of articles."""

    accepted: _Count
    unchanged: _Count
    rejected: list[RejectedArticle]


class Note(Shape):
    """What is to be said of the event at a place of the body."""

    index: _Count
    reason: str


class Counted(Shape):
    """What became of events."""

    accepted: _Count
    duplicates: _Count
    rejected: list[Note]
    clamped: Annotated[list[Note], Field(description="of the future, and taken as of now")] = []


class AllRules(Shape):
    """The rules of the database, and those of the file."""

    rules: list[AnyRule]
    file_rules: list[AnyRule]


class Live(Shape):
    """What came after the model."""

    version: _Count
    articles: _Count
    withdrawn: _Count
    unknown_terms: Annotated[_Share | None, Field(description="mean share of terms the model does not know")]


class Health(Shape):
    """The process answers."""

    status: Literal["ok"]
    live: Annotated[Live | None, Field(description="null: no model is open")]


class Readiness(Shape):
    """There is a model to answer from."""

    status: Literal["ready"]
    model: Model
    degraded: _Degraded
    live: Live | None


class Fault(Shape):
    """A wrong value, and what is allowed in its place."""

    place: Annotated[Place, Field(alias="in")]
    name: str
    value: Annotated[str | None, Field(max_length=MAX_SHOWN_CHARS, description="null: missing, or private")]
    allowed: str | None


class Problem(Shape):
    """Why a request was refused (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    request_id: str
    errors: list[Fault]
