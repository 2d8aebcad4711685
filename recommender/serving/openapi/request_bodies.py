"""Request bodies that combine several models.

The names of the public classes are component names of the OpenAPI document: renaming one changes the API.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel

from recommender.serving.http.article_schemas import SentArticle
from recommender.serving.http.event_schemas import MAX_EVENTS, EventBody
from recommender.serving.routes.submissions import MAX_ARTICLES
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, RuleId, Sensitive


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArticleBatch(_Body):
    """Several articles."""

    articles: Annotated[list[SentArticle], Field(max_length=MAX_ARTICLES)]


class SentEvent(EventBody):
    """An action of a reader, such as a view or a click."""


class EventBatch(_Body):
    """Several events."""

    events: Annotated[list[SentEvent], Field(max_length=MAX_EVENTS)]


class AnyRule(RootModel[Annotated[Rule, Field(discriminator="kind")]]):
    """An editorial rule."""


class RuleBatch(_Body):
    """The complete set of rules to store in the database."""

    rules: list[AnyRule]


# The path has the id of the rule; the body may repeat it.
_PathId = Annotated[RuleId, Field(default_factory=str)]


class PinBody(Pin):
    """Show these articles first, in this order."""

    id: _PathId


class BlockBody(Block):
    """Hide articles, or those in a category or by an author, in the lists of the rule, or everywhere."""

    id: _PathId


class SensitiveBody(Sensitive):
    """Remove these articles, or all articles in a category or by an author, from every list."""

    id: _PathId


class BoostBody(Boost):
    """Multiply the scores of these articles, or of all articles in a category or by an author."""

    id: _PathId


class CapBody(Cap):
    """Limit how many articles of one category, or by one author, a list contains."""

    id: _PathId


class Events(RootModel[EventBatch | SentEvent]):
    """One event, or several."""


class RuleBody(
    RootModel[
        Annotated[PinBody | BlockBody | SensitiveBody | BoostBody | CapBody, Field(discriminator="kind")]
    ]
):
    """An editorial rule. The path has its id."""
