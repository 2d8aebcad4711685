"""The recipe: every choice that shapes a model, as data with measured defaults."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the key and the value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Terms(_Section):
    """What counts as a term, and how much."""

    title_weight: Annotated[int, Field(ge=0, le=100)] = 4  # a title counts this many times
    lead_weight: Annotated[int, Field(ge=1, le=100)] = 3  # so does the lead, the beginning of a body
    lead_words: Annotated[int, Field(ge=0)] = 25  # of a lead, stop words aside
    stems: bool = True  # words count as their stems, by language
    ngrams: Annotated[int, Field(ge=1, le=2)] = 2  # 2: pairs of neighbouring words are terms too
    min_df: Annotated[int, Field(ge=1)] = 2  # a term of fewer articles relates none
    pair_weight: Annotated[float, Field(gt=0, le=1)] = 0.6  # of a pair of words, beside a single one
    piece_weight: Annotated[float, Field(ge=0, le=1)] = 0.3  # of 4 or 5 letters of a word, in small corpora
    idf_power: Annotated[float, Field(ge=0, le=2)] = 0.75  # 1: idf as it is; less: rare terms tell less
    max_df: Annotated[float, Field(gt=0, le=1)] = 0.5  # share of articles above which a term tells nothing
    stop_words: bool = True  # drop the function words of each article's language
    max_body_chars: Annotated[int, Field(ge=1)] = 100_000  # what lies beyond is cut, and counted


class Topics(_Section):
    """The latent space, its weight in the score, and the topics that people read."""

    components: Annotated[int, Field(ge=0, le=1000)] = 300  # 0: no latent space
    max_terms: Annotated[int, Field(ge=1, le=100_000)] = (
        50_000  # the latent space sees the terms of highest df
    )
    max_fit_articles: Annotated[int, Field(ge=1)] = 10_000  # and is fitted on so many articles, drawn by seed
    weight: Annotated[float, Field(ge=0, le=1)] = 0.25  # w: score = (1 - w) cos(terms) + w cos(latent)
    count: Annotated[int, Field(ge=0, le=150)] = 0  # readable topics; 0: by corpus size


class NeighborLists(_Section):
    """The lists computed at training."""

    k: Annotated[int, Field(ge=1, le=1000)] = 100
    feedback: Annotated[float, Field(ge=0, le=10)] = 1.0  # how far a query moves to its nearest neighbour
    hub_correction: Annotated[float, Field(ge=0, le=10)] = 0.65  # how much what is near to all is set back
    copy_similarity: Annotated[float, Field(gt=0, le=1)] = 0.8  # cosine of terms from which two are one
    similar_percentile: Annotated[float, Field(gt=0, lt=100)] = 99.9  # of random pairs; above it: `similar`


class Freshness(_Section):
    """How fast an article ages, in lists that prefer the fresh."""

    # In a news archive an article's nearest lie 13 times as often as by chance 7 to 14 days from it, 6 times
    # 21 to 30 days: nearness to a story of the last weeks halves in some two weeks.
    half_life_days: Annotated[float, Field(gt=0, le=36525)] = 14.0


Share = Annotated[float, Field(ge=0, le=1)]


class Gate(_Section):
    """What a model must reach before it is published. The defaults pass every sane corpus."""

    margin: Share = 0.05  # by which the lower 95 % bound of new - old may lie under 0
    min_articles: Annotated[int, Field(ge=1)] = 1
    min_coverage: Share = 0.0  # articles in at least one list
    min_section_agreement: Share = 0.0  # items of the article's own section
    min_headlines_found: Share = 0.1  # headlines that alone find their article
    min_topic_fit: Annotated[float, Field(ge=-1, le=1)] = 0.02  # topics whose terms stand in the lists
    min_ndcg: Share = 0.0  # with labels
    max_hub_skew: Annotated[float, Field(ge=0)] = 1000.0
    max_refused_rows: Share = 1.0  # of the rows read
    max_refused_fields: Annotated[float, Field(ge=0)] = 100.0  # for each row read; dates and others


class Recipe(_Section):
    """Everything that `train` may be told. Unknown keys are refused."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    terms: Terms = Terms()
    topics: Topics = Topics()
    neighbors: NeighborLists = NeighborLists()
    freshness: Freshness = Freshness()
    gate: Gate = Gate()

    @classmethod
    def from_toml(cls, path: str | Path) -> "Recipe":
        """Read a recipe from a TOML file.

        Raises RecipeError naming the file and the first key that is unknown or out of range.
        """
        try:
            return cls.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise RecipeError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is not TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise RecipeError(f"{path}: {key} = {str(first['input'])[:100]}: {first['msg']}") from error
