"""The rules for what each part of the package may import and use.

The rules read the syntax tree, including imports inside functions; `test_package.py` checks imports once
more at run time, and breaks every rule in a copy of a module.

Only `artifact.py` may touch the models folder. The rule looks for the calls that read or change a published
version: mapping, loading and saving arrays, locking, syncing and renaming files. Functions that write extra
files, such as the estimators, get their path from `publish`.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import recommender

PACKAGE = Path(recommender.__file__).parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

SHARED = {"Stemmer", "numpy", "scipy", "selectolax", "pycld2", "pydantic"}
SERVING = SHARED | {
    *("pydantic_core", "flask", "werkzeug", "jinja2", "markupsafe", "sqlalchemy", "throttled", "cachetools"),
    "crawleruseragents",
    "itsdangerous",
    "openapi_pydantic",
    *("opentelemetry", "prometheus_client", "threadpoolctl"),
}
TRAINING = SHARED | {
    *("joblib", "lxml", "numba", "pandas", "pyarrow", "sklearn", "stop_words", "threadpoolctl", "zstandard"),
    "webencodings",
    *("bm25s", "ir_measures", "matplotlib", "httpx", "stamina", "feedparser"),
    *("dask", "distributed", "ijson", "markdown_it", "yaml"),
    "rich",  # bars of long searches in notebooks
}
COMMANDS = {"click", "rich", "granian", "stamina"}
LIBRARIES = {
    "package": set(),
    "shared": SHARED,
    "training": TRAINING,
    "serving": SERVING,
    "commands": COMMANDS,
}
ALLOWED_PARTS = {  # for each part, the parts that it may import
    "package": set(),
    "shared": {"shared"},
    "training": {"training", "shared"},
    "serving": {"serving", "shared"},
    "commands": {"commands", "training", "serving", "shared"},
}
MAX_PACKAGE_MODULES = 12
# For each package (or module beside the packages), the neighbouring packages that it may import.
PACKAGES = {
    "serving/store": "",
    "serving/telemetry": "",
    "serving/index": "store",
    "serving/rules": "store index",
    "serving/lists": "store index rules",
    "serving/http": "store index rules lists",
    "serving/trending": "store index rules lists",
    "serving/worker": "store index rules lists http trending",
    "serving/cache": "store index rules lists http trending telemetry worker",
    "serving/deployment": "store index rules lists http trending telemetry worker cache",
    "serving/routes": "store index rules lists http trending telemetry worker cache",
    "serving/site": "store index rules lists http trending telemetry worker cache routes",
    "serving/admin": "store index rules lists http trending telemetry worker cache routes site",
    "serving/compat": "store index rules lists http trending telemetry worker cache routes site",
    "serving/openapi": "store index rules lists http trending telemetry worker cache routes site compat",
    "serving/app": "store index rules lists http trending telemetry worker cache routes site admin compat"
    " openapi",
    "serving/asgi": "app cache",
    "training/kernels": "",
    "training/cluster": "",
    "training/formats": "",
    "training/readers": "formats",
    "training/sites": "formats",
    "training/terms": "kernels",
    "training/topics": "kernels terms",
    "training/neighbors": "kernels",
    "training/assembly": "kernels terms neighbors",
    "training/frames": "",
    "training/train": "formats readers kernels terms topics neighbors assembly frames",
    "training/incremental": "kernels terms topics neighbors assembly train",
    "training/estimator": "formats readers train",
    "training/evaluation": "kernels neighbors assembly train",
    "training/comparison": "kernels formats readers assembly train evaluation",
    "training/release": "formats readers assembly train evaluation",
    "training/backtest": "formats readers evaluation",
    "training/analytics": "formats readers",
}
PART_OF = {"__init__.py": "package"} | dict.fromkeys(
    ["cli.py", "options.py", "terminal.py", "__main__.py", "list_tables.py", "sections.py", "sheets.py"],
    "commands",
)
HEAVY = {  # never in a web worker
    *("sklearn", "pandas", "joblib", "numba", "pyarrow", "lxml", "bm25s", "ir_measures", "matplotlib"),
    *("httpx", "feedparser", "ijson", "yaml", "dask", "distributed", "fsspec", "s3fs", "aiohttp"),
}

# Names that only one module, or the modules of a folder, may use, with everything below each name.
ONLY_USERS = {
    "artifact.py": {
        *("fcntl", "os.link", "os.symlink", "shutil.move"),
        *("numpy.load", "numpy.save", "numpy.savez", "numpy.memmap", "numpy.fromfile", "numpy.lib.format"),
    },
    # The state file and the settings file are replaced atomically, too, so that no process reads half of one.
    "artifact.py synced_files.py pruning.py registry.py serving/worker/state_file.py "
    "commands/destinations.py settings_file.py": {
        "os.replace",
        "os.rename",
        "os.fsync",
        ".rename",
    },
    "settings.py": {
        *("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"),
        *("envvar=", "auto_envvar_prefix="),  # click would read it
    },
    "storage.py": {"fsspec"},
    "serving/store/": {"sqlite3", "sqlalchemy", "psycopg"},  # a folder: any module in it
    "cli.py commands/": {
        *("print", "pprint", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "rich.print"),
        *("click.echo", "click.secho", "rich.console.Console()", ".print"),
    },
    "": {  # no module: what runs code from files, and random numbers without a seed
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
        """The line and the dotted name of every import, also inside functions."""
        return list(self._imports())

    @cached_property
    def uses(self) -> list[tuple[int, str]]:
        """The line and the dotted name of every use, with the name of the module that it was imported from.

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
            if node in self._for_type_checkers:
                continue
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = f"{self.name}.x" if self.path.endswith("__init__.py") else self.name
                base = ".".join(above.split(".")[: -node.level]) if node.level else ""
                origin = f"{base}.{node.module or ''}".strip(".")
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)

    @cached_property
    def _for_type_checkers(self) -> set[ast.AST]:
        """The nodes of `if TYPE_CHECKING:` in the package's `__init__`, which never run."""
        blocks = self.tree.body if self.part == "package" else []
        unused = [b for b in blocks if isinstance(b, ast.If) and ast.unparse(b.test) == "TYPE_CHECKING"]
        return {node for block in unused for part in block.body for node in ast.walk(part)}

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
    """Turn a rule for one module into a rule for the package."""
    violations_in_of = cache(lambda module: list(rule(module)))

    @wraps(rule)
    def over(package: Package) -> Iterator[str]:
        return (violation for module in package.values() for violation in violations_in_of(module))

    return over


@cache
def own_imports(module: Module, names: frozenset[str]) -> list[tuple[int, str]]:
    """Return the line and the name of each module of this package that a module imports or imports from."""
    imports = [(line, {imported, imported.rpartition(".")[0]} & names) for line, imported in module.imports]
    return [(line, max(own, key=len)) for line, own in imports if own]


def parts_import_only_allowed_parts(package: Package) -> Iterator[str]:
    """Training and serving never import each other; shared modules import neither."""
    names = frozenset(package)
    for module in package.values():
        for line, name in own_imports(module, names):
            target = package[name]
            if target.part not in ALLOWED_PARTS[module.part]:
                yield f"{module.path}:{line} is {module.part} and imports {name} of {target.part}"


def packages_import_only_allowed_packages(package: Package) -> Iterator[str]:
    """Each package of serving and training imports only the packages in its row of PACKAGES."""
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
    """A package has at most 12 modules, and its docstring starts with one sentence about its purpose."""
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
def parts_import_only_allowed_libraries(module: Module) -> Iterator[str]:
    """Each part imports only the standard library and the libraries that it is allowed."""
    own = {"settings.py": {"pydantic_settings"}, "storage.py": {"fsspec"}}
    allowed = LIBRARIES[module.part] | own.get(module.path, set())
    for line, imported in module.imports:
        library = imported.split(".")[0]
        if library not in {"recommender", *sys.stdlib_module_names, *allowed}:
            yield f"{module.path}:{line} is {module.part} and imports {library}"


@of_each_module
def nothing_imports_by_string(module: Module) -> Iterator[str]:
    """Only `recommender/__init__.py` imports by a string."""
    for line, used in module.uses:
        if used in {"importlib.import_module", "__import__"} and module.part != "package":
            yield f"{module.path}:{line} uses {used}"


@of_each_module
def restricted_calls_stay_in_their_modules(module: Module) -> Iterator[str]:
    """Only one module each uses the models folder, the environment, a database and the terminal."""
    holder_of = {thing: holder for holder, things in ONLY_USERS.items() for thing in things}
    for line, used in module.uses:
        ends = [at for at in range(1, len(used)) if used[at] == "."]
        for thing in {used, *(used[:end] for end in ends)} & set(holder_of):
            if not module.path.startswith(tuple(holder_of[thing].split())):
                may = f"only {holder_of[thing]}" if holder_of[thing] else "nobody"
                yield f"{module.path}:{line} uses {used}, as {may} may"


@of_each_module
def nothing_runs_at_import(module: Module) -> Iterator[str]:
    """At import, a module only imports, defines and assigns."""
    plain = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
    for node in module.tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        program = isinstance(node, ast.If) and ast.unparse(node.test) in {
            "__name__ == '__main__'",
            "TYPE_CHECKING",  # never runs
            "not TYPE_CHECKING",
        }
        if not (isinstance(node, plain) or docstring or program):
            yield f"{module.path}:{node.lineno} works at import: {ast.unparse(node)[:40]}"


def there_is_no_import_cycle(package: Package) -> Iterator[str]:
    """No module imports itself through others, also inside functions."""
    names = frozenset(package)
    graph = {module.name: {name for _, name in own_imports(module, names)} for module in package.values()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"an import cycle: {' <- '.join(error.args[1])}"


@of_each_module
def modules_and_functions_are_short(module: Module) -> Iterator[str]:
    """A module has at most 400 lines, a function 60; a longer compiled kernel gives its reason in a noqa."""
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
def public_names_have_docstrings(module: Module) -> Iterator[str]:
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
    parts_import_only_allowed_parts,
    packages_import_only_allowed_packages,
    packages_are_small_and_have_one_purpose,
    parts_import_only_allowed_libraries,
    nothing_imports_by_string,
    restricted_calls_stay_in_their_modules,
    nothing_runs_at_import,
    there_is_no_import_cycle,
    modules_and_functions_are_short,
    public_names_have_docstrings,
]


def violations_in(package: Package) -> set[str]:
    """Return every violation of a rule in the package, with its file and line."""
    return {violation for rule in RULES for violation in rule(package)}


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*sys.modules)
"""


def run_python(root: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, with the package at `root`."""
    environment = os.environ | {"PYTHONPATH": str(root.parent)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, env=environment, cwd=root.parent, capture_output=True, text=True, check=False
    )


def loaded(root: Path, *parts: str) -> set[str]:
    """Return the names of all modules that are loaded when these parts are imported."""
    names = [module.name for module in package_at(root).values() if module.part in parts]
    done = run_python(root, IMPORT_ALL, *names)
    assert not done.returncode, done.stderr
    return set(done.stdout.split())


def libraries_among(modules: set[str]) -> set[str]:
    every = TRAINING | SERVING | COMMANDS | {"pydantic_settings"}
    return {module.split(".")[0] for module in modules} & every


def planted(package: Package, path: str, code: str) -> Package:
    """Return the package with code appended to a module."""
    module = next(module for module in package.values() if module.path == path)
    return package | {module.name: Module(path, f"{module.source}\n\n{code}\n")}
