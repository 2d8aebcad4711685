"""Editorial rules: a file checked, and what the rules do with an article."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from recommender.options import models_dir_option


@click.group()
def rules() -> None:
    """Look after the editorial rules."""


@rules.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Check the rules in the TOML file FILE; every fault is told, with its rule, field and value."""
    from recommender.serving.rules.schema import read_file

    read = read_file(path)
    click.echo(f"{path}: {len(read)} {'rule' if len(read) == 1 else 'rules'}, all well")


@rules.command()
@click.argument("article_id", metavar="ID")
@click.option("--file", "path", type=click.Path(path_type=Path), help="[default: RECOMMENDER_RULES_FILE]")
@models_dir_option
def explain(article_id: str, path: Path | None, models_dir: Path) -> None:
    """Tell which rules of the file and the database act on the article ID, who wrote them, and why.

    Rules to come and rules that are over are told, too.
    """
    from datetime import UTC, datetime

    from recommender.article import check_id
    from recommender.serving.rules.explain import ExplainedArticle, rule_effects
    from recommender.serving.rules.schema import read_file
    from recommender.settings import Settings
    from recommender.terminal import rule_effects_table

    settings = Settings.read()
    file = path or settings.rules_file
    of_file = () if file is None else read_file(file)
    of_store, article = _look_up(check_id(article_id), models_dir, settings)
    subject, heading = ExplainedArticle(article_id), f"{article_id!r}, of which nothing but the id is known"
    if article is not None:
        categories = dict.fromkeys(filter(None, (article.category, *article.categories)))
        subject, heading = ExplainedArticle(article_id, tuple(categories), article.authors), article.title
    written = [*(("file", rule) for rule in of_file), *(("database", rule) for rule in of_store)]
    Console().print(rule_effects_table(heading, rule_effects(written, subject, datetime.now(UTC))))


def _look_up(article_id: str, models_dir: Path, settings: Any) -> tuple[tuple[Any, ...], Any]:
    """Return the rules of the database, and the newest state of the article; None where there is none."""
    from recommender.article import Article
    from recommender.artifact import ArtifactError, open_current
    from recommender.serving.rules.schema import read_stored
    from recommender.serving.store import Store

    known = None
    try:
        articles = open_current(models_dir).articles
        row = articles.ids.find(article_id)
        known = None if row is None else articles.article(row)
    except ArtifactError as error:
        click.echo(f"note: {error}", err=True)
    with closing(Store.of(settings)) as store:
        if not store.is_there:  # looking must not create it
            return (), known
        of_store, unread = read_stored(store.rules().rules)
        live = store.article(article_id)
    for rule_id in unread:
        click.echo(f"note: the rule {rule_id} was written by another version of the program", err=True)
    if live is not None and live.withdrawn:
        click.echo(f"note: the article {article_id} is withdrawn, and is in no answer", err=True)
    if live is not None and live.payload is not None:
        latest = Article.from_json(live.payload)
        known = latest if known is None or latest.is_newer(known) else known
    return of_store, known
