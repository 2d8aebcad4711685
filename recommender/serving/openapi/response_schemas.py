"""Pydantic models of the JSON responses, for the OpenAPI document and for the tests that check responses.

The service builds responses from plain dictionaries, for speed, and does not use these models at run time.
The class names are component names of the OpenAPI document, and clients are generated from them: renaming a
class changes the API.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from recommender.serving.http.problems import KINDS, MAX_SHOWN_CHARS, Place
from recommender.serving.lists.query import Source
from recommender.serving.openapi.request_bodies import AnyRule

_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Degraded = Annotated[
    list[str],
    Field(
        description="Parts of the service that are failing, such as `store` or `state`. "
        "Empty if everything works."
    ),
]
_Moment = Annotated[datetime, Field(description="In UTC.")]


class ResponseModel(BaseModel):
    """Base class: a JSON object with exactly these keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Model(ResponseModel):
    """The model that computed the response."""

    version: str
    trained_at: _Moment
    stale: Annotated[bool, Field(description="True if the model is older than the configured maximum age.")]


class TermPart(ResponseModel):
    """The contribution of a term to a score."""

    term: str
    contribution: float


class TopicPart(ResponseModel):
    """The contribution of a topic to a score."""

    slug: str
    name: str
    contribution: float


class Why(ResponseModel):
    """The parts of a score. Their sum is the score."""

    terms: Annotated[
        list[TermPart], Field(description="The terms that both texts contain, largest contribution first.")
    ]
    other_terms: Annotated[float, Field(description="The contribution of all other terms.")]
    topics: Annotated[
        list[TopicPart], Field(description="The topics that both texts share, largest contribution first.")
    ]
    other_topics: Annotated[float, Field(description="The contribution of all other topics.")]
    vector: Annotated[
        float,
        Field(description="The contribution of the vectors that you sent, 0 if one is missing."),
    ]
    feedback: Annotated[float, Field(description="The effect of pseudo-relevance feedback.")]
    expansion: Annotated[float, Field(description="The effect of the item's own nearest neighbours.")]
    hub: Annotated[
        float, Field(description="The hubness correction, for articles that are similar to very many others.")
    ]
    freshness: Annotated[float, Field(description="The penalty for age.")]
    boost: Annotated[float, Field(description="The effect of editorial rules.")]


class Card(ResponseModel):
    """An article without its body. Missing values are null."""

    id: str
    title: str
    url: str | None
    category: Annotated[str | None, Field(description="The primary category.")]
    categories: list[str]
    published_at: _Moment | None
    image_url: str | None
    reading_minutes: _Count
    lang: str | None
    score: Annotated[float | None, Field(description="The score, if `source` is `similar`.")]
    source: Annotated[
        Source | None, Field(description="Why the list contains the article; null outside ranked lists.")
    ]
    trending_rank: Annotated[int | None, Field(ge=1)]
    also_published_as: Annotated[list[str] | None, Field(description="The ids of its near-duplicates.")]


class Item(Card):
    """An article in a list, with the reasons for its position."""

    why: Annotated[
        Why | None, Field(description="Present if `explain` is 1. Null if `source` is not `similar`.")
    ] = None


class Facts(Card):
    """All fields that the CMS sent for an article, except the body."""

    tags: list[str]
    authors: list[str]
    type: str | None
    updated_at: _Moment | None


class TopicShare(ResponseModel):
    """A topic of an article, and its share of the text."""

    slug: str
    name: str
    share: _Share


class Article(Facts):
    """An article, its topics, and the articles published before and after it."""

    topics: Annotated[list[TopicShare], Field(description="Largest share first.")]
    previous: Card | None
    next: Card | None


class ArticleList(ResponseModel):
    """A list of min(requested, eligible) articles."""

    article_id: Annotated[
        str | None, Field(description="The article that the list is for. Null if it is for a text.")
    ]
    as_of: _Moment
    model: Model
    degraded: _Degraded
    requested: _Count
    eligible: Annotated[int, Field(ge=0, description="The number of articles that pass the filters.")]
    returned: _Count
    items: list[Item]


class Highlight(ResponseModel):
    """The words that the search found, as HTML: they are in `<mark>`, and everything else is escaped."""

    title_html: str
    snippet_html: Annotated[
        str | None,
        Field(
            description="An excerpt of the text with the most of the words. Null if "
            "`RECOMMENDER_SEARCH_SNIPPETS` is false."
        ),
    ]


class Match(Item):
    """An article that a search found."""

    highlight: Highlight


class SearchList(ArticleList):
    """A list of the articles that match a search."""

    items: list[Match]  # type: ignore[assignment]  # a list of a subclass, and nobody changes it
    corrected_query: Annotated[
        str | None,
        Field(
            description="What was searched for instead, if no article has a typed word but some have a word "
            "with nearly the same letters. Null otherwise."
        ),
    ]


class BatchResult(ResponseModel):
    """The result for one id of a batch."""

    article_id: str
    status: Annotated[
        Literal[200, 404, 410, 500, 503],
        Field(description="What a request for this list alone would respond with."),
    ]
    list: Annotated[ArticleList | None, Field(description="Null if `status` is not 200.")]


class Batch(ResponseModel):
    """One list per id, in the order of the request."""

    results: list[BatchResult]


_Window = Literal["1h", "24h", "7d"]
_Basis = Annotated[
    Literal["views", "recent"],
    Field(
        description="`views` if the list is ranked by events. `recent` if there are none in the window, and "
        "the newest articles are listed instead."
    ),
]


class PageTrending(ArticleList):
    """The most-read articles, for the page of an article."""

    window: _Window
    basis: _Basis


class Section(ResponseModel):
    """A category, and how many public articles have it as their primary category."""

    name: str
    slug: str
    articles: _Count


class Page(ResponseModel):
    """Everything that the page of an article shows around its text."""

    article: Facts
    related: ArticleList
    trending: PageTrending
    previous: Card | None
    next: Card | None
    sections: Annotated[list[Section], Field(description="All categories, largest first.")]
    topics: list[TopicShare]


class Articles(ResponseModel):
    """A page of articles, newest first."""

    items: list[Card]
    next_cursor: Annotated[
        str | None, Field(description="The `cursor` of the next page. Null on the last page.")
    ]


class Topic(ResponseModel):
    """A topic, and how many public articles have it as their main topic."""

    slug: str
    name: str
    terms: list[str]
    articles: _Count


class AllTopics(ResponseModel):
    """All topics, largest first."""

    model_version: str
    topics: list[Topic]


class TopicArticles(Articles):
    """A topic, and a page of its articles, newest first."""

    topic: Topic


class Trending(ResponseModel):
    """The most-read articles."""

    as_of: _Moment
    window: _Window
    basis: _Basis
    degraded: _Degraded
    items: list[Item]


class Standing(ResponseModel):
    """The rank of one article in trending."""

    article_id: str
    as_of: _Moment
    window: _Window
    rank: Annotated[int | None, Field(ge=1, description="Null if nobody read the article in the window.")]
    of: Annotated[int, Field(ge=0, description="The number of ranked articles.")]
    category_rank: Annotated[int | None, Field(ge=1)]
    category_of: Annotated[int, Field(ge=0, description="The number of ranked articles in the category.")]
    score: Annotated[float, Field(ge=0)]
    change: Annotated[int | None, Field(description="The change in rank. Positive if the article moved up.")]
    new: bool


class Put(ResponseModel):
    """The result of adding or updating an article."""

    id: str
    live_version: _Count
    applied: Annotated[bool, Field(description="False if a newer version of the article is stored already.")]


class RejectedArticle(ResponseModel):
    """An article of a batch that was rejected, and the reason."""

    index: _Count
    id: str | None
    reason: str


class PutMany(ResponseModel):
    """The result of a batch of articles."""

    accepted: _Count
    unchanged: _Count
    rejected: list[RejectedArticle]


class Note(ResponseModel):
    """A message about one event of the request."""

    index: _Count
    reason: str


class Counted(ResponseModel):
    """The result of recording events."""

    accepted: _Count
    duplicates: _Count
    rejected: list[Note]
    clamped: Annotated[
        list[Note], Field(description="Events dated in the future. They were counted at the current time.")
    ] = []


class AllRules(ResponseModel):
    """The rules in the database, and those in the rules file."""

    rules: list[AnyRule]
    file_rules: list[AnyRule]


class Live(ResponseModel):
    """The changes since the model was trained."""

    version: _Count
    articles: _Count
    withdrawn: _Count
    unknown_terms: Annotated[
        _Share | None,
        Field(description="The mean share of terms that are not in the vocabulary of the model."),
    ]


class Health(ResponseModel):
    """The process is running."""

    status: Literal["ok"]
    live: Annotated[Live | None, Field(description="Null if no model is open.")]


class Readiness(ResponseModel):
    """The service has an open model and can handle requests."""

    status: Literal["ready"]
    model: Model
    degraded: _Degraded
    live: Live | None


class Fault(ResponseModel):
    """An invalid value, and the values that are allowed."""

    place: Annotated[Place, Field(alias="in")]
    name: str
    value: Annotated[
        str | None, Field(max_length=MAX_SHOWN_CHARS, description="Null if it is missing or secret.")
    ]
    allowed: str | None


class Problem(ResponseModel):
    """An error response (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    request_id: str
    errors: list[Fault]
