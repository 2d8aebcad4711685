"""The package follows the rules of `tests/support/package_rules.py`, and each rule detects a violation."""

import re
import shutil
from pathlib import Path

import pytest

import recommender
from tests.support.package_rules import (
    HEAVY,
    LIBRARIES,
    PACKAGE,
    PACKAGES,
    RULES,
    SHARED,
    Module,
    Package,
    Rule,
    libraries_among,
    loaded,
    package_at,
    packages_are_small_and_have_one_purpose,
    packages_import_only_allowed_packages,
    planted,
    run_python,
    violations_in,
)

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def package() -> Package:
    return package_at(PACKAGE)


@pytest.fixture(scope="module")
def present(package: Package) -> set[str]:
    """The violations in the package as it is."""
    return violations_in(package)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package for a test to break."""
    leave = shutil.ignore_patterns("__pycache__", "sample", "static", "templates")
    return Path(shutil.copytree(PACKAGE, tmp_path / "recommender", ignore=leave))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_follows_the_rule(rule: Rule, package: Package) -> None:
    assert list(rule(package)) == []


def test_the_rules_cover_every_module(package: Package) -> None:
    assert {"recommender", "recommender.cli", "recommender.text", "recommender.serving.app"} <= set(package)
    assert {module.part for module in package.values()} == set(LIBRARIES)


PART_PLANTS = [
    (
        "serving/lists/related.py",
        "from recommender.training.train import train",
        "recommender.training.train",
    ),
    (
        "serving/routes/health.py",
        "def _f():\n    import recommender.training.terms.counting",
        "recommender.training.terms.counting",
    ),
    ("training/train.py", "from recommender.serving import app", "recommender.serving.app"),
    ("training/formats/tables.py", "from ...serving.app import create_app", "recommender.serving.app"),
    ("model.py", "from recommender.training import kernels", "recommender.training.kernels"),
    ("neighbors.py", "from .serving.lists.related import Related", "recommender.serving.lists.related"),
    ("text.py", "from recommender.cli import main", "recommender.cli"),
    ("__init__.py", "from recommender.model import Model", "recommender.model"),
]
# One forbidden import for each row of PACKAGES that has one: the last package, or else the application.
PACKAGE_PLANTS = [
    ("serving/store/schema.py", "from recommender.serving.index import timeline"),
    ("serving/telemetry/answers.py", "from recommender.serving.store import Store"),
    ("serving/index/timeline.py", "from recommender.serving.rules.schema import Rule"),
    ("serving/rules/file.py", "from recommender.serving.lists.query import ListQuery"),
    ("serving/lists/ranking.py", "from recommender.serving.http.problems import Problem"),
    ("serving/http/problems.py", "from recommender.serving.trending.rankings import Leaderboard"),
    ("serving/trending/replica.py", "from recommender.serving.http.problems import Problem"),
    ("serving/worker/state_file.py", "from recommender.serving.cache.purging import Purger"),
    ("serving/cache/surrogates.py", "def _f():\n    from recommender.serving.routes import health"),
    ("serving/deployment/access.py", "from recommender.serving.routes import health"),
    ("serving/routes/health.py", "from recommender.serving.site import widget"),
    ("serving/asgi.py", "from recommender.serving.routes import health"),
    ("serving/site/widget.py", "from recommender.serving.compat import formats"),
    ("serving/admin/words.py", "from recommender.serving.compat import formats"),
    ("serving/compat/formats.py", "from recommender.serving.openapi import docs"),
    ("serving/openapi/docs.py", "from recommender.serving.app import create_app"),
    ("training/kernels.py", "from recommender.training.formats.files import RawRow"),
    ("training/cluster.py", "from recommender.training import kernels"),
    ("training/formats/files.py", "from recommender.training import kernels"),
    ("training/readers/detection.py", "from recommender.training import kernels"),
    ("training/sites/remote.py", "from recommender.training import kernels"),
    ("training/terms/adapt.py", "from recommender.training.topics import naming"),
    ("training/topics/slugs.py", "from recommender.training.neighbors import tiles"),
    ("training/neighbors/tiles.py", "from recommender.training.terms.lexicon import Lexicon"),
    ("training/assembly.py", "from recommender.training.topics import slugs"),
    ("training/frames.py", "from recommender.training import train"),
    ("training/train.py", "from recommender.training.evaluation import labels"),
    ("training/estimator.py", "from recommender.training.evaluation import labels"),
    ("training/comparison/trial.py", "from recommender.training.release import gate"),
    ("training/incremental/retrain.py", "from recommender.training.evaluation import labels"),
    ("training/evaluation/labels.py", "from recommender.training.release import gate"),
    ("training/release/gate.py", "from recommender.training.backtest import definitions"),
    ("training/backtest/definitions.py", "from recommender.training.release import gate"),
    ("training/analytics/columns.py", "from recommender.training.backtest import definitions"),
]
LIBRARY_PLANTS = [
    ("__init__.py", "import numpy", "is package and imports numpy"),
    ("text.py", "import sklearn.cluster", "is shared and imports sklearn"),
    ("model.py", "def _f():\n    from pandas import DataFrame", "is shared and imports pandas"),
    ("recipe.py", "from pydantic_settings import BaseSettings", "is shared and imports pydantic_settings"),
    ("serving/app.py", "import joblib", "is serving and imports joblib"),
    ("serving/app.py", "import click", "is serving and imports click"),
    ("training/train.py", "import flask", "is training and imports flask"),
    ("terminal.py", "import numpy", "is commands and imports numpy"),
    (
        "serving/worker/context.py",
        "import importlib\nX = importlib.import_module('x')",
        "uses importlib.import_module",
    ),
    ("text.py", "X = __import__('sklearn')", "uses __import__"),
]
CALL_PLANTS = [
    ("model.py", "import numpy as xx\nX = xx.load('a.npy')", "numpy.load, as only artifact.py may"),
    ("model.py", "from numpy.lib.format import open_memmap", "open_memmap, as only artifact.py may"),
    ("training/train.py", "X = np.lib.format.open_memmap('a')", "open_memmap, as only artifact.py may"),
    (
        "training/train.py",
        "X = os.replace('a', 'b')",
        "os.replace, as only artifact.py synced_files.py pruning.py registry.py serving/worker/state_file.py",
    ),
    (
        "serving/worker/context.py",
        "X = Path('a').replace('b')",
        ".rename, as only artifact.py synced_files.py pruning.py registry.py serving/worker/state_file.py",
    ),
    ("cli.py", "import fcntl", "fcntl, as only artifact.py may"),
    ("registry.py", "def _f():\n    import fsspec", "fsspec, as only storage.py may"),
    ("artifact.py", "X = os.environ['HOME']", "os.environ, as only settings.py may"),
    ("serving/app.py", "from os import getenv as g\nX = g('HOME')", "os.getenv, as only settings.py may"),
    ("cli.py", "X = click.option('--x', envvar='X')", "envvar=, as only settings.py may"),
    ("serving/lists/related.py", "import sqlite3", "sqlite3, as only serving/store/ may"),
    ("training/readers/corpus.py", "X = print('read')", "print, as only cli.py commands/ may"),
    (
        "serving/worker/context.py",
        "import sys\nX = sys.stdout.write('x')",
        "sys.stdout.write, as only cli.py commands/ may",
    ),
    ("terminal.py", "X = Console(stderr=True)", "rich.console.Console(), as only cli.py commands/ may"),
    ("terminal.py", "def _f(console):\n    console.print('x')", ".print, as only cli.py commands/ may"),
    ("artifact.py", "import pickle", "pickle, as nobody may"),
    ("artifact.py", "X = np.asarray('a', allow_pickle=True)", "allow_pickle=True, as nobody may"),
    ("training/train.py", "X = joblib.load('a')", "joblib.load, as nobody may"),
    ("training/topics/fitting.py", "X = np.random.default_rng()", "default_rng(), as nobody may"),
]
OTHER_PLANTS = [
    ("columns.py", "for x in range(3):\n    pass", "works at import: for x in range(3)"),
    ("columns.py", "open('x').close()", "works at import: open('x').close()"),
    ("article.py", "from recommender.model import Model", "import cycle"),
    ("columns.py", "def _f():\n    from recommender import columns", "import cycle"),
    ("columns.py", "X = 1\n" * 400, "lines"),
    ("columns.py", "def _f():" + "\n    x = 1" * 60, "_f has 61 lines"),
    ("columns.py", "def f():\n    return 1", "recommender.columns.f has no docstring"),
    (
        "columns.py",
        "class _A:\n    def f(self):\n        return 1\n\nclass B:\n    b = 1",
        "B has no docstring",
    ),
    ("columns.py", "class A:\n    'One.'\n\n    def f(self):\n        return 1", "A.f has no docstring"),
]


@pytest.mark.parametrize(
    ("path", "code", "message"), PART_PLANTS + LIBRARY_PLANTS + CALL_PLANTS + OTHER_PLANTS
)
def test_a_violation_is_reported_with_its_place(
    package: Package, present: set[str], path: str, code: str, message: str
) -> None:
    new = violations_in(planted(package, path, code)) - present

    assert any(message in violation for violation in new), new
    assert all(path in violation or "import cycle" in violation for violation in new), new


@pytest.mark.parametrize(("path", "code"), PACKAGE_PLANTS)
def test_a_forbidden_import_between_packages_is_reported(package: Package, path: str, code: str) -> None:
    before = set(packages_import_only_allowed_packages(package))

    [violation] = set(packages_import_only_allowed_packages(planted(package, path, code))) - before

    assert violation.startswith(f"{path}:")


def test_every_package_has_a_forbidden_import_in_the_tests() -> None:
    tried = {Module(path, "").package for path, _ in PACKAGE_PLANTS}

    assert tried == set(PACKAGES) - {"serving/app"}  # it may import everything


def test_a_package_that_grows_too_large_or_has_no_purpose_is_reported(package: Package) -> None:
    modules = {f"recommender.serving.cache.m{n}": Module(f"serving/cache/m{n}.py", "") for n in range(12)}
    unnamed = {"recommender.serving.new.a": Module("serving/new/a.py", "")}

    violations = set(packages_are_small_and_have_one_purpose(package | modules | unnamed))

    assert violations == {
        "serving/cache has 17 modules",
        "serving/new has no row in PACKAGES",
        "serving/new does not say in one sentence what it is for",
    }


def test_a_kernel_may_be_long_if_a_noqa_says_why(package: Package, present: set[str]) -> None:
    lines = "\n    x = 1" * 60
    path, code = (
        "training/topics/fitting.py",
        "@kernel\ndef _f():  # noqa: PLR0915 kept whole for the compiler",
    )

    with_reason, without = (
        planted(package, path, code + lines),
        planted(package, path, f"@kernel\ndef _g():{lines}"),
    )

    assert violations_in(with_reason) == present
    assert [violation.split()[1] for violation in violations_in(without) - present] == ["_g"]


def test_importing_the_package_loads_none_of_its_modules_and_no_library() -> None:
    modules = loaded(PACKAGE, "package")

    assert not {module for module in modules if module.startswith("recommender.")}
    assert libraries_among(modules) == set()


def test_no_web_worker_loads_training_or_its_libraries() -> None:
    modules = loaded(PACKAGE, "shared", "serving", "commands")

    assert "recommender.serving.app" in modules
    assert not {module for module in modules if module.startswith("recommender.training")}
    assert not libraries_among(modules) & HEAVY


def test_shared_modules_load_only_their_own_libraries() -> None:
    assert libraries_among(loaded(PACKAGE, "shared")) <= SHARED | {"pydantic_core", "pydantic_settings"}


@pytest.mark.slow
def test_training_loads_no_serving() -> None:
    modules = loaded(PACKAGE, "training")

    assert "recommender.training.train" in modules
    assert not {module for module in modules if module.startswith("recommender.serving")}
    # jinja2 is not among them, because distributed loads it, for a cluster.
    assert not libraries_among(modules) & {"flask", "werkzeug", "granian", "sqlalchemy"}


@pytest.mark.slow
def test_an_import_hidden_from_the_syntax_tree_is_detected_at_run_time(copy: Path) -> None:
    with (copy / "article.py").open("a", encoding="utf-8") as source:
        source.write("\n\nglobals()['__builtins__']['__import__']('lx' + 'ml')\n")

    assert "lxml" in libraries_among(loaded(copy, "shared"))


@pytest.mark.slow
def test_no_test_module_or_conftest_is_imported_by_another() -> None:
    """Test modules share code through `tests/support`."""
    violations = [
        f"{module.path}:{line} imports {name}"
        for module in package_at(TESTS).values()
        for line, name in module.imports
        if name.startswith("tests.") and re.search(r"\.(test_\w+|conftest)\b", name)
    ]

    assert violations == []


def test_the_architecture_fits_on_a_page_and_names_only_existing_packages() -> None:
    lines = (TESTS.parent / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    rows = re.findall(r"^\| `([a-z_]+)(?:/|\.py)` \|", "\n".join(lines), re.MULTILINE)
    names = [name for name in rows if name not in {"serving", "training"}]  # the heads of the tables

    assert len(lines) <= 150
    assert sorted(names) == sorted(package.split("/")[1] for package in PACKAGES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        getattr(recommender, "trian")  # noqa: B009 a type checker refuses the attribute


@pytest.mark.slow
def test_a_missing_extra_says_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import recommender; recommender.train"

    done = run_python(PACKAGE, code)

    assert done.returncode == 1
    assert "\nImportError: recommender.train needs sklearn" in done.stderr
    assert done.stderr.endswith(": pip install 'recommender[train]'\n")
