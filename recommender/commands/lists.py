"""Commands that print the responses of the HTTP API: related, similar, search and topics."""

import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import click
from rich.console import Console

from recommender.commands.files import echo, echo_json
from recommender.options import json_option, list_options, models_dir_option


@click.command()
@click.argument("article_id", metavar="ID")
@list_options
@click.option(
    "--unknown",
    help="Result for an unknown ID: 404, or fallback for the newest articles.  [default: 404]",
)
def related(article_id: str, models_dir: Path, as_json: bool, **options: Any) -> None:  # noqa: FBT001
    """Print the related list of the article ID."""
    from recommender.serving.http.parameters import AddressedRelatedParameters, read_query

    pairs = [("id", article_id), *((name, value) for name, value in options.items() if value)]
    parameters = read_query(
        AddressedRelatedParameters, urlencode(pairs, doseq=True, errors="surrogateescape")
    )
    query = parameters.query(parameters.unknown)
    _print_list(
        models_dir,
        as_json,
        lambda lists, now, trending: lists.of(article_id, query, now, trending=trending),
    )


@click.command()
@click.option("--title", default="", help="Title of the text, as plain text or HTML.")
@click.option("--body", default="", help="Body of the text, as plain text or HTML; - reads standard input.")
@click.option("--published-at", metavar="DATE", help="Date of the text, in ISO 8601.  [default: now]")
@list_options
def similar(title: str, body: str, models_dir: Path, as_json: bool, **options: Any) -> None:  # noqa: FBT001
    """Print the articles that are similar to a text."""
    from recommender.serving.http.parameters import Text, validate_body

    text = sys.stdin.read() if body == "-" else body
    fields = {name: value for name, value in options.items() if value}
    parameters = validate_body(Text, {"title": title, "body": text, **fields})
    article, query = parameters.article(), parameters.query()
    _print_list(
        models_dir,
        as_json,
        lambda lists, now, trending: lists.of_text(article, query, now, trending=trending),
    )


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", help="Number of articles, 1 to 50.  [default: 9]")
@click.option("--category", multiple=True, help="Only this category (name or slug); repeatable.")
@click.option("--exclude-category", multiple=True, help="Exclude this category (name or slug); repeatable.")
@click.option("--lang", help="Only this language code, or any.  [default: any]")
@models_dir_option
@json_option
def search(words: tuple[str, ...], models_dir: Path, as_json: bool, **options: Any) -> None:  # noqa: FBT001
    """Print the articles that contain all WORDS.

    The last word may be incomplete.
    """
    from recommender.serving.http.parameters import SearchParameters, read_query
    from recommender.terminal import list_table

    text = " ".join(words)
    pairs = [("q", text), *((name, value) for name, value in options.items() if value)]
    parameters = read_query(SearchParameters, urlencode(pairs, doseq=True, errors="surrogateescape"))
    with _context(models_dir) as context:
        view = context.view()
        results = view.related.search(
            text,
            parameters.limit,
            view.now,
            categories=parameters.category,
            exclude_categories=parameters.exclude_category,
            lang=parameters.lang,
        )
        response = view.builder().whole_list(results)
        if as_json:
            echo_json(json.dumps(response, ensure_ascii=False, indent=2))
        else:
            Console().print(list_table(response, f"Search results for {text!r}"))


@click.command()
@models_dir_option
@json_option
def topics(models_dir: Path, as_json: bool) -> None:  # noqa: FBT001
    """Print the topics with their terms and a typical headline."""
    from recommender.serving.lists.topics import all_topics, headline
    from recommender.terminal import topics_table

    with _context(models_dir) as context:
        lists, now = context.related, context.clock()
        response = all_topics(lists, now)
        if as_json:
            echo_json(json.dumps(response, ensure_ascii=False, indent=2))
        else:
            headlines = [headline(lists, topic["slug"], now) for topic in response["topics"]]
            Console().print(topics_table(response, headlines))


def _print_list(
    models_dir: Path,
    as_json: bool,  # noqa: FBT001
    make_list: Callable[[Any, Any, Any], Any],
) -> None:
    from recommender.terminal import list_table

    with _context(models_dir) as context:
        view = context.view()
        lists, now = view.related, view.now
        trending, _ = view.trends(context.leaderboards(view))  # a worker has them ready
        result = make_list(lists, now, trending)
        response = view.builder().whole_list(result)
        if as_json:
            echo_json(json.dumps(response, ensure_ascii=False, indent=2))
            return
        row = None if result.article_id is None else lists.find(result.article_id, now)
        heading = "Similar to the text" if result.article_id is None else "The newest articles"
        if row is not None:
            heading = f"Related to {lists.articles.titles[row]!r}"
        Console().print(list_table(response, heading))


@contextmanager
def _context(models_dir: Path) -> Iterator[Any]:
    """Open the context of a new web worker, without creating a database or a state file."""
    from recommender.artifact import current_version
    from recommender.serving.store import Store
    from recommender.serving.worker.context import Context
    from recommender.settings import Settings

    logging.getLogger("recommender").addHandler(logging.NullHandler())  # errors are raised as well
    settings = Settings.read(models_dir=models_dir)
    current_version(models_dir)  # report an error of the folder before opening the database
    with TemporaryDirectory() as folder:
        state_file = Path(folder) / "state.json"
        if settings.state_file.exists():
            shutil.copy(settings.state_file, state_file)
        temporary: dict[str, Any] = {"state_file": state_file}
        if not Store.of(settings).is_there:
            temporary["database_url"] = f"sqlite:///{folder}/none.db"
        context = Context(settings.model_copy(update=temporary))
        with closing(context.store):
            _ = context.follower.snapshot
            if "store" in context.follower.state.degraded:
                echo("note: the database does not respond; using its last known content", err=True)
            yield context
