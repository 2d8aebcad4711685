"""The editorial rules that are active at a moment, and what they do with an article or a list."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import blake2b

from recommender.serving.index.categories import key, keys
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, Sensitive, to_json

_EVERYWHERE = ""  # not the scope of any article or category


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, active or not; those of the file come before those of the database."""

    rules: tuple[Rule, ...] = ()

    def active(self, now: datetime) -> "ActiveRules":
        """Return the rules that are active now."""
        moments = [moment for rule in self.rules for moment in (rule.begins, rule.until) if moment]
        boundary = min((moment for moment in moments if moment > now), default=None)
        return ActiveRules(tuple(rule for rule in self.rules if rule.is_active(now)), boundary)


@dataclass(frozen=True)
class ActiveRules:
    """The rules that are active at a moment. Equal objects have the same `version` and the same effects."""

    rules: tuple[Rule, ...] = ()
    boundary: datetime | None = field(default=None, compare=False)  # when the next rule begins or ends

    def __hash__(self) -> int:
        """Return the hash of the version."""
        return hash(self.version)

    @cached_property
    def version(self) -> str:
        """A digest of these rules in this order, 16 hexadecimal digits."""
        text = "\n".join(map(to_json, self.rules))
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def hiding(self) -> tuple[Block | Sensitive, ...]:
        """The rules that hide articles everywhere: sensitive ones, and blocks for all lists."""
        sensitive = tuple(rule for rule in self.rules if isinstance(rule, Sensitive))
        return (*sensitive, *self._blocks.get(_EVERYWHERE, ()))

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The ids in the rules that hide articles everywhere. Others are hidden by category or author."""
        return frozenset(article_id for rule in self.hiding for article_id in rule.articles or ())

    def blocks(self, article_id: str | None, categories: Iterable[str] = ()) -> tuple[Block, ...]:
        """Return the blocks for the list of an article with these categories, but not those for all lists."""
        scopes = (scope for scope in _scopes(article_id, categories) if scope != _EVERYWHERE)
        return tuple(block for scope in scopes for block in self._blocks.get(scope, ()))

    def blocked(self, article_id: str | None, categories: Iterable[str] = ()) -> frozenset[str]:
        """Return the ids in the blocks for the list of an article with these categories; see `blocks`."""
        blocks = self.blocks(article_id, categories)
        return frozenset(article_id for block in blocks for article_id in block.articles or ())

    def pins(self, article_id: str | None, categories: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the ids pinned in the list of an article with these categories, in the order of the list.

        Pins for the article come first, then those for a category, then those for every list; within each of
        these, in the order of the rules. Ids of blocked and hidden articles and the article itself are left
        out. Pins that are hidden by their category or author are not.
        """
        if not self._pins:
            return ()
        categories = tuple(categories)
        article, *others = _scopes(article_id, categories)
        in_categories = {scope for scope in others if scope != _EVERYWHERE}
        ranks = ({article}, in_categories, {_EVERYWHERE})
        pinned = (pin for scopes in ranks for scope, ids in self._pins if scope in scopes for pin in ids)
        excluded = self.hidden | self.blocked(article_id, categories) | {article_id}
        return tuple(pin for pin in dict.fromkeys(pinned) if pin not in excluded)

    @cached_property
    def boosts(self) -> tuple[Boost, ...]:
        """The boosts, in the order of the rules."""
        return tuple(rule for rule in self.rules if isinstance(rule, Boost))

    def cap(self, per: str) -> int | None:
        """Return how many articles of one "category", or by one "author", a list may contain.

        None means any number. The smallest of several caps applies.
        """
        limits = (rule.at_most for rule in self.rules if isinstance(rule, Cap) and rule.per == per)
        return min(limits, default=None)

    @cached_property
    def _blocks(self) -> dict[str, list[Block]]:
        blocks: dict[str, list[Block]] = {}
        for rule in self.rules:
            if isinstance(rule, Block):
                blocks.setdefault(_scope_of(rule), []).append(rule)
        return blocks

    @cached_property
    def _pins(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(_scope_of(rule), rule.articles) for rule in self.rules if isinstance(rule, Pin)]


NO_RULES = ActiveRules()


def _scope_of(rule: Pin | Block) -> str:
    """Return where a rule is active: `article:` and an id, `category:` and a key, or empty for all lists."""
    if rule.for_article is not None:
        return f"article:{rule.for_article}"
    return _EVERYWHERE if rule.for_category is None else f"category:{key(rule.for_category)}"


def _scopes(article_id: str | None, categories: Iterable[str]) -> list[str]:
    """Return the scopes that contain the list of an article, that of the article first."""
    category_keys = {category_key for category in categories for category_key in keys(category)}
    own = "no article" if article_id is None else f"article:{article_id}"
    return [own, *(f"category:{category_key}" for category_key in sorted(category_keys)), _EVERYWHERE]
