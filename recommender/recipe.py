"""The recipe: all training parameters, with defaults chosen by measurement."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from recommender.summary import html_table
from recommender.unknown_key import unknown_key


class RecipeError(ValueError):
    """An invalid recipe; the message includes the key and the value.

    >>> recommender.Recipe().replace(terms={"title_weight": -1})
    Traceback (most recent call last):
    recommender.recipe.RecipeError: terms.title_weight = -1: Input should be greater than or equal to 0
    """


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the values that differ from the defaults, for `repr`."""
        for name, field in type(self).model_fields.items():
            if (value := getattr(self, name)) != field.default:
                yield name, value

    def __str__(self) -> str:
        """Return the same as `repr`."""
        return repr(self)


class Terms(_Section):
    """Which terms an article has, and their weights."""

    title_weight: Annotated[int, Field(ge=0, le=100)] = 4  # how many times a title counts
    lead_weight: Annotated[int, Field(ge=1, le=100)] = 3  # how many times the lead of a body counts
    lead_words: Annotated[int, Field(ge=0)] = 25  # at most; length of the lead, without stop words
    stems: bool = True  # reduce words to their stems, by language
    ngrams: Annotated[int, Field(ge=1, le=2)] = 2  # 2: pairs of neighbouring words are terms too
    min_df: Annotated[int, Field(ge=1)] = 2  # drop terms that occur in fewer articles
    pair_weight: Annotated[float, Field(gt=0, le=1)] = 0.8  # a pair of words, relative to a word
    piece_weight: Annotated[float, Field(ge=0, le=1)] = 0.3  # 4 or 5 letters of a word, in small corpora
    idf_power: Annotated[float, Field(ge=0, le=2)] = 0.75  # exponent of idf; below 1 rare terms weigh less
    max_df: Annotated[float, Field(gt=0, le=1)] = 0.5  # drop terms that occur in a larger share of articles
    stop_words: bool = True  # drop the function words of each article's language
    standing_lines: bool = True  # leave out lines that recur in many bodies, such as disclaimers
    max_body_chars: Annotated[int, Field(ge=1)] = 100_000  # the rest is cut, and reported


class Topics(_Section):
    """The latent space, its weight in the score, and the named topics."""

    components: Annotated[int, Field(ge=0, le=1000)] = 300  # 0: no latent space
    max_terms: Annotated[int, Field(ge=1, le=100_000)] = 40_000  # the terms of highest df are used
    max_fit_articles: Annotated[int, Field(ge=1)] = 10_000  # fitted on at most this many, sampled by seed
    weight: Annotated[float, Field(ge=0, le=1)] = 0.25  # w: score = (1 - w) cos(terms) + w cos(latent)
    count: Annotated[int, Field(ge=0, le=150)] = 0  # number of topics; 0: by corpus size


class NeighborLists(_Section):
    """The neighbour lists computed in training."""

    k: Annotated[int, Field(ge=1, le=1000)] = 100
    feedback: Annotated[float, Field(ge=0, le=10)] = 1.0  # weight of the pseudo-relevance feedback
    expansion: Annotated[float, Field(ge=0, le=10)] = 0.8  # weight of the neighbours that expand an article
    hub_correction: Annotated[float, Field(ge=0, le=10)] = 0.65  # weight of the hubness correction
    copy_similarity: Annotated[float, Field(gt=0, le=1)] = 0.8  # cosine of terms of near-duplicates, at least
    vector_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3  # of the articles' own vectors, if there are any
    similar_percentile: Annotated[float, Field(gt=0, lt=100)] = 99.9  # of random pairs; above it: `similar`


class Freshness(_Section):
    """How fast the score of an article decays with age, in lists that prefer recent articles."""

    # In a news archive, an article's nearest neighbours are 13 times as frequent as by chance 7 to 14 days
    # from it, and 6 times 21 to 30 days from it: relevance to a story halves in about two weeks.
    half_life_days: Annotated[float, Field(gt=0, le=36525)] = 14.0


Share = Annotated[float, Field(ge=0, le=1)]
_OLD_CATEGORY_KEY = "min_section_agreement"  # in recipes and manifests of earlier releases


class Gate(_Section):
    """The minimum quality of a model that may be published. The defaults accept any reasonable corpus."""

    margin: Share = 0.05  # how far the lower 95 % bound of new - old may be below 0
    min_articles: Annotated[int, Field(ge=1)] = 1
    min_coverage: Share = 0.0  # share of articles that are in at least one list
    min_category_agreement: Annotated[
        Share, Field(validation_alias=AliasChoices("min_category_agreement", _OLD_CATEGORY_KEY))
    ] = 0.0  # share of list items in the article's own category
    min_headlines_found: Share = 0.1  # share of headlines that, as a query, return their article in the top 9
    min_topic_fit: Annotated[float, Field(ge=-1, le=1)] = 0.02  # topic terms: share in lists - share in all
    min_ndcg: Share = 0.0  # with labels
    max_hub_skew: Annotated[float, Field(ge=0)] = 1000.0
    max_refused_rows: Share = 1.0  # of the rows read
    max_refused_fields: Annotated[float, Field(ge=0)] = 100.0  # for each row read; dates and others

    @model_validator(mode="before")
    @classmethod
    def _one_category_key(cls, fields: Any) -> Any:
        """Reject a recipe with both the current and the old name of `min_category_agreement`."""
        if isinstance(fields, dict) and {"min_category_agreement", _OLD_CATEGORY_KEY} <= fields.keys():
            raise ValueError(
                f"min_category_agreement is also given under its old name {_OLD_CATEGORY_KEY}; keep only one"
            )
        return fields


class Recipe(_Section):
    """All training parameters. Unknown keys are refused; `repr` shows what differs from the defaults.

    >>> recommender.Recipe(seed=7).replace(terms={"title_weight": 2})
    Recipe(seed=7, terms=Terms(title_weight=2))
    """

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    terms: Terms = Terms()
    topics: Topics = Topics()
    neighbors: NeighborLists = NeighborLists()
    freshness: Freshness = Freshness()
    gate: Gate = Gate()

    @classmethod
    def from_toml(cls, path: str | Path) -> "Recipe":
        """Read a recipe from a TOML file.

        Raises RecipeError with the file and the first key that is unknown or out of range.
        """
        try:
            return cls._checked(tomllib.loads(Path(path).read_text(encoding="utf-8")), f"{path}: ")
        except OSError as error:
            raise RecipeError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is not TOML: {error}") from error

    def replace(self, **changes: Any) -> Self:
        """Return a recipe with other values; a mapping changes only these keys of a section.

        Raises RecipeError with the first key that is unknown or out of range.

        >>> recommender.Recipe().replace(topics={"weight": 0.5}).topics.weight
        0.5
        """
        values = self.model_dump()
        for name, change in changes.items():
            is_part = isinstance(change, Mapping) and isinstance(values.get(name), dict)
            values[name] = {**values[name], **change} if is_part else change
        return self._checked(values)

    def _repr_html_(self) -> str:
        """Return the values that differ from the defaults as a table, for notebooks."""
        ours, defaults = _flat(self), _flat(type(self)())
        changed = [key for key, value in ours.items() if value != defaults[key]]
        rows = [(key, str(ours[key]), str(defaults[key])) for key in changed]
        caption = "Recipe" if rows else "Recipe: all defaults"
        return html_table(caption, rows, ("", "value", "default") if rows else ())

    @classmethod
    def _checked(cls, values: Mapping[str, Any], place: str = "") -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            if first["type"] == "extra_forbidden":
                raise RecipeError(f"{place}{key}: {_unknown(first['loc'])}") from error
            raise RecipeError(f"{place}{key} = {str(first['input'])[:100]}: {first['msg']}") from error


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Return the values of a recipe by dotted key."""
    values = recipe.model_dump()
    sections = {name: value for name, value in values.items() if isinstance(value, dict)}
    flat = {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
    return {name: value for name, value in values.items() if name not in sections} | flat


def _unknown(place: tuple[int | str, ...]) -> str:
    """Return the message about an unknown key; a key that belongs to another section is named with it."""
    *sections, key = map(str, place)
    fields = {name: field.annotation for name, field in Recipe.model_fields.items()}
    keys_of = {
        name: list(section.model_fields)
        for name, section in fields.items()
        if isinstance(section, type) and issubclass(section, _Section)
    }
    homes = [f"{name}.{key}" for name, keys in keys_of.items() if key in keys]
    if homes:
        return f"unknown key; did you mean {' or '.join(homes)}?"
    return unknown_key(key, keys_of[sections[0]] if sections else fields)
