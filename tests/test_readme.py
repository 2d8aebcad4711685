"""The README is correct: its recipe, settings and rules are valid, and its calls exist."""

import re
import tomllib
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from recommender.recipe import Recipe
from recommender.serving.app import create_app
from recommender.serving.rules.schema import read_set
from recommender.settings import Settings
from tests.support.readme import README


def block(language: str, holding: str) -> str:
    """Return the first code block of a language that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(next(text for text in blocks if holding in text))


@pytest.fixture(scope="module")
def client(published: Path) -> FlaskClient:
    return create_app(Settings(models_dir=published)).test_client()


def test_the_recipe_shown_is_the_default() -> None:
    shown = tomllib.loads(block("toml", "title_weight"))

    assert Recipe.model_validate(shown) == Recipe()
    assert shown == Recipe().model_dump()


def test_every_setting_is_named() -> None:
    for name in Settings.model_fields:
        assert f"`RECOMMENDER_{name.upper()}`" in README


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(?:GET )?(/v1/\w+|/healthz|/readyz)\b", README))))
def test_every_call_named_exists(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code in {200, 400, 403}  # 403: it needs a key


def test_the_rules_shown_are_rules_of_every_kind() -> None:
    shown = read_set(tomllib.loads(block("toml", "[[rule]]"))["rule"])

    assert [rule.kind for rule in shown] == ["pin", "block", "sensitive", "boost", "cap"]
