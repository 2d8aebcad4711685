"""The commands `train`, `lint` and `evaluate`."""

import functools
import json
import resource
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from recommender.commands.exit_status import REFUSED
from recommender.commands.export_live import clean_up, read_live
from recommender.commands.files import echo, write
from recommender.commands.output import Reporting, ReportingAnyName, output_options, report, show
from recommender.commands.recorded_run import RecordedRun, recorded_run
from recommender.options import corpus_options, models_dir_option, reading


@click.command()
@functools.partial(corpus_options, required=False)
@models_dir_option
@click.option("--recipe", "recipe_path", type=click.Path(path_type=Path), help="Recipe in TOML.")
@click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    help="Labels in CSV: id,story_id or a,b,grade.",
)
@click.option(
    "--baseline",
    help="Version, or report of evaluate --json, to compare with.  [default: current version]",
)
@click.option("--gate/--no-gate", default=True, help="Whether the quality gate can refuse the model.")
@click.option(
    "--with-live",
    is_flag=True,
    help="Include the live articles of the database; CORPUS is then optional.",
)
@click.option(
    "--incremental",
    is_flag=True,
    help="Keep the vocabulary and the latent space of the current version, and compare only new articles.",
)
@click.option(
    "--max-drift",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Share of changed articles or unknown words above which --incremental fits everything again.",
)
@click.option("--threads", type=click.IntRange(1, 256), help="Number of threads.  [default: all cores]")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Dask scheduler, such as tcp://host:8786, whose workers read words and score pairs of articles.",
)
@click.option(
    "--summary",
    "summary_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the outcome in Markdown to FILE, for the page of a CI job.",
)
def train(corpus: tuple[Path, ...], models_dir: Path, summary_path: Path | None, **options: Any) -> None:
    """Train a model on CORPUS and publish it.

    CORPUS is files or folders of JSON, CSV, Parquet, Markdown, WordPress or Ghost exports or feeds.

    A model that the quality gate refuses is not published; the exit status is then 3. With --with-live, newer
    articles of the database replace those of CORPUS, and withdrawn articles are removed. The outcome is
    written to last-run.json in the models folder.
    """
    if not (corpus or options["with_live"]):
        raise click.UsageError("Missing argument 'CORPUS...'.")
    with recorded_run(models_dir, summary_path) as run:
        _train(run, corpus, models_dir, **options)


def _train(
    run: RecordedRun, corpus: tuple[Path, ...], models_dir: Path, threads: int | None, **options: Any
) -> None:
    """Train and publish, or end with the exit status of a refusal."""
    from recommender.recipe import Recipe
    from recommender.terminal import Bars, training_facts, training_summary
    from recommender.training.evaluation.labels import check_labels, read_labels
    from recommender.training.release.previous import Baseline, check_common, read_baseline
    from recommender.training.release.release import release
    from recommender.writable_folder import check_writable

    live = read_live() if options["with_live"] else None
    recipe = Recipe.from_toml(options["recipe_path"]) if options["recipe_path"] else Recipe()
    labels = read_labels(options["labels_path"]) if options["labels_path"] else None
    baseline = None if options["baseline"] is None else read_baseline(options["baseline"], models_dir)
    check_writable(models_dir)
    workers = _workers(options["scheduler"])
    bars = Bars(Console(stderr=True))
    start = time.perf_counter()
    _load_kernels(threads, bars)
    loaded = time.perf_counter()
    read = _read(corpus, options, bars)
    merged = live.merge(read.articles) if live else None
    articles, reading_report = (merged or read).articles, read.report
    seconds = {"kernels": loaded - start, "reading": time.perf_counter() - loaded}
    if labels:
        check_labels(labels, frozenset(article.id for article in articles))
    if baseline:
        check_common(baseline, articles)
    previous = _previous_model(models_dir)
    if previous and not baseline:
        baseline = Baseline(previous.manifest.version, previous)
    fit = (
        _incremental_fit(previous, models_dir, recipe, options, workers)
        if options["incremental"]
        else _full_fit(previous, workers)
    )
    trained = fit(articles, recipe, refused=reading_report.refused_rows, threads=threads, progress=bars)
    outcome = release(
        trained, models_dir, baseline=baseline, labels=labels, reading=reading_report, gate=options["gate"],
        threads=threads, progress=bars,
    )  # fmt: skip
    run.outcome, run.articles = outcome, len(trained.model.articles)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds |= trained.seconds | outcome.seconds
    live_summary = clean_up(models_dir, live, merged, published=bool(outcome.version)) if live else ""
    run.facts = training_facts(trained.model, reading_report, seconds, peak_bytes, live_summary)
    show(training_summary(run.facts, outcome))
    if not outcome.version:
        echo(f"report: {outcome.refused_report or outcome.report_fault}", err=True)
        echo(f"refused by quality gate: {'; '.join(outcome.verdict.reasons)}", err=True)
        sys.exit(REFUSED)
    newest = trained.model.articles.ids[trained.model.articles.newest[0]]
    folder = "" if models_dir == Path("models") else f" --models-dir {shlex.quote(str(models_dir))}"
    echo(f"Next: recommender related {shlex.quote(newest)}{folder}, or recommender serve{folder}")


@click.command(cls=Reporting)
@corpus_options
@output_options
def lint(corpus: tuple[Path, ...], **options: Any) -> None:
    """Report the problems in CORPUS, with row numbers.

    The exit status is 0 even if there are problems.
    """
    from dataclasses import asdict

    from recommender.terminal import Bars, example_text, lint_table
    from recommender.training.readers.lint import lint as check

    with Bars(Console(stderr=True)).reading() as advance:
        checked = check(*corpus, progress=advance, **reading(options))

    def records() -> list[dict[str, Any]]:
        return [
            {
                "finding": finding.kind,
                "count": finding.count,
                "examples": "; ".join(map(example_text, finding.examples)),
                "advice": finding.advice,
            }
            for finding in checked.findings
        ]

    document = functools.partial(json.dumps, asdict(checked), ensure_ascii=False, indent=2)
    report(options, lambda: lint_table(checked), records, document)


@click.command(cls=ReportingAnyName)
@functools.partial(corpus_options, required=False)
@models_dir_option
@click.option("--version", "version", help="Published version to evaluate.  [default: current version]")
@click.option(
    "--recipe", "recipe_path", type=click.Path(path_type=Path), help="Recipe in TOML, only with CORPUS."
)
@click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    help="Labels in CSV: id,story_id or a,b,grade.",
)
@click.option("--baselines", is_flag=True, help="Also evaluate simple baselines, such as BM25.")
@click.option(
    "--ablations", is_flag=True, help="Also train and evaluate the model without each of its ingredients."
)
@output_options
@click.option("--html", "html_path", metavar="FILE", help="Write an HTML page with plots.")
@click.option("--threads", type=click.IntRange(1, 256), help="Number of threads.  [default: all cores]")
def evaluate(corpus: tuple[Path, ...], **options: Any) -> None:
    """Measure the quality of related lists.

    Evaluate a published version or, with CORPUS, a model newly trained on it.
    """
    from recommender.artifact import open_current, open_version
    from recommender.list_tables import evaluation_records, evaluation_table
    from recommender.recipe import Recipe
    from recommender.terminal import Bars
    from recommender.training.evaluation.baselines import ablations, baselines
    from recommender.training.evaluation.evaluate import evaluate as measure
    from recommender.training.evaluation.labels import read_labels
    from recommender.training.evaluation.report import html_report
    from recommender.training.readers.corpus import read_articles
    from recommender.training.train import train as fit

    bars = Bars(Console(stderr=True))
    labels = read_labels(options["labels_path"]) if options["labels_path"] else None
    if corpus:
        if options["version"]:
            raise click.UsageError("--version and CORPUS cannot be combined; CORPUS trains a new model")
        recipe = Recipe.from_toml(options["recipe_path"]) if options["recipe_path"] else Recipe()
        _load_kernels(options["threads"], bars)
        read = read_articles(*corpus, **reading(options))
        model = fit(read.articles, recipe, threads=options["threads"], progress=bars).model
    elif options["recipe_path"]:
        raise click.UsageError("--recipe requires CORPUS; a published version has its own recipe")
    elif options["version"]:
        model = open_version(options["models_dir"], options["version"])
    else:
        model = open_current(options["models_dir"])
    others = [
        *(baselines() if options["baselines"] else ()),
        *(ablations(model.manifest) if options["ablations"] else ()),
    ]
    evaluation = measure(model, labels, systems=others, threads=options["threads"], progress=bars)
    if options["html_path"]:
        write(options["html_path"], html_report(evaluation))
    report(
        options,
        lambda: evaluation_table(evaluation),
        lambda: evaluation_records(evaluation),
        lambda: evaluation.model_dump_json(indent=2),
    )


def _workers(scheduler: str | None) -> Any:
    """Connect to the workers of a Dask cluster until the command ends."""
    if scheduler is None:
        return None
    from recommender.training.cluster import connect

    return click.get_current_context().with_resource(connect(scheduler))


def _full_fit(previous: Any, workers: Any) -> Callable[..., Any]:
    """Return the function that trains, and keeps the slugs of topics of the previous model."""
    from recommender.training.train import train as fit

    return functools.partial(fit, previous=previous, workers=workers)


def _incremental_fit(
    previous: Any, models_dir: Path, recipe: Any, options: dict[str, Any], workers: Any
) -> Callable[..., Any]:
    """Return the function that trains incrementally, or that fits everything if it must; print why."""
    from recommender.training.incremental.retrain import CannotContinueError, Published, train_incrementally

    def note(reason: object) -> None:
        echo(f"note: everything is fitted again: {reason}", err=True)

    if previous is None:
        note(f"there is no current version in {models_dir} to continue")
        return _full_fit(previous, workers)
    try:
        published = Published.of(previous, models_dir, recipe)
    except CannotContinueError as error:
        note(error)
        return _full_fit(previous, workers)
    return functools.partial(
        train_incrementally, published=published, max_drift=options["max_drift"], note=note, workers=workers
    )


def _load_kernels(threads: int | None, bars: Any) -> None:
    """Load the compiled kernels; after an installation or an update, compile them and show a bar."""
    from recommender.training.kernels import compile_kernels, cores

    def started(kernels: int) -> Callable[[float], None]:
        echo("compiling numeric kernels, once per installation …", err=True)
        advance: Callable[[float], None] = bar.enter_context(bars.step("compiling", kernels, "kernels"))
        return advance

    with ExitStack() as bar:
        compile_kernels(threads or cores(), started)


def _read(corpus: tuple[Path, ...], options: dict[str, Any], bars: Any) -> Any:
    from recommender.training.readers.corpus import Corpus, read_articles
    from recommender.training.readers.report import ReadingReport

    if not corpus:
        return Corpus([], ReadingReport())
    with bars.reading() as advance:
        return read_articles(*corpus, progress=advance, **reading(options))


def _previous_model(models_dir: Path) -> Any:
    """Return the current model, for comparison and for the slugs of topics; None if it cannot be opened."""
    from recommender.artifact import ArtifactError, NothingPublishedError, open_current

    try:
        return open_current(models_dir)
    except NothingPublishedError:
        return None
    except ArtifactError as error:
        echo(
            f"note: the model is not compared with the previous one, and topics get new slugs: {error}",
            err=True,
        )
        return None
