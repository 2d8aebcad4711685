"""Training: a corpus read, checked, trained, measured and published."""

import functools
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from recommender.commands.export_live import read_live, settle
from recommender.commands.files import write
from recommender.options import corpus_options, json_option, models_dir_option, reading

REFUSED = 3  # the exit status


@click.command()
@functools.partial(corpus_options, required=False)
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
@click.option(
    "--with-live", is_flag=True, help="take in what the database holds; CORPUS may then be left out"
)
@click.option("--threads", type=click.IntRange(1, 256), help="default: all cores")
def train(corpus: tuple[Path, ...], models_dir: Path, threads: int | None, **given: Any) -> None:
    """Read CORPUS (files or folders of JSONL, CSV, Parquet, WordPress exports, feeds), train, and publish.

    A model that the quality gate refuses is not published; the exit status is then 3. With --with-live, newer
    articles of the database stand in for those of CORPUS, and what was withdrawn is taken out.
    """
    from recommender.recipe import Recipe
    from recommender.terminal import Bars, training_summary
    from recommender.training.evaluation.labels import check_labels, read_labels
    from recommender.training.release.previous import Baseline, check_common, read_baseline
    from recommender.training.release.release import release
    from recommender.training.train import train as fit

    if not (corpus or given["with_live"]):
        raise click.UsageError("Missing argument 'CORPUS...'.")
    live = read_live() if given["with_live"] else None
    recipe = Recipe.from_toml(given["recipe_path"]) if given["recipe_path"] else Recipe()
    labels = read_labels(given["labels_path"]) if given["labels_path"] else None
    baseline = None if given["baseline"] is None else read_baseline(given["baseline"], models_dir)
    bars = Bars(Console(stderr=True))
    began = time.perf_counter()
    read = _read(corpus, given, bars)
    merge = live.merged(read.articles) if live else None
    articles, report = (merge or read).articles, read.report
    seconds = {"reading": time.perf_counter() - began}
    if labels:
        check_labels(labels, frozenset(article.id for article in articles))
    if baseline:
        check_common(baseline, articles)
    previous = _previous_model(models_dir)
    if previous and not baseline:
        baseline = Baseline(previous.manifest.version, previous)
    trained = fit(
        articles, recipe, refused=report.refused_rows, threads=threads, progress=bars, previous=previous
    )
    done = release(
        trained, models_dir, baseline=baseline, labels=labels, reading=report, gate=given["gate"],
        threads=threads, progress=bars,
    )  # fmt: skip
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds |= trained.seconds | done.seconds
    told = settle(models_dir, live, merge, published=bool(done.version)) if live else ""
    Console().print(training_summary(trained.model, done, report, seconds, peak_bytes, told))
    if not done.version:
        click.echo(f"report: {done.refused_report}", err=True)
        click.echo(f"refused by quality gate: {'; '.join(done.verdict.reasons)}", err=True)
        sys.exit(REFUSED)


@click.command()
@corpus_options
@json_option
def lint(corpus: tuple[Path, ...], as_json: bool, **given: Any) -> None:  # noqa: FBT001 a flag
    """Tell what is wrong with CORPUS, with row numbers; the exit status is 0 whatever is found."""
    from dataclasses import asdict

    from recommender.terminal import Bars, lint_table
    from recommender.training.readers.lint import lint as check

    with Bars(Console(stderr=True)).reading() as advance:
        report = check(*corpus, progress=advance, **reading(given))
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False, indent=2))
    else:
        Console().print(lint_table(report.files, report.articles, report.findings))


@click.command()
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
    from recommender.training.evaluation.baselines import ablations, baselines
    from recommender.training.evaluation.evaluate import evaluate as measure
    from recommender.training.evaluation.labels import read_labels
    from recommender.training.evaluation.report import html_report
    from recommender.training.readers.corpus import read_articles
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
        write(given["html_path"], html_report(report))
    if given["json_path"] and given["json_path"] != "-":
        write(given["json_path"], text + "\n")
    if given["json_path"] == "-":
        click.echo(text)
    else:
        Console().print(evaluation_table(report))


def _read(corpus: tuple[Path, ...], given: dict[str, Any], bars: Any) -> Any:
    from recommender.training.readers.corpus import Corpus, ReadingReport, read_articles

    if not corpus:
        return Corpus([], ReadingReport())
    with bars.reading() as advance:
        return read_articles(*corpus, progress=advance, **reading(given))


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
