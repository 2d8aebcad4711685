"""Bodies of requests that are made of several models, as the document tells them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel

from recommender.serving.http.article_schemas import SentArticle
from recommender.serving.http.event_schemas import MAX_EVENTS, EventBody
from recommender.serving.routes.submissions import MAX_ARTICLES
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, RuleId, Sensitive


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArticleBatch(_Body):
    """A batch of articles."""

    articles: Annotated[list[SentArticle], Field(max_length=MAX_ARTICLES)]


class SentEvent(EventBody):
    """Something that a reader does."""


class EventBatch(_Body):
    """A batch of events."""

    events: Annotated[list[SentEvent], Field(max_length=MAX_EVENTS)]


class AnyRule(RootModel[Annotated[Rule, Field(discriminator="kind")]]):
    """An editorial rule."""


class RuleBatch(_Body):
    """All rules of the database."""

    rules: list[AnyRule]


# A rule whose id stands in the address; the body may repeat it.
_IdOfAddress = Annotated[RuleId, Field(default_factory=str)]


class PinBody(Pin):
    """These articles come first, in this order."""

    id: _IdOfAddress


class BlockBody(Block):
    """These articles do not appear."""

    id: _IdOfAddress


class SensitiveBody(Sensitive):
    """These articles do not appear in any list."""

    id: _IdOfAddress


class BoostBody(Boost):
    """The scores of these articles, or of those in a category or by an author, are multiplied."""

    id: _IdOfAddress


class CapBody(Cap):
    """A list contains at most this many articles of one category, or by one author."""

    id: _IdOfAddress


class Events(RootModel[EventBatch | SentEvent]):
    """An event, or several."""


class RuleBody(
    RootModel[
        Annotated[PinBody | BlockBody | SensitiveBody | BoostBody | CapBody, Field(discriminator="kind")]
    ]
):
    """An editorial rule, whose id stands in the address."""
