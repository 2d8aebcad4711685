"""Commands that print the responses of the HTTP API: related, similar, search and topics."""

import json
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import click

from recommender.commands.files import echo
from recommender.commands.output import Reporting, output_options, report
from recommender.options import list_options, models_dir_option
from recommender.printable import one_line

_MOST_MATCHES = 50  # titles that are looked at
_OTHERS = 5  # further articles that are named if words match several


@click.command(cls=Reporting)
@click.argument("article", nargs=-1, required=True, metavar="ID|URL|WORDS...")
@list_options
@output_options
@click.option(
    "--unknown",
    help="Result for an unknown ID: 404, or fallback for the newest articles.  [default: 404]",
)
def related(article: tuple[str, ...], models_dir: Path, **options: Any) -> None:
    """Print the related list of an article.

    The article is given by its id, by its URL, or by words of its title.
    """
    from recommender.serving.http.parameters import AddressedRelatedParameters, read_query
    from recommender.serving.lists.related import UnknownArticleError, WithdrawnArticleError

    text = " ".join(article)
    outputs = _outputs(options)
    pairs = [("id", text), *((name, value) for name, value in options.items() if value)]
    parameters = read_query(
        AddressedRelatedParameters, urlencode(pairs, doseq=True, errors="surrogateescape")
    )
    query = parameters.query(parameters.unknown)

    def make_list(lists: Any, now: Any, trending: Any) -> Any:
        try:
            return lists.of(_by_url(lists, text, now), query, now, trending=trending)
        except UnknownArticleError as unknown:
            found = None if isinstance(unknown, WithdrawnArticleError) else _by_title(lists, text, now)
            if found is None:
                raise
            return lists.of(found, query, now, trending=trending)

    _print_list(models_dir, outputs, make_list)


@click.command(cls=Reporting)
@click.option("--title", default="", help="Title of the text, as plain text or HTML.")
@click.option("--body", default="", help="Body of the text, as plain text or HTML; - reads standard input.")
@click.option("--published-at", metavar="DATE", help="Date of the text, in ISO 8601.  [default: now]")
@click.option("--vector", metavar="JSON", help="Vector of the text, a JSON list of numbers.")
@list_options
@output_options
def similar(title: str, body: str, vector: str | None, models_dir: Path, **options: Any) -> None:
    """Print the articles that are similar to a text."""
    from recommender.serving.http.parameters import Text, validate_body

    text = sys.stdin.read() if body == "-" else body
    outputs = _outputs(options)
    fields = {name: value for name, value in options.items() if value}
    if vector:
        fields["vector"] = _numbers(vector)
    parameters = validate_body(Text, {"title": title, "body": text, **fields})
    query = parameters.query()

    def make_list(lists: Any, now: Any, trending: Any) -> Any:
        article = parameters.article(lists.model.manifest.adapted.vector_length)
        return lists.of_text(article, query, now, trending=trending)

    _print_list(models_dir, outputs, make_list)


def _numbers(text: str) -> Any:
    """Return the value in a JSON text. Raises BadParameter if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise click.BadParameter(f"{text[:100]!r} is not a JSON list of numbers") from None


@click.command(cls=Reporting)
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", help="Number of articles, 1 to 50.  [default: 9]")
@click.option("--category", multiple=True, help="Only this category (name or slug); repeatable.")
@click.option("--exclude-category", multiple=True, help="Exclude this category (name or slug); repeatable.")
@click.option("--lang", help="Only this language code, or any.  [default: any]")
@models_dir_option
@output_options
def search(words: tuple[str, ...], models_dir: Path, **options: Any) -> None:
    """Print the articles that contain all WORDS.

    The last word may be incomplete. A word that no article has is taken for a typo.
    """
    from recommender.serving.http.parameters import SearchParameters, read_query

    text, outputs = " ".join(words), _outputs(options)
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
        if results.corrected_query:
            echo(
                f"note: searched for {results.corrected_query!r}, because no article has what you typed",
                err=True,
            )
        response = view.builder().search_results(results, with_snippets=True)
        _report_list(response, f"Search results for {text!r}", outputs)


@click.command(cls=Reporting)
@models_dir_option
@output_options
def topics(models_dir: Path, **outputs: Any) -> None:
    """Print the topics with their terms and a typical headline."""
    from recommender.serving.lists.topics import all_topics, headline
    from recommender.terminal import topics_table

    with _context(models_dir) as context:
        lists, now = context.related, context.clock()
        response = all_topics(lists, now)
        headlines = [headline(lists, topic["slug"], now) for topic in response["topics"]]
        records = [
            {**topic, "terms": ", ".join(topic["terms"]), "headline": title}
            for topic, title in zip(response["topics"], headlines, strict=True)
        ]
        report(
            outputs,
            lambda: topics_table(response, headlines),
            lambda: records,
            lambda: json.dumps(response, ensure_ascii=False, indent=2),
        )


def _by_url(lists: Any, text: str, now: Any) -> str:
    """Return the id of the article with this URL, else the text, which is then an id."""
    row = lists.find_url(text, now) if re.match(r"(?i)https?://|www\.", text) else None
    return text if row is None or lists.find(text, now) is not None else str(lists.articles.ids[row])


def _by_title(lists: Any, text: str, now: Any) -> str | None:
    """Return the id of the article with these words in its title, None if there is none.

    Of several, the best match is used, and the others are named.
    """
    ids, titles = lists.articles.ids, lists.articles.titles
    words = set(text.casefold().split())
    is_title = len(words) > 1 or text.isalpha()  # else it looks like an id
    matches = [
        row
        for row in (item.row for item in lists.search(text, _MOST_MATCHES, now).items)
        if is_title and all(word in titles[row].casefold() for word in words)
    ]
    if len(matches) > 1:
        others = "; ".join(
            f"{one_line(titles[row])} ({one_line(ids[row])})" for row in matches[1 : _OTHERS + 1]
        )
        more = ", …" if len(matches) > _OTHERS + 1 else ""
        echo(f"note: other titles contain these words: {others}{more}", err=True)
    return str(ids[matches[0]]) if matches else None


def _outputs(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of the output from those of the list, and return them."""
    return {name: options.pop(name) for name in ("json_path", "csv_path", "markdown_path")}


def _report_list(rendered_list: Any, heading: str, outputs: dict[str, Any]) -> None:
    from recommender.list_tables import list_records, list_table

    response = json.loads(rendered_list.utf8)
    report(
        outputs,
        lambda: list_table(response, heading),
        lambda: list_records(response),
        lambda: json.dumps(response, ensure_ascii=False, indent=2),
    )


def _print_list(models_dir: Path, outputs: dict[str, Any], make_list: Callable[[Any, Any, Any], Any]) -> None:
    with _context(models_dir) as context:
        view = context.view()
        lists, now = view.related, view.now
        trending, _ = view.trends(context.leaderboards(view))  # a worker has them ready
        result = make_list(lists, now, trending)
        row = None if result.article_id is None else lists.find(result.article_id, now)
        heading = "Similar to the text" if result.article_id is None else "The newest articles"
        if row is not None:
            heading = f"Related to {lists.articles.titles[row]!r}"
        _report_list(view.builder().whole_list(result), heading, outputs)


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
