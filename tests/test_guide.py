"""README and guide are correct: commands, settings, links, recipe, rules and errors exist as they say."""

import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from recommender.cli import cli
from recommender.recipe import Recipe
from recommender.serving.http.parameters import RelatedParameters
from recommender.serving.http.problems import KINDS, status_of
from recommender.serving.openapi.endpoints import ENDPOINTS
from recommender.serving.routes.metrics import PARTS
from recommender.serving.rules.schema import read_set
from recommender.settings import PREFIX, Settings
from tests.support.guide import ALL, PAGES, ROOT, TEXT, block, blocks, check_arguments, commands, inline
from tests.support.settings_page import PAGE, settings_page

NAMES = sorted(TEXT)
_CALL = re.compile(r"(?:(?:GET|PUT|POST|DELETE) )?(/(?:v1/|healthz|readyz|metrics|openapi)[\w./{}]*)")
_LINK = re.compile(r"""(?:\]\(|src=")((?!https?:)[^)"\s]+)[)"]""")
_OTHERS_CALLS = re.compile(r"/v1/related/\{|/rest/|/wp-json/")


def test_the_readme_is_short() -> None:
    assert len(TEXT["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("page", NAMES)
def test_every_link_leads_to_a_page_and_a_heading(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"

    for target in _LINK.findall(TEXT[page]):
        path, _, heading = target.partition("#")
        file = folder / path if path else folder / page
        assert file.exists(), target
        assert not heading or heading in headings(file), target


def test_the_guide_and_the_readme_lead_to_every_page() -> None:
    pages = {page.name for page in PAGES} - {"README.md", "index.md"}

    assert pages <= set(_LINK.findall(TEXT["index.md"]))
    assert all(name in TEXT["README.md"] for name in pages - {"python-reference.md"})


@pytest.mark.parametrize("page", NAMES)
def test_shell_blocks_have_valid_syntax(page: str) -> None:
    script = "\n".join(blocks(page, "sh"))

    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)

    assert not checked.stderr


@pytest.mark.parametrize("page", NAMES)
def test_every_command_is_valid(page: str) -> None:
    shown = [*commands(page), *inline(page)]

    for line in shown:
        if line.startswith("recommender "):
            check_arguments(shlex.split(line, comments=True)[1:])
        elif line.startswith("make "):
            for target in re.findall(r"[a-z][a-z-]*", line.partition("=")[0])[1:2]:
                assert target in make_targets(), line


def test_every_command_of_the_program_is_shown() -> None:
    assert set(re.findall(r"\brecommender ([a-z-]+)", ALL)) >= set(cli.commands)


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run `make settings-page`"


@pytest.mark.parametrize("page", NAMES)
def test_every_setting_named_exists(page: str) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z]\w*)\b", TEXT[page]))
    of_clients = set(re.findall(rf"""["']{PREFIX}(\w+)["']""", TEXT[page]))  # in code for a CMS

    others = {"SETTINGS", "TEST_DATA"} | of_clients
    assert {name.lower() for name in named - others} <= set(Settings.model_fields) | {"url", "key"}


def test_every_call_named_exists_and_every_endpoint_is_named() -> None:
    paths = {endpoint.path for endpoint in ENDPOINTS}

    named = {
        match[1] for page in NAMES for code in inline(page) if (match := _CALL.fullmatch(code.split("?")[0]))
    }
    in_calls = {path.split("?")[0] for path in _CALL.findall(TEXT["http-api.md"])}

    assert {path for path in named if not _OTHERS_CALLS.search(path)} <= paths
    assert paths - in_calls <= {"/docs", "/widget.js"}


def test_every_parameter_of_lists_is_explained() -> None:
    for name in RelatedParameters.model_fields:
        assert re.search(rf"^\|[^|]*`{name}`", TEXT["http-api.md"], re.MULTILINE), name


def test_every_error_and_degraded_part_is_explained() -> None:
    page = TEXT["troubleshooting.md"]

    for kind in KINDS:
        assert f"| `{kind}` | {status_of(kind)} |" in page
    for part in PARTS:
        assert f"| `{part}` |" in page


def test_each_fault_has_a_test() -> None:
    rows = re.findall(r"\| `(tests/[\w/]+\.py)`: `(test_\w+)` \|$", TEXT["deployment.md"], re.MULTILINE)

    assert len(rows) > 12
    assert len(rows) == TEXT["deployment.md"].partition("| fault |")[2].partition("\n\n")[0].count("\n") - 1
    for file, name in rows:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), name


def test_the_messages_explained_are_messages_of_the_program() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "recommender").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", source)
    messages = re.findall(r"^\| `([^`]+)` \| [^0-9|][^|]*\|[^|]*\|$", messages_part(), re.MULTILINE)

    assert len(messages) > 30
    for message in messages:
        assert all(piece.strip() in joined for piece in message.split("…")), message


def messages_part() -> str:
    """Return the part of the page about errors that lists messages."""
    return TEXT["troubleshooting.md"].partition("## HTTP errors")[0]


def test_the_recipe_shown_is_the_default() -> None:
    shown = tomllib.loads(block("training.md", "toml", "title_weight"))

    assert Recipe.model_validate(shown) == Recipe()
    assert shown == Recipe().model_dump()


def test_the_rules_shown_are_rules_of_every_kind() -> None:
    shown = read_set(tomllib.loads(block("rules.md", "toml"))["rule"])

    assert [rule.kind for rule in shown] == ["pin", "block", "sensitive", "boost", "cap"]


@pytest.mark.parametrize("page", ["deployment.md", "settings.md", "widget.md"])
def test_the_settings_files_shown_are_valid(page: str) -> None:
    for text in blocks(page, "toml"):
        Settings.read(**tomllib.loads(text))


@cache
def headings(page: Path) -> frozenset[str]:
    """Return the anchors of the headings on a page, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


@cache
def make_targets() -> frozenset[str]:
    """Return the targets that `make` lists."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
