"""Editorial rules at a moment: which of them act, and what they say of an article or of a list."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import blake2b

from recommender.serving.index.categories import key, keys
from recommender.serving.rules.schema import Block, Boost, Cap, Pin, Rule, Sensitive, to_json

_EVERYWHERE = ""  # no article has this id, and no section this name


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, whenever they act; those of the file come before those of the database."""

    rules: tuple[Rule, ...] = ()

    def active(self, now: datetime) -> "ActiveRules":
        """Return the rules that act now, and until when just these do."""
        moments = [moment for rule in self.rules for moment in (rule.begins, rule.until) if moment]
        boundary = min((moment for moment in moments if moment > now), default=None)
        return ActiveRules(tuple(rule for rule in self.rules if rule.acts(now)), boundary)


@dataclass(frozen=True)
class ActiveRules:
    """The rules that act at a moment. Equal ones, of one `version`, say the same of every list."""

    rules: tuple[Rule, ...] = ()
    boundary: datetime | None = field(default=None, compare=False)  # when the next rule begins or ends

    def __hash__(self) -> int:
        """Return the hash of the version."""
        return hash(self.version)

    @cached_property
    def version(self) -> str:
        """A short name for just these rules in this order."""
        written = "\n".join(map(to_json, self.rules))
        return blake2b(written.encode(), digest_size=8).hexdigest()

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The ids of the articles that no answer holds but their own: blocked everywhere, or sensitive."""
        named = (rule.articles for rule in self.rules if isinstance(rule, Sensitive))
        return frozenset(article for articles in named for article in articles) | self._blocks.get(
            _EVERYWHERE, frozenset()
        )

    def blocked(self, article_id: str | None, categories: Iterable[str] = ()) -> frozenset[str]:
        """Return the ids that are blocked in the list of an article in these sections, besides the hidden."""
        found = (self._blocks.get(place) for place in _places(article_id, categories) if place != _EVERYWHERE)
        return frozenset().union(*(ids for ids in found if ids))

    def pins(self, article_id: str | None, categories: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the ids pinned in the list of an article in these sections, in the order of the list.

        Pins for the article come before those for a section, these before those for everywhere; within one
        of these, in the order of the rules. What is blocked in the list is no pin, nor is the article itself.
        """
        if not self._pins:
            return ()
        categories = tuple(categories)
        article, *others = _places(article_id, categories)
        in_categories = {place for place in others if place != _EVERYWHERE}
        ranks = ({article}, in_categories, {_EVERYWHERE})
        named = (each for places in ranks for place, pin in self._pins if place in places for each in pin)
        out = self.hidden | self.blocked(article_id, categories) | {article_id}
        return tuple(each for each in dict.fromkeys(named) if each not in out)

    @cached_property
    def boosts(self) -> tuple[Boost, ...]:
        """The boosts, in the order of the rules."""
        return tuple(rule for rule in self.rules if isinstance(rule, Boost))

    def cap(self, per: str) -> int | None:
        """Return how many articles of one "section", or of one "author", a list may hold; None: any number.

        Of several caps the smallest acts.
        """
        numbers = (rule.at_most for rule in self.rules if isinstance(rule, Cap) and rule.per == per)
        return min(numbers, default=None)

    @cached_property
    def _blocks(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for rule in self.rules:
            if isinstance(rule, Block):
                place = place_of(rule)
                found[place] = found.get(place, frozenset()) | frozenset(rule.articles)
        return found

    @cached_property
    def _pins(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(place_of(rule), rule.articles) for rule in self.rules if isinstance(rule, Pin)]


NO_RULES = ActiveRules()


def place_of(rule: Pin | Block) -> str:
    """Return where a rule acts: `article:` and an id, `section:` and its key, or nothing for everywhere."""
    if rule.for_article is not None:
        return f"article:{rule.for_article}"
    return _EVERYWHERE if rule.for_section is None else f"section:{key(rule.for_section)}"


def _places(article_id: str | None, categories: Iterable[str]) -> list[str]:
    """Return the places that the list of an article lies in, the article's own first."""
    in_categories = sorted({f"section:{each}" for category in categories for each in keys(category)})
    own = "no article" if article_id is None else f"article:{article_id}"
    return [own, *in_categories, _EVERYWHERE]
