"""What HTTP answers, in the terminal: related lists, what is similar to a text, and topics."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
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
    from recommender.serving.schemas import AddressedRelatedParameters, read_query

    pairs = [("id", article_id), *((name, value) for name, value in given.items() if value)]
    parameters = read_query(AddressedRelatedParameters, urlencode(pairs, doseq=True))
    query = parameters.query(parameters.unknown)
    _print_list(models_dir, as_json, lambda lists, now: lists.of(article_id, query, now))


@click.command()
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


@click.command()
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
