"""The command line: thin commands over the library. Results go to stdout, progress and errors to stderr."""

import functools
import json
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
from rich.console import Console

from recommender.commands.keys import key
from recommender.options import (
    corpus_options,
    json_option,
    list_options,
    models_dir_option,
    reading,
)

_FAILED, _WRONG_USE, _REFUSED = 1, 2, 3
_THREADS_EACH = 32  # of a web worker: a text being scored holds up no list


def main() -> None:
    """Run the command line; the exit status is 0 done, 1 failed, 2 wrong use, 3 refused by the gate."""
    try:
        cli()
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("recommender"):
            raise
        click.echo(f"error: this needs {missing.name}: pip install 'recommender[train]'", err=True)
        sys.exit(_FAILED)
    except _known_errors() as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(_WRONG_USE if isinstance(error, _wrong_use()) else _FAILED)


@click.group(
    commands=[key], context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="recommender")
def cli() -> None:
    """Related articles for news sites: train a model offline, serve it over HTTP."""


@cli.command()
@corpus_options
@models_dir_option
@click.option("--recipe", "recipe_path", type=click.Path(path_type=Path), help="a recipe in TOML")
@click.option(
    "--labels", "labels_path", type=click.Path(path_type=Path), help="CSV: id,story_id or a,b,grade"
)
@click.option(
    "--baseline",
    help="a version, or a report of evaluate --json, to compare with  [default: the current one]",
)
@click.option("--gate/--no-gate", default=True, help="--no-gate publishes a model that is worse, too")
@click.option("--threads", type=click.IntRange(1, 256), help="default: all cores")
def train(corpus: tuple[Path, ...], models_dir: Path, threads: int | None, **given: Any) -> None:
    """Read CORPUS (files or folders of JSONL, CSV, Parquet or WordPress exports), train, and publish.

    A model that the quality gate refuses is not published; the exit status is then 3.
    """
    from recommender.recipe import Recipe
    from recommender.terminal import Bars, training_summary
    from recommender.training.corpus import read_articles
    from recommender.training.labels import check_labels, read_labels
    from recommender.training.previous import Baseline, check_common, read_baseline
    from recommender.training.release import release
    from recommender.training.train import train as fit

    recipe = Recipe.from_toml(given["recipe_path"]) if given["recipe_path"] else Recipe()
    labels = read_labels(given["labels_path"]) if given["labels_path"] else None
    baseline = None if given["baseline"] is None else read_baseline(given["baseline"], models_dir)
    bars = Bars(Console(stderr=True))
    began = time.perf_counter()
    with bars.reading() as advance:
        read = read_articles(*corpus, progress=advance, **reading(given))
    seconds = {"reading": time.perf_counter() - began}
    if labels:
        check_labels(labels, frozenset(article.id for article in read.articles))
    if baseline:
        check_common(baseline, read.articles)
    previous = _previous_model(models_dir)
    if previous and not baseline:
        baseline = Baseline(previous.manifest.version, previous)
    refused_rows = read.report.refused_rows
    trained = fit(
        read.articles, recipe, refused=refused_rows, threads=threads, progress=bars, previous=previous
    )
    done = release(
        trained, models_dir, baseline=baseline, labels=labels, reading=read.report, gate=given["gate"],
        threads=threads, progress=bars,
    )  # fmt: skip
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds |= trained.seconds | done.seconds
    Console().print(training_summary(trained.model, done, read.report, seconds, peak_bytes))
    if not done.version:
        click.echo(f"report: {done.refused_report}", err=True)
        click.echo(f"refused by quality gate: {'; '.join(done.verdict.reasons)}", err=True)
        sys.exit(_REFUSED)


@cli.command()
@corpus_options
@json_option
def lint(corpus: tuple[Path, ...], as_json: bool, **given: Any) -> None:  # noqa: FBT001 a flag
    """Tell what is wrong with CORPUS, with row numbers; the exit status is 0 whatever is found."""
    from dataclasses import asdict

    from recommender.terminal import Bars, lint_table
    from recommender.training.lint import lint as check

    with Bars(Console(stderr=True)).reading() as advance:
        report = check(*corpus, progress=advance, **reading(given))
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False, indent=2))
    else:
        Console().print(lint_table(report.files, report.articles, report.findings))


@cli.command()
@functools.partial(corpus_options, required=False)
@models_dir_option
@click.option("--version", "version", help="a published version  [default: the current one]")
@click.option("--recipe", "recipe_path", type=click.Path(path_type=Path), help="a recipe in TOML, for CORPUS")
@click.option(
    "--labels", "labels_path", type=click.Path(path_type=Path), help="CSV: id,story_id or a,b,grade"
)
@click.option("--baselines", is_flag=True, help="measure what one would show instead, too")
@click.option("--ablations", is_flag=True, help="train again without each ingredient, and measure that, too")
@click.option(
    "--json", "json_path", metavar="FILE", help="write the report; - prints it in the table's place"
)
@click.option("--html", "html_path", metavar="FILE", help="write a page with plots")
@click.option("--threads", type=click.IntRange(1, 256), help="default: all cores")
def evaluate(corpus: tuple[Path, ...], **given: Any) -> None:
    """Measure how good lists are: of a published version, or of a model freshly trained on CORPUS."""
    from recommender.artifact import open_current, open_version
    from recommender.recipe import Recipe
    from recommender.terminal import Bars, evaluation_table
    from recommender.training.baselines import ablations, baselines
    from recommender.training.corpus import read_articles
    from recommender.training.evaluation import evaluate as measure
    from recommender.training.labels import read_labels
    from recommender.training.report import html_report
    from recommender.training.train import train as fit

    bars = Bars(Console(stderr=True))
    labels = read_labels(given["labels_path"]) if given["labels_path"] else None
    if corpus:
        if given["version"]:
            raise click.UsageError("--version names a published model; CORPUS trains a new one")
        recipe = Recipe.from_toml(given["recipe_path"]) if given["recipe_path"] else Recipe()
        read = read_articles(*corpus, **reading(given))
        model = fit(read.articles, recipe, threads=given["threads"], progress=bars).model
    elif given["recipe_path"]:
        raise click.UsageError("--recipe is for a model trained on CORPUS; a published one has its own")
    elif given["version"]:
        model = open_version(given["models_dir"], given["version"])
    else:
        model = open_current(given["models_dir"])
    others = [
        *(baselines() if given["baselines"] else ()),
        *(ablations(model.manifest) if given["ablations"] else ()),
    ]
    report = measure(model, labels, systems=others, threads=given["threads"], progress=bars)
    text = report.model_dump_json(indent=2)
    if given["html_path"]:
        _write(given["html_path"], html_report(report))
    if given["json_path"] and given["json_path"] != "-":
        _write(given["json_path"], text + "\n")
    if given["json_path"] == "-":
        click.echo(text)
    else:
        Console().print(evaluation_table(report))


@cli.command()
@click.option("--models-dir", type=click.Path(path_type=Path), help="published versions  [default: models]")
@click.option("--host", help="address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: 8000]")
@click.option(
    "--workers", type=click.IntRange(1, 256), help="processes that share the model's memory  [default: 1]"
)
def serve(**given: Any) -> None:
    """Serve the current model over HTTP; options win over RECOMMENDER_… variables."""
    from granian import Granian
    from granian.constants import Interfaces

    from recommender.artifact import ArtifactError, current_version
    from recommender.settings import Settings

    settings = Settings.read(**{name: value for name, value in given.items() if value is not None})
    try:
        model = f"model {current_version(settings.models_dir)}"
    except ArtifactError as error:
        model = f"no model yet: {error}"
    _check_address(settings.host, settings.port)
    settings.export()
    click.echo(f"http://{settings.host}:{settings.port}/demo/ ({model})", err=True)
    Granian(
        "recommender.serving.app:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        blocking_threads=_THREADS_EACH,
        respawn_failed_workers=True,
        websockets=False,
    ).serve()


@cli.command()
@click.argument("article_id", metavar="ID")
@list_options
@click.option("--unknown", help="404, or fallback: the newest for an unknown ID  [default: 404]")
def related(article_id: str, models_dir: Path, as_json: bool, **given: Any) -> None:  # noqa: FBT001
    """Print the related list of the article ID."""
    from recommender.serving.schemas import AddressedRelatedParameters, read_query

    pairs = [("id", article_id), *((name, value) for name, value in given.items() if value)]
    parameters = read_query(AddressedRelatedParameters, urlencode(pairs, doseq=True))
    query = parameters.query(parameters.unknown)
    _print_list(models_dir, as_json, lambda lists, now: lists.of(article_id, query, now))


@cli.command()
@click.option("--title", default="", help="plain text or HTML")
@click.option("--body", default="", help="plain text or HTML; - reads it from stdin")
@click.option("--published-at", metavar="DATE", help="ISO 8601  [default: now]")
@list_options
def similar(title: str, body: str, models_dir: Path, as_json: bool, **given: Any) -> None:  # noqa: FBT001
    """Print the articles that are similar to a text."""
    from recommender.serving.schemas import Text, read_body

    text = sys.stdin.read() if body == "-" else body
    fields = {name: value for name, value in given.items() if value}
    parameters = read_body(Text, json.dumps({"title": title, "body": text, **fields}).encode())
    article = parameters.article()
    _print_list(models_dir, as_json, lambda lists, now: lists.like(article, parameters.query(), now))


@cli.command()
@models_dir_option
@json_option
def topics(models_dir: Path, as_json: bool) -> None:  # noqa: FBT001
    """Print the topics, the largest first, each with its terms and a typical headline."""
    from datetime import UTC, datetime

    from recommender.artifact import open_current
    from recommender.serving.related import Related
    from recommender.serving.topics import headline, topics_answer
    from recommender.terminal import topics_table

    lists, now = Related(open_current(models_dir)), datetime.now(UTC)
    answer = topics_answer(lists, now)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        headlines = [headline(lists, topic["slug"], now) for topic in answer["topics"]]
        Console().print(topics_table(answer, headlines))


@cli.group()
def models() -> None:
    """Look after the published versions."""


@models.command("list")
@models_dir_option
def list_versions(models_dir: Path) -> None:
    """List the versions, the oldest first."""
    from recommender.artifact import ArtifactError, current_version, open_version, versions
    from recommender.terminal import versions_table

    current, rows = current_version(models_dir), []
    for name in versions(models_dir):
        try:
            facts = open_version(models_dir, name, verify=False).manifest
        except ArtifactError as error:  # of an older program, or spoilt: the others are listed all the same
            click.echo(f"note: {error}", err=True)
            rows.append((name, "cannot be opened", "", name == current))
            continue
        trained_at, articles = f"{facts.trained_at:%Y-%m-%d %H:%M} UTC", f"{facts.corpus.articles:,}"
        rows.append((name, trained_at, articles, name == current))
    Console().print(versions_table(rows))


@models.command()
@click.argument("version", required=False)
@models_dir_option
def verify(version: str | None, models_dir: Path) -> None:
    """Check every file of VERSION (default: the current one) against its checksum."""
    from recommender.artifact import open_current, open_version

    model = open_version(models_dir, version) if version else open_current(models_dir)
    click.echo(f"{model.manifest.version}: {len(model.manifest.files)} files, all as published")


def _previous_model(models_dir: Path) -> Any:
    """Open the model to compare with, whose topics keep their slugs; None where none can be trusted."""
    from recommender.artifact import ArtifactError, NothingPublishedError, open_current

    try:
        return open_current(models_dir)
    except NothingPublishedError:
        return None
    except ArtifactError as error:
        click.echo(
            f"note: nothing is compared with the previous model, and topics keep no slugs of it: {error}",
            err=True,
        )
        return None


def _print_list(models_dir: Path, as_json: bool, ask: Callable[[Any, Any], Any]) -> None:  # noqa: FBT001
    from datetime import UTC, datetime

    from recommender.artifact import open_current
    from recommender.serving.answers import Standing, list_answer
    from recommender.serving.related import Related
    from recommender.settings import Settings
    from recommender.terminal import list_table

    model = open_current(models_dir)
    lists, now = Related(model), datetime.now(UTC)
    found = ask(lists, now)
    standing = Standing.of(model.manifest, now, Settings.read().stale_after_hours)
    answer = list_answer(lists, found, standing)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    row = None if found.article_id is None else lists.find(found.article_id, now)
    heading = "Similar to the text" if found.article_id is None else "The newest articles"
    if row is not None:
        heading = f"Related to {model.articles.titles[row]!r}"
    Console().print(list_table(answer, heading))


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error


def _check_address(host: str, port: int) -> None:
    """Raise SettingsError where nothing can listen; the server itself would share a port that is taken."""
    from recommender.settings import SettingsError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def _wrong_use() -> tuple[type[Exception], ...]:
    from recommender.serving.problems import Problem

    return (Problem, *_loaded_errors(("previous", "BaselineError")))


def _loaded_errors(*named: tuple[str, str]) -> list[type[Exception]]:
    """Return the errors of those modules of training that were needed."""
    modules = [(sys.modules.get(f"recommender.training.{module}"), name) for module, name in named]
    return [getattr(loaded, name) for loaded, name in modules if loaded is not None]


def _known_errors() -> tuple[type[Exception], ...]:
    """Return the errors whose message says all that a user needs."""
    from recommender.article import InvalidArticleError
    from recommender.artifact import ArtifactError
    from recommender.recipe import RecipeError
    from recommender.serving.categories import UnknownCategoryError
    from recommender.serving.problems import Problem
    from recommender.serving.related import UnknownArticleError
    from recommender.settings import SettingsError

    training = _loaded_errors(
        ("previous", "BaselineError"), ("corpus", "CorpusError"), ("labels", "LabelsError"),
        ("train", "TrainingError"),
    )  # fmt: skip
    return (
        ArtifactError, InvalidArticleError, Problem, RecipeError, SettingsError, UnknownArticleError,
        UnknownCategoryError, *training,
    )  # fmt: skip
