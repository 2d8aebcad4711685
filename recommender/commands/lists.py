"""What HTTP answers, in the terminal: related lists, what is similar to a text, searches, and topics."""

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

from recommender.options import json_option, list_options, models_dir_option


@click.command()
@click.argument("article_id", metavar="ID")
@list_options
@click.option("--unknown", help="404, or fallback: the newest for an unknown ID  [default: 404]")
def related(article_id: str, models_dir: Path, as_json: bool, **given: Any) -> None:  # noqa: FBT001
    """Print the related list of the article ID."""
    from recommender.serving.http.parameters import AddressedRelatedParameters, read_query

    pairs = [("id", article_id), *((name, value) for name, value in given.items() if value)]
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
@click.option("--title", default="", help="plain text or HTML")
@click.option("--body", default="", help="plain text or HTML; - reads it from stdin")
@click.option("--published-at", metavar="DATE", help="ISO 8601  [default: now]")
@list_options
def similar(title: str, body: str, models_dir: Path, as_json: bool, **given: Any) -> None:  # noqa: FBT001
    """Print the articles that are similar to a text."""
    from recommender.serving.http.parameters import Text, validate_body

    text = sys.stdin.read() if body == "-" else body
    fields = {name: value for name, value in given.items() if value}
    parameters = validate_body(Text, {"title": title, "body": text, **fields})
    article, query = parameters.article(), parameters.query()
    _print_list(
        models_dir,
        as_json,
        lambda lists, now, trending: lists.like(article, query, now, trending=trending),
    )


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", help="1 to 50  [default: 9]")
@click.option("--category", multiple=True, help="name or slug; repeatable")
@click.option("--lang", help="a language code, or any  [default: any]")
@models_dir_option
@json_option
def search(words: tuple[str, ...], models_dir: Path, as_json: bool, **given: Any) -> None:  # noqa: FBT001
    """Print the articles that hold the WORDS; the last may be the beginning of one."""
    from recommender.serving.http.parameters import SearchParameters, read_query
    from recommender.terminal import list_table

    asked = " ".join(words)
    pairs = [("q", asked), *((name, value) for name, value in given.items() if value)]
    parameters = read_query(SearchParameters, urlencode(pairs, doseq=True, errors="surrogateescape"))
    with _context(models_dir) as context:
        view = context.view()
        found = view.related.search(
            asked, parameters.limit, view.now, categories=parameters.category, lang=parameters.lang
        )
        answer = view.builder().whole_list(found)
        if as_json:
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            Console().print(list_table(answer, f"What holds {asked!r}"))


@click.command()
@models_dir_option
@json_option
def topics(models_dir: Path, as_json: bool) -> None:  # noqa: FBT001
    """Print the topics, the largest first, each with its terms and a typical headline."""
    from recommender.serving.lists.topics import all_topics, headline
    from recommender.terminal import topics_table

    with _context(models_dir) as context:
        lists, now = context.related, context.clock()
        answer = all_topics(lists, now)
        if as_json:
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        else:
            headlines = [headline(lists, topic["slug"], now) for topic in answer["topics"]]
            Console().print(topics_table(answer, headlines))


def _print_list(
    models_dir: Path,
    as_json: bool,  # noqa: FBT001
    ask: Callable[[Any, Any, Any], Any],
) -> None:
    from recommender.terminal import list_table

    with _context(models_dir) as context:
        view = context.view()
        lists, now = view.related, view.now
        trending, _ = view.trends(context.leaderboards(view))  # a worker has them ready
        found = ask(lists, now, trending)
        answer = view.builder().whole_list(found)
        if as_json:
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
            return
        row = None if found.article_id is None else lists.find(found.article_id, now)
        heading = "Similar to the text" if found.article_id is None else "The newest articles"
        if row is not None:
            heading = f"Related to {lists.articles.titles[row]!r}"
        Console().print(list_table(answer, heading))


@contextmanager
def _context(models_dir: Path) -> Iterator[Any]:
    """Open what a worker that starts now would answer from; no database and no state file are made."""
    from recommender.artifact import current_version
    from recommender.serving.store import Store
    from recommender.serving.worker.context import Context
    from recommender.settings import Settings

    logging.getLogger("recommender").addHandler(logging.NullHandler())  # errors are told as such
    settings = Settings.read(models_dir=models_dir)
    current_version(models_dir)  # what is wrong with the folder is wrong whatever the database holds
    with TemporaryDirectory() as folder:
        state_file = Path(folder) / "state.json"
        if settings.state_file.exists():
            shutil.copy(settings.state_file, state_file)
        aside: dict[str, Any] = {"state_file": state_file}
        if not Store.of(settings).is_there:
            aside["database_url"] = f"sqlite:///{folder}/none.db"
        context = Context(settings.model_copy(update=aside))
        with closing(context.store):
            _ = context.follower.snapshot
            if "store" in context.follower.state.degraded:
                click.echo("note: the database does not answer; this is what was last seen of it", err=True)
            yield context
