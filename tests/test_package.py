"""Who may know what: the rules that keep training, serving and what they share apart.

The rules are read from the syntax tree, imports inside functions included, and checked once more at run
time. Each is tried by breaking it in a copy of a module.

Only `artifact.py` may touch the models folder. The rule sees the calls that reading or changing a published
version takes: mapping, loading and saving arrays, locking, syncing and renaming files. The writers of extra
files, such as that of the estimators, are told their path by `publish`.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import recommender

PACKAGE = Path(recommender.__file__).parent
TESTS = Path(__file__).parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

SHARED = {"Stemmer", "numpy", "scipy", "selectolax", "pycld2", "pydantic"}
SERVING = SHARED | {
    *("pydantic_core", "flask", "werkzeug", "jinja2", "markupsafe", "sqlalchemy", "throttled", "cachetools"),
    "openapi_pydantic",
    "prometheus_client",
}
TRAINING = SHARED | {
    *("joblib", "lxml", "numba", "pandas", "pyarrow", "sklearn", "stop_words", "threadpoolctl", "zstandard"),
    *("bm25s", "ir_measures", "matplotlib", "httpx", "stamina", "feedparser"),
}
COMMANDS = {"click", "rich", "granian", "stamina"}
LIBRARIES = {
    "package": set(),
    "shared": SHARED,
    "training": TRAINING,
    "serving": SERVING,
    "commands": COMMANDS,
}
COMPANY = {  # of each part, the parts that it may import
    "package": set(),
    "shared": {"shared"},
    "training": {"training", "shared"},
    "serving": {"serving", "shared"},
    "commands": {"commands", "training", "serving", "shared"},
}
MAX_PACKAGE_MODULES = 12
# Of each package, or module beside the packages, those beside it that it may import.
PACKAGES = {
    "serving/store": "",
    "serving/index": "store",
    "serving/rules": "store index",
    "serving/lists": "store index rules",
    "serving/http": "store index rules lists",
    "serving/trending": "store index rules lists",
    "serving/worker": "store index rules lists http trending",
    "serving/cache": "store index rules lists http trending worker",
    "serving/routes": "store index rules lists http trending worker cache",
    "serving/site": "store index rules lists http trending worker cache routes",
    "serving/compat": "store index rules lists http trending worker cache routes site",
    "serving/openapi": "store index rules lists http trending worker cache routes site compat",
    "serving/app": "store index rules lists http trending worker cache routes site compat openapi",
    "training/kernels": "",
    "training/readers": "",
    "training/terms": "kernels",
    "training/topics": "kernels terms",
    "training/neighbors": "kernels",
    "training/train": "kernels terms topics neighbors",
    "training/evaluation": "kernels neighbors train",
    "training/release": "readers train evaluation",
    "training/backtest": "readers evaluation",
}
PART_OF = {"__init__.py": "package"} | dict.fromkeys(
    ["cli.py", "options.py", "terminal.py", "__main__.py"], "commands"
)
HEAVY = {  # never in a web worker
    *("sklearn", "pandas", "joblib", "numba", "pyarrow", "lxml", "bm25s", "ir_measures", "matplotlib"),
    *("httpx", "feedparser"),
}

# What only one module may use, or those of a folder: dotted names, each with all that lies below it.
SOLE_USERS = {
    "artifact.py": {
        *("fcntl", "os.link", "os.symlink", "shutil.move"),
        *("numpy.load", "numpy.save", "numpy.savez", "numpy.memmap", "numpy.fromfile", "numpy.lib.format"),
    },
    "artifact.py serving/worker/state_file.py commands/destinations.py": {
        "os.replace",
        "os.rename",
        "os.fsync",
        ".rename",
    },
    "settings.py": {
        *("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"),
        *("envvar=", "auto_envvar_prefix="),  # click would read it
    },
    "serving/store/": {"sqlite3", "sqlalchemy", "psycopg"},  # a folder: any module in it
    "cli.py commands/": {
        *("print", "pprint", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "rich.print"),
        *("click.echo", "click.secho", "rich.console.Console()", ".print"),
    },
    "": {  # nobody: what runs code out of files, and chance without a seed
        *("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib.load", "allow_pickle=True"),
        *("eval", "exec", "random", "numpy.random.seed", "numpy.random.rand", "numpy.random.default_rng()"),
    },
}


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: str  # below the package, such as "serving/app.py"
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def name(self) -> str:
        return ".".join(["recommender", *Path(self.path).with_suffix("").parts]).removesuffix(".__init__")

    @property
    def part(self) -> str:
        if "/" in self.path:
            return self.path.split("/")[0]
        return PART_OF.get(self.path, "shared")

    @property
    def package(self) -> str:
        """The package or module directly below `serving/` or `training/`, "" elsewhere."""
        top, _, rest = self.path.partition("/")
        below = rest.split("/")[0].removesuffix(".py")
        return f"{top}/{below}" if top in {"serving", "training"} and below != "__init__" else ""

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """The line and the dotted name of everything imported, at any depth."""
        return list(self._imports())

    @cached_property
    def uses(self) -> list[tuple[int, str]]:
        """The line and the dotted name of everything used, under the name that it was imported from.

        A call without arguments also counts as `name()`, a method call as `.method`, a keyword argument as
        `keyword=`, and with a constant as `keyword=constant`.
        """
        return [*self.imports, *self._uses()]

    def _uses(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Name | ast.Attribute):
                yield node.lineno, self._dotted(node)
            elif isinstance(node, ast.Call):
                yield from self._called(node)

    def _imports(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = f"{self.name}.x" if self.path.endswith("__init__.py") else self.name
                base = ".".join(above.split(".")[: -node.level]) if node.level else ""
                origin = f"{base}.{node.module or ''}".strip(".")
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)

    def _called(self, call: ast.Call) -> Iterator[tuple[int, str]]:
        name = self._dotted(call.func)
        if name == "rich.console.Console" or not (call.args or call.keywords):
            yield call.lineno, f"{name}()"
        if isinstance(call.func, ast.Attribute):
            method = call.func.attr
            # With one argument it is a path's; a text's `replace` takes two, a moment's takes keywords.
            renames = method == "replace" and len(call.args) == 1 and not call.keywords
            yield call.lineno, ".rename" if renames else f".{method}"
        for keyword in call.keywords:
            yield call.lineno, f"{keyword.arg}="
            if isinstance(keyword.value, ast.Constant):
                yield call.lineno, f"{keyword.arg}={keyword.value.value!r}"

    def _dotted(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._origins.get(node.id, node.id)
        return f"{self._dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"

    @cached_property
    def _origins(self) -> dict[str, str]:
        origins = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    origins[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                origins |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        return origins


Package = dict[str, Module]  # by dotted name
Rule = Callable[[Package], Iterator[str]]


def package_at(root: Path) -> Package:
    files = sorted(root.rglob("*.py"))
    modules = [Module(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")) for file in files]
    return {module.name: module for module in modules}


def of_each_module(rule: Callable[[Module], Iterator[str]]) -> Rule:
    """Let a rule for one module speak for the package."""
    breaches_of = cache(lambda module: list(rule(module)))

    @wraps(rule)
    def over(package: Package) -> Iterator[str]:
        return (breach for module in package.values() for breach in breaches_of(module))

    return over


@cache
def own_imports(module: Module, names: frozenset[str]) -> list[tuple[int, str]]:
    """Return the line and the name of each module of the package that a module imports, or imports from."""
    imports = [(line, {imported, imported.rpartition(".")[0]} & names) for line, imported in module.imports]
    return [(line, max(found, key=len)) for line, found in imports if found]


def parts_keep_their_company(package: Package) -> Iterator[str]:
    """Training and serving never import each other; shared modules import neither."""
    names = frozenset(package)
    for module in package.values():
        for line, name in own_imports(module, names):
            target = package[name]
            if target.part not in COMPANY[module.part]:
                yield f"{module.path}:{line} is {module.part} and imports {name} of {target.part}"


def packages_import_only_what_they_may(package: Package) -> Iterator[str]:
    """Each package of serving and training imports only the packages that its row in PACKAGES lists."""
    names = frozenset(package)
    for module in package.values():
        if not module.package:
            continue
        top, own_name = module.package.split("/")
        allowed = {f"{top}/{name}" for name in (own_name, *PACKAGES.get(module.package, "").split())}
        for line, name in own_imports(module, names):
            target = package[name].package
            if target.startswith(f"{top}/") and target not in allowed:
                yield f"{module.path}:{line} is in {module.package} and imports {name}"


def packages_are_small_and_have_one_purpose(package: Package) -> Iterator[str]:
    """A package has at most 12 modules, and a first line that says in one sentence what it is for."""
    modules_of: dict[str, list[Module]] = {}
    for module in package.values():
        if module.package and module.path.count("/") > 1:
            modules_of.setdefault(module.package, []).append(module)
    for name, modules in modules_of.items():
        init = [module for module in modules if module.path == f"{name}/__init__.py"]
        if name not in PACKAGES:
            yield f"{name} has no row in PACKAGES"
        if not init or not (ast.get_docstring(init[0].tree) or "").split("\n")[0].endswith("."):
            yield f"{name} does not say in one sentence what it is for"
        if len(modules) - len(init) > MAX_PACKAGE_MODULES:
            yield f"{name} has {len(modules) - len(init)} modules"


@of_each_module
def parts_keep_to_their_libraries(module: Module) -> Iterator[str]:
    """Each part imports the standard library and what it is allowed."""
    allowed = LIBRARIES[module.part] | ({"pydantic_settings"} if module.path == "settings.py" else set())
    for line, imported in module.imports:
        library = imported.split(".")[0]
        if library not in {"recommender", *sys.stdlib_module_names, *allowed}:
            yield f"{module.path}:{line} is {module.part} and imports {library}"


@of_each_module
def imports_are_in_plain_sight(module: Module) -> Iterator[str]:
    """Only the package's own front door imports by a string."""
    for line, used in module.uses:
        if used in {"importlib.import_module", "__import__"} and module.part != "package":
            yield f"{module.path}:{line} uses {used}"


@of_each_module
def duties_have_one_holder(module: Module) -> Iterator[str]:
    """Only one module touches the models folder, one the environment, one a database, one the terminal."""
    holder_of = {thing: holder for holder, things in SOLE_USERS.items() for thing in things}
    for line, used in module.uses:
        ends = [at for at in range(1, len(used)) if used[at] == "."]
        for thing in {used, *(used[:end] for end in ends)} & set(holder_of):
            if not module.path.startswith(tuple(holder_of[thing].split())):
                may = f"only {holder_of[thing]}" if holder_of[thing] else "nobody"
                yield f"{module.path}:{line} uses {used}, as {may} may"


@of_each_module
def nothing_works_at_import(module: Module) -> Iterator[str]:
    """A module imports, defines and assigns; only a program runs."""
    plain = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
    for node in module.tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        program = isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        if not (isinstance(node, plain) or docstring or program):
            yield f"{module.path}:{node.lineno} works at import: {ast.unparse(node)[:40]}"


def imports_have_no_cycle(package: Package) -> Iterator[str]:
    """No module comes back to itself through what it imports, inside functions included."""
    names = frozenset(package)
    graph = {module.name: {name for _, name in own_imports(module, names)} for module in package.values()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"an import cycle: {' <- '.join(error.args[1])}"


@of_each_module
def pages_are_short(module: Module) -> Iterator[str]:
    """A module has at most 400 lines, a function 60; a compiled kernel may give its reason in a noqa."""
    lines = module.source.splitlines()
    if len(lines) > MAX_MODULE_LINES:
        yield f"{module.path} has {len(lines)} lines"
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            kernel = any(ast.unparse(decorator) == "kernel" for decorator in node.decorator_list)
            if length > MAX_FUNCTION_LINES and not (kernel and "noqa" in lines[node.lineno - 1]):
                yield f"{module.path}:{node.lineno} {node.name} has {length} lines"


@of_each_module
def public_names_are_explained(module: Module) -> Iterator[str]:
    """Every public module, class, function and method has a docstring."""
    pending: list[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef]] = [(module.name, module.tree)]
    while pending:
        name, node = pending.pop()
        if not ast.get_docstring(node):
            yield f"{module.path}: {name} has no docstring"
        pending += [
            (f"{name}.{child.name}", child)
            for child in ([] if isinstance(node, ast.FunctionDef) else node.body)
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_")
        ]


RULES: list[Rule] = [
    parts_keep_their_company,
    packages_import_only_what_they_may,
    packages_are_small_and_have_one_purpose,
    parts_keep_to_their_libraries,
    imports_are_in_plain_sight,
    duties_have_one_holder,
    nothing_works_at_import,
    imports_have_no_cycle,
    pages_are_short,
    public_names_are_explained,
]


def breaches(package: Package) -> set[str]:
    """Return every breach of a rule in the package, with its file and line."""
    return {breach for rule in RULES for breach in rule(package)}


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sys.modules)
"""


def run_python(root: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code with the package at `root`, in an interpreter of its own."""
    environment = os.environ | {"PYTHONPATH": str(root.parent)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, env=environment, cwd=root.parent, capture_output=True, text=True, check=False
    )


def loaded(root: Path, *parts: str) -> set[str]:
    """Return the names of all modules that importing these parts loads."""
    names = [module.name for module in package_at(root).values() if module.part in parts]
    done = run_python(root, IMPORT_ALL, *names)
    assert not done.returncode, done.stderr
    return set(done.stdout.split())


def libraries_among(modules: set[str]) -> set[str]:
    every = TRAINING | SERVING | COMMANDS | {"pydantic_settings"}
    return {module.split(".")[0] for module in modules} & every


@pytest.fixture(scope="module")
def package() -> Package:
    return package_at(PACKAGE)


@pytest.fixture(scope="module")
def present(package: Package) -> set[str]:
    """The breaches that there are."""
    return breaches(package)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to break."""
    leave = shutil.ignore_patterns("__pycache__", "sample", "static", "templates")
    return Path(shutil.copytree(PACKAGE, tmp_path / "recommender", ignore=leave))


def planted(package: Package, path: str, code: str) -> Package:
    """Return the package with code at the end of a module."""
    module = next(each for each in package.values() if each.path == path)
    return package | {module.name: Module(path, f"{module.source}\n\n{code}\n")}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule_that(rule: Rule, package: Package) -> None:
    assert list(rule(package)) == []


def test_the_rules_see_every_module(package: Package) -> None:
    assert {"recommender", "recommender.cli", "recommender.text", "recommender.serving.app"} <= set(package)
    assert {module.part for module in package.values()} == set(LIBRARIES)


COMPANY_PLANTS = [
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
    ("training/readers/tables.py", "from ...serving.app import create_app", "recommender.serving.app"),
    ("model.py", "from recommender.training import kernels", "recommender.training.kernels"),
    ("neighbors.py", "from .serving.lists.related import Related", "recommender.serving.lists.related"),
    ("text.py", "from recommender.cli import main", "recommender.cli"),
    ("__init__.py", "from recommender.model import Model", "recommender.model"),
]
# One forbidden import for each row of PACKAGES that has one: the last package, or else the application.
PACKAGE_PLANTS = [
    ("serving/store/schema.py", "from recommender.serving.index import timeline"),
    ("serving/index/timeline.py", "from recommender.serving.rules.schema import Rule"),
    ("serving/rules/file.py", "from recommender.serving.lists.query import ListQuery"),
    ("serving/lists/ranking.py", "from recommender.serving.http.problems import Problem"),
    ("serving/http/problems.py", "from recommender.serving.trending.rankings import Leaderboard"),
    ("serving/trending/replica.py", "from recommender.serving.http.problems import Problem"),
    ("serving/worker/state_file.py", "from recommender.serving.cache.purging import Purger"),
    ("serving/cache/surrogates.py", "def _f():\n    from recommender.serving.routes import health"),
    ("serving/routes/health.py", "from recommender.serving.site import widget"),
    ("serving/site/widget.py", "from recommender.serving.compat import formats"),
    ("serving/compat/formats.py", "from recommender.serving.openapi import docs"),
    ("serving/openapi/docs.py", "from recommender.serving.app import create_app"),
    ("training/kernels.py", "from recommender.training.readers.files import RawRow"),
    ("training/readers/files.py", "from recommender.training import kernels"),
    ("training/terms/adapt.py", "from recommender.training.topics import naming"),
    ("training/topics/slugs.py", "from recommender.training.neighbors import tiles"),
    ("training/neighbors/tiles.py", "from recommender.training.terms.lexicon import Lexicon"),
    ("training/train.py", "from recommender.training.evaluation import labels"),
    ("training/evaluation/labels.py", "from recommender.training.release import gate"),
    ("training/release/gate.py", "from recommender.training.backtest import definitions"),
    ("training/backtest/definitions.py", "from recommender.training.release import gate"),
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
DUTY_PLANTS = [
    ("model.py", "import numpy as xx\nX = xx.load('a.npy')", "numpy.load, as only artifact.py may"),
    ("model.py", "from numpy.lib.format import open_memmap", "open_memmap, as only artifact.py may"),
    ("training/train.py", "X = np.lib.format.open_memmap('a')", "open_memmap, as only artifact.py may"),
    (
        "training/train.py",
        "X = os.replace('a', 'b')",
        "os.replace, as only artifact.py serving/worker/state_file.py commands/destinations.py may",
    ),
    (
        "serving/worker/context.py",
        "X = Path('a').replace('b')",
        ".rename, as only artifact.py serving/worker/state_file.py commands/destinations.py may",
    ),
    ("cli.py", "import fcntl", "fcntl, as only artifact.py may"),
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
    ("path", "code", "told"), COMPANY_PLANTS + LIBRARY_PLANTS + DUTY_PLANTS + OTHER_PLANTS
)
def test_a_broken_rule_is_reported_with_its_place(
    package: Package, present: set[str], path: str, code: str, told: str
) -> None:
    found = breaches(planted(package, path, code)) - present

    assert any(told in breach for breach in found), found
    assert all(path in breach or "import cycle" in breach for breach in found), found


@pytest.mark.parametrize(("path", "code"), PACKAGE_PLANTS)
def test_a_forbidden_import_between_packages_is_reported(package: Package, path: str, code: str) -> None:
    before = set(packages_import_only_what_they_may(package))

    [breach] = set(packages_import_only_what_they_may(planted(package, path, code))) - before

    assert breach.startswith(f"{path}:")


def test_every_package_has_a_forbidden_import_in_the_tests() -> None:
    tried = {Module(path, "").package for path, _ in PACKAGE_PLANTS}

    assert tried == set(PACKAGES) - {"serving/app"}  # it may import everything


def test_a_package_that_grows_too_large_or_has_no_purpose_is_reported(package: Package) -> None:
    modules = {f"recommender.serving.cache.m{n}": Module(f"serving/cache/m{n}.py", "") for n in range(12)}
    unnamed = {"recommender.serving.new.a": Module("serving/new/a.py", "")}

    breaches_found = set(packages_are_small_and_have_one_purpose(package | modules | unnamed))

    assert breaches_found == {
        "serving/cache has 15 modules",
        "serving/new has no row in PACKAGES",
        "serving/new does not say in one sentence what it is for",
    }


def test_a_kernel_may_be_long_where_a_noqa_says_why(package: Package, present: set[str]) -> None:
    lines = "\n    x = 1" * 60
    path, code = (
        "training/topics/fitting.py",
        "@kernel\ndef _f():  # noqa: PLR0915 kept whole for the compiler",
    )

    with_reason, without = (
        planted(package, path, code + lines),
        planted(package, path, f"@kernel\ndef _g():{lines}"),
    )

    assert breaches(with_reason) == present
    assert [breach.split()[1] for breach in breaches(without) - present] == ["_g"]


def test_the_front_door_loads_nothing_of_the_package_and_no_library() -> None:
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
    assert not libraries_among(modules) & {"flask", "werkzeug", "jinja2", "granian", "sqlalchemy"}


def test_a_library_that_hides_from_the_syntax_tree_is_seen_at_run_time(copy: Path) -> None:
    with (copy / "article.py").open("a", encoding="utf-8") as source:
        source.write("\n\nglobals()['__builtins__']['__import__']('lx' + 'ml')\n")

    assert "lxml" in libraries_among(loaded(copy, "shared"))


def test_no_test_module_or_conftest_is_imported_by_another() -> None:
    """What several test modules share is in `tests/support`."""
    violations = [
        f"{module.path}:{line} imports {name}"
        for module in package_at(TESTS).values()
        for line, name in module.imports
        if name.startswith("tests.") and re.search(r"\.(test_\w+|conftest)\b", name)
    ]

    assert violations == []


def test_every_name_of_the_python_api_is_there() -> None:
    assert all(callable(getattr(recommender, name)) for name in recommender.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = recommender.trian


def test_a_missing_extra_says_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import recommender; recommender.train"

    done = run_python(PACKAGE, code)

    assert done.returncode == 1
    assert "\nImportError: recommender.train needs sklearn" in done.stderr
    assert done.stderr.endswith(": pip install 'recommender[train]'\n")
