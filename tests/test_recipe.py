"""A recipe is checked before training starts: unknown keys and invalid values are refused by name."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.recipe import Gate, NeighborLists, Recipe, RecipeError, Terms, Topics


def as_toml(recipe: Recipe) -> str:
    """Return every key of a recipe as TOML; TOML writes these values like JSON."""
    lines = [f"seed = {recipe.seed}"]
    for section, values in recipe.model_dump(exclude={"seed"}).items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines)


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    return tmp_path / "recipe.toml"


def test_an_empty_file_is_the_default_recipe(recipe_file: Path) -> None:
    recipe_file.touch()

    assert Recipe.from_toml(recipe_file) == Recipe()


def test_the_defaults_written_out_are_the_default_recipe(recipe_file: Path) -> None:
    recipe_file.write_text(as_toml(Recipe()))

    assert Recipe.from_toml(recipe_file) == Recipe()
    assert tomllib.loads(recipe_file.read_text()) == Recipe().model_dump()


def test_the_keys_of_a_recipe_are_these() -> None:
    keys = {section: list(values) for section, values in Recipe().model_dump(exclude={"seed"}).items()}

    assert keys == {
        "terms": [
            "title_weight",
            "lead_weight",
            "lead_words",
            "stems",
            "ngrams",
            "min_df",
            "pair_weight",
            "piece_weight",
            "idf_power",
            "max_df",
            "stop_words",
            "standing_lines",
            "max_body_chars",
        ],
        "topics": ["components", "max_terms", "max_fit_articles", "weight", "count"],
        "neighbors": [
            "k",
            "feedback",
            "expansion",
            "hub_correction",
            "copy_similarity",
            "vector_weight",
            "similar_percentile",
        ],
        "gate": [
            *("margin", "min_articles", "min_coverage", "min_category_agreement", "min_headlines_found"),
            *("min_topic_fit", "min_ndcg", "max_hub_skew", "max_refused_rows", "max_refused_fields"),
        ],
        "freshness": ["half_life_days"],
    }


@given(
    st.builds(
        Recipe,
        seed=st.integers(0, 2**31),
        terms=st.builds(Terms, title_weight=st.integers(0, 100), max_df=st.floats(0.001, 1)),
        topics=st.builds(Topics, weight=st.floats(0, 1), count=st.integers(0, 150)),
        neighbors=st.builds(NeighborLists, k=st.integers(1, 1000)),
    )
)
@settings(deadline=None)
def test_a_recipe_survives_json_and_toml(recipe: Recipe) -> None:
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.model_validate(tomllib.loads(as_toml(recipe))) == recipe


def test_a_missing_key_has_its_default(recipe_file: Path) -> None:
    recipe_file.write_text("[topics]\nweight = 0\n")

    assert Recipe.from_toml(recipe_file) == Recipe(topics=Topics(weight=0.0))


@pytest.mark.parametrize(
    ("toml", "key", "cure"),
    [
        ("sed = 1", "sed", "did you mean seed?"),
        ("[terms]\ntitel_weight = 4", "terms.titel_weight", "did you mean title_weight?"),
        ("[terms]\nmin_dff = 3", "terms.min_dff", "did you mean min_df?"),
        ("[terms]\nMin-DF = 3", "terms.Min-DF", "did you mean min_df?"),
        ("[gate]\nmargins = 0.1", "gate.margins", "did you mean margin?"),
        ("[topics]\nk = 50", "topics.k", "did you mean neighbors.k?"),
        ("title_weight = 4", "title_weight", "did you mean terms.title_weight?"),
        ("[neighbours]\nk = 50", "neighbours", "did you mean neighbors?"),
        ("[terms.more]\nx = 1", "terms.more", "the keys are title_weight, lead_weight, lead_words"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_key(
    recipe_file: Path, toml: str, key: str, cure: str
) -> None:
    recipe_file.write_text(toml)

    with pytest.raises(RecipeError) as refused:
        Recipe.from_toml(recipe_file)

    assert str(refused.value).startswith(f"{recipe_file}: {key}: unknown key; {cure}")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("", 'seed = "1"'),
        ("", "seed = 1.0"),
        ("", "seed = true"),
        ("", "terms = 1"),
        ("terms", 'title_weight = "4"'),
        ("terms", "title_weight = -1"),
        ("terms", "title_weight = 101"),
        ("terms", "ngrams = 3"),
        ("terms", "ngrams = 2.0"),
        ("terms", "min_df = 0"),
        ("terms", "max_df = 0.0"),
        ("terms", "max_df = 1.5"),
        ("terms", "max_df = nan"),
        ("terms", "stop_words = 1"),
        ("terms", 'stop_words = "yes"'),
        ("terms", "max_body_chars = 0"),
        ("topics", "components = 1001"),
        ("topics", "weight = 1.01"),
        ("topics", "weight = inf"),
        ("topics", 'weight = "0.3"'),
        ("topics", "count = 151"),
        ("topics", "max_terms = 0"),
        ("topics", "max_terms = 100001"),
        ("neighbors", "k = 0"),
        ("neighbors", "k = 1001"),
        ("neighbors", "similar_percentile = 100"),
        ("gate", "margin = -0.1"),
        ("gate", "min_articles = 0"),
        ("gate", "min_coverage = 1.1"),
        ("gate", "min_category_agreement = 1.1"),
        ("gate", "min_section_agreement = 1.1"),
        ("gate", "max_hub_skew = -1.0"),
    ],
)
def test_an_invalid_value_is_refused_with_its_key_and_value(
    recipe_file: Path, section: str, line: str
) -> None:
    recipe_file.write_text(f"[{section}]\n{line}" if section else line)
    key, value = line.split(" = ")

    with pytest.raises(RecipeError) as refused:
        Recipe.from_toml(recipe_file)

    named = f"{section}.{key}".strip(".")
    shown = {"true": "True", "100": "100"}.get(value, value.strip('"'))
    assert str(refused.value).startswith(f"{recipe_file}: {named} = {shown}: ")


@pytest.mark.parametrize("key", ["min_category_agreement", "min_section_agreement"])
def test_the_old_name_of_the_category_agreement_is_accepted(recipe_file: Path, key: str) -> None:
    recipe_file.write_text(f"[gate]\n{key} = 0.25")
    manifest = Recipe().model_dump()
    del manifest["gate"]["min_category_agreement"]
    manifest["gate"][key] = 0.25

    recipe = Recipe(gate=Gate(min_category_agreement=0.25))
    assert Recipe.from_toml(recipe_file) == recipe
    assert Recipe.model_validate_json(json.dumps(manifest)) == recipe


def test_the_old_and_the_new_name_of_the_category_agreement_together_are_refused(recipe_file: Path) -> None:
    recipe_file.write_text("[gate]\nmin_category_agreement = 0.25\nmin_section_agreement = 0.25")

    with pytest.raises(RecipeError) as refused:
        Recipe.from_toml(recipe_file)

    assert str(refused.value).startswith(f"{recipe_file}: gate = ")
    assert "min_category_agreement is also given under its old name min_section_agreement" in str(
        refused.value
    )


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(recipe_file: Path, seed: int) -> None:
    recipe_file.write_text(f"seed = {seed}")

    with pytest.raises(RecipeError, match="seed"):
        Recipe.from_toml(recipe_file)


@pytest.mark.parametrize("content", [b"seed = ", b"\xff\xfe", b"{}", b"seed = 1\nseed = 2"])
def test_a_file_that_is_not_toml_is_refused_with_its_name(recipe_file: Path, content: bytes) -> None:
    recipe_file.write_bytes(content)

    with pytest.raises(RecipeError) as refused:
        Recipe.from_toml(recipe_file)

    assert str(refused.value).startswith(f"{recipe_file} is not TOML: ")


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_an_unreadable_file_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(RecipeError, match=r"No such file|Is a directory") as refused:
        Recipe.from_toml(tmp_path / path)

    assert str(refused.value).startswith(str(tmp_path))


def test_a_recipe_is_immutable() -> None:
    recipe: Any = Recipe()

    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 1
