"""The Python API: visible to people and type checkers, with examples that run, and displays of one screen."""

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import recommender
from tests.support.sample import NOW

if TYPE_CHECKING:
    from recommender.training.train import Trained

SCREEN = 1_000  # characters of a repr


@pytest.fixture(scope="module")
def names(trained: "Trained", tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the examples use."""
    folder = tmp_path_factory.mktemp("examples")
    trained.publish(folder)
    labels = recommender.read_labels(recommender.sample_file("stories.csv"))
    events = recommender.read_events(recommender.sample_file("views.parquet"))
    return {
        "recommender": recommender,
        "corpus": recommender.read_articles(recommender.sample_file(), now=NOW),
        "trained": trained,
        "model": trained.model,
        "labels": labels,
        "events": events,
        "backtest_report": recommender.backtest(events[events["ts"] < "2026-09-21T05:00Z"]),
        "report": recommender.evaluate(trained.model, labels, resamples=100),
        "models_dir": folder,
    }


def examples_of(name: str) -> list[doctest.DocTest]:
    value = getattr(recommender, name)
    return [found for found in doctest.DocTestFinder(recurse=True).find(value, name) if found.examples]


@pytest.mark.slow
@pytest.mark.parametrize("name", recommender.__all__)
def test_the_examples_of_every_public_name_run(name: str, names: dict[str, Any]) -> None:
    examples = examples_of(name)
    written: list[str] = []

    for example in examples:
        example.globs = dict(names)
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=written.append)

    assert any(example.name == name for example in examples), "the docstring has no example"
    assert written == []


@pytest.mark.slow
def test_the_example_of_the_package_runs() -> None:
    assert doctest.testmod(recommender, extraglobs={"recommender": recommender}).failed == 0


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert [name for name in dir(recommender) if not name.startswith("__")] == sorted(recommender.__all__)


def test_the_names_for_type_checkers_are_the_public_names() -> None:
    block = inspect.getsource(recommender).partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    imported = {
        name.strip()
        for names in re.findall(r"import (\([^)]*\)|[^\n(]+)", block)
        for name in names.strip("()").split(",")
        if name.strip()
    }

    assert imported == set(recommender.__all__) == set(recommender._HOME)


def test_a_web_worker_loads_no_training_library_through_the_public_names() -> None:
    code = "import sys, recommender as r; r.Related, r.Model, dir(r); print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {"recommender.model"} <= set(loaded.split())
    assert not {"pandas", "sklearn", "numba", "pyarrow", "recommender.training"} & set(loaded.split())


@pytest.mark.slow
def test_completion_in_a_notebook_lists_the_names_without_loading_training_libraries() -> None:
    code = """
import sys
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import recommender")
with provisionalcompleter():
    print(*(found.text for found in shell.Completer.completions("recommender.", 12)))
print(*sys.modules)
shell.run_cell("print(recommender.train.__name__)")
"""
    command = [sys.executable, "-c", code]

    listed, loaded, used = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert set(recommender.__all__) <= set(listed.split())
    assert not {"pandas", "sklearn", "numba", "pyarrow", "recommender.training"} & set(loaded.split())
    assert used == "train"


def test_a_display_fits_one_screen(names: dict[str, Any]) -> None:
    corpus, trained = names["corpus"], names["trained"]
    recipe = recommender.Recipe().replace(terms={"title_weight": 2})
    shown = [
        corpus,
        corpus.report,
        trained,
        trained.model,
        recipe,
        names["report"],
        names["backtest_report"],
        names["labels"],
    ]

    for value in [*shown, recommender.lint(recommender.sample_file()), corpus.articles[0]]:
        assert len(repr(value)) < SCREEN, type(value)
        assert "\n" not in repr(value)
    for value in shown:
        assert value._repr_html_().startswith("<table>")


@pytest.mark.slow
def test_a_comparison_fits_one_screen(names: dict[str, Any]) -> None:
    comparison = recommender.compare(names["corpus"], {"now": recommender.Recipe()}, names["labels"])

    assert len(repr(comparison)) < SCREEN
    assert comparison._repr_html_().startswith("<table>")


def test_a_display_escapes_what_others_wrote() -> None:
    article = recommender.Article(id="1", title="<b>\x1b[31m" + "x" * 1000)

    assert "\x1b" not in repr(article)
    assert len(repr(article)) < 200
    labels = recommender.LabelFile.of_stories([], source="<b>")
    assert "&lt;b&gt;" in labels._repr_html_()


API: Any = recommender  # a type checker refuses the calls below, too
WRONG_CALLS: list[tuple[Any, str]] = [
    (lambda _: API.train("a.csv"), "call train(read_articles('a.csv'))"),
    (lambda _: API.train([{"id": "1", "title": "x"}]), "call train(pandas.DataFrame(rows))"),
    (lambda _: API.train(3), "call train(read_articles(…))"),
    (lambda n: API.train(n["corpus"], {"terms": {}}), "Recipe.from_toml(path)"),
    (lambda n: API.train(n["corpus"], columns={"body": "x"}), "columns are only for a data frame"),
    (lambda n: API.evaluate(n["trained"]), "evaluate(train(corpus).model)"),
    (lambda n: API.evaluate(n["model"], "a.csv"), "read_labels(path)"),
    (lambda n: API.publish(n["trained"], "m"), "train(corpus).publish(models_dir)"),
    (lambda n: API.neighbors_frame(n["trained"]), "train(corpus).model"),
    (lambda _: API.display_table(pd.Series([1])), "call display_table(series.to_frame())"),
    (lambda n: n["model"].similar(3.5), "an id, a text or an Article, not float"),
    (lambda n: n["model"].similar(["1001"]), "pass one article at a time"),
    (lambda n: API.compare(n["corpus"], API.Recipe()), '{"now": Recipe(), '),
    (lambda n: API.compare(n["corpus"], {"a": {}}), '{"now": Recipe(), '),
    (lambda n: API.tune(n["corpus"], {"terms.title_weight": 3}), "a list of values"),
    (lambda n: API.tune(n["corpus"], [1]), "a dict of values by key"),
    (lambda _: API.backtest([]), "pass a path, or pandas.DataFrame(rows)"),
    (lambda n: API.backtest(n["events"], {"top": 5}), "pass BacktestSettings(top=5)"),
    (lambda _: API.read_events(3), "pass a path, or pandas.DataFrame(rows)"),
    (lambda _: API.rank_trending([], NOW), "pass a path, or pandas.DataFrame(rows)"),
    (lambda _: API.read_labels(pd.DataFrame()), "call LabelFile.of_stories("),
    (lambda _: API.RelatedArticles().fit("text"), "pass a list of texts"),
]


@pytest.mark.parametrize(("call", "cure"), WRONG_CALLS)
def test_a_wrong_type_names_the_right_call(call: Any, cure: str, names: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as raised:
        call(names)

    assert cure in str(raised.value)


def test_similar_accepts_an_id_an_article_or_a_text(names: dict[str, Any]) -> None:
    model, article = names["model"], names["corpus"].articles[0]
    text = recommender.Article(id="any", body="The island ferry stops in winter")

    by_id, by_article = dict(model.similar("1001")), dict(model.similar(article))
    assert model.similar(1001) == model.similar("1001")
    assert by_article == pytest.approx(by_id, abs=1e-6)
    assert model.similar(text.body) == model.similar(text)
    with pytest.raises(KeyError, match="no article 'ferry'"):
        model.similar("ferry")


@pytest.mark.slow
def test_a_script_that_uses_every_public_name_passes_strict_type_checks(tmp_path: Path) -> None:
    script = Path(__file__).parent / "support" / "user_script.py"
    used = set(re.findall(r"\br\.(\w+)", script.read_text(encoding="utf-8")))
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import recommender as r\nr.trian\nr.train(3)\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"]

    checked = subprocess.run([*command, script], capture_output=True, text=True, check=False)
    refused = subprocess.run([*command, wrong], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout
    assert used == set(recommender.__all__)
    assert 'Module has no attribute "trian"' in refused.stdout
    assert 'Argument 1 to "train" has incompatible type "int"' in refused.stdout
