"""The command group `rules`: check a rules file, and explain the rules that apply to an article."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from recommender.commands.files import echo
from recommender.commands.output import Reporting, output_options, report
from recommender.options import models_dir_option
from recommender.printable import one_line


@click.group()
def rules() -> None:
    """Manage the editorial rules."""


@rules.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Check the rules in the TOML file FILE.

    Every error is reported with its rule, field and value.
    """
    from recommender.serving.rules.schema import read_file

    count = len(read_file(path))
    echo(f"{path}: {count} {'rule' if count == 1 else 'rules'}, no errors")


file_option = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="Rules file in TOML.  [default: RECOMMENDER_RULES_FILE]",
)


@rules.command("list", cls=Reporting)
@file_option
@output_options
def list_rules(path: Path | None, **outputs: Any) -> None:
    """List all rules of the file and of the database, including future and expired rules."""
    from datetime import UTC, datetime

    from recommender.serving.rules.explain import state_of
    from recommender.serving.rules.schema import read_file
    from recommender.settings import Settings
    from recommender.terminal import rules_table

    settings, now = Settings.read(), datetime.now(UTC)
    file = path or settings.rules_file
    sourced = [("file", rule) for rule in (() if file is None else read_file(file))]
    sourced += [("database", rule) for rule in _stored(settings)]
    records = []
    for source, rule in sourced:
        fields = rule.as_json()
        common = {
            name: fields.pop(name, None) for name in ("id", "kind", "author", "reason", "from", "until")
        }
        what = "; ".join(f"{name.replace('_', ' ')}: {_shown(value)}" for name, value in fields.items())
        begins = common.pop("from")
        records.append(
            {**common, "begins": begins, "what": what, "state": state_of(rule, now), "source": source}
        )
    report(outputs, lambda: rules_table(records), lambda: records)


@rules.command(cls=Reporting)
@click.argument("article_id", metavar="ID")
@file_option
@models_dir_option
@output_options
def explain(article_id: str, path: Path | None, models_dir: Path, **outputs: Any) -> None:
    """Show which rules apply to the article ID, and why.

    Rules of the file and of the database are shown with their authors, including future and expired rules.
    """
    from datetime import UTC, datetime

    from recommender.article import check_id
    from recommender.serving.rules.explain import ExplainedArticle, rule_effects
    from recommender.serving.rules.schema import read_file
    from recommender.settings import Settings
    from recommender.terminal import rule_effects_table

    settings = Settings.read()
    file = path or settings.rules_file
    file_rules = () if file is None else read_file(file)
    stored_rules, article = _look_up(check_id(article_id), models_dir, settings)
    subject, heading = ExplainedArticle(article_id), f"{article_id!r} (unknown article)"
    if article is not None:
        categories = dict.fromkeys(filter(None, (article.category, *article.categories)))
        subject, heading = ExplainedArticle(article_id, tuple(categories), article.authors), article.title
    sources = [*(("file", rule) for rule in file_rules), *(("database", rule) for rule in stored_rules)]
    effects = rule_effects(sources, subject, datetime.now(UTC))

    def records() -> list[dict[str, Any]]:
        return [
            {
                "article_id": article_id,
                "part": effect.part,
                "effect": effect.effect,
                "rule_id": effect.rule.id,
                "kind": effect.rule.kind,
                "source": effect.source,
                "state": effect.state,
                "author": effect.rule.author,
                "reason": effect.rule.reason,
            }
            for effect in effects
        ]

    report(outputs, lambda: rule_effects_table(heading, effects), records)


def _look_up(article_id: str, models_dir: Path, settings: Any) -> tuple[tuple[Any, ...], Any]:
    """Return the rules of the database and the newest version of the article, or None if it is unknown."""
    from recommender.article import Article
    from recommender.artifact import ArtifactError, open_current
    from recommender.serving.store import Store

    article = None
    try:
        articles = open_current(models_dir).articles
        row = articles.ids.find(article_id)
        article = None if row is None else articles.article(row)
    except ArtifactError as error:
        echo(f"note: {error}", err=True)
    stored_rules = _stored(settings)
    with closing(Store.of(settings)) as store:
        live = store.article(article_id) if store.is_there else None  # reading it would create it
    if live is not None and live.withdrawn:
        echo(f"note: the article {one_line(article_id)} is withdrawn; no list contains it", err=True)
    if live is not None and live.payload is not None:
        latest = Article.from_json(live.payload)
        article = latest if article is None or latest.is_newer(article) else article
    return stored_rules, article


def _stored(settings: Any) -> tuple[Any, ...]:
    """Return the rules of the database; none if there is no database."""
    from recommender.serving.rules.schema import read_stored
    from recommender.serving.store import Store

    with closing(Store.of(settings)) as store:
        if not store.is_there:  # reading it would create it
            return ()
        stored_rules, unreadable = read_stored(store.rules().rules)
    for rule_id in unreadable:
        echo(f"note: the rule {one_line(rule_id)} was written by another version of the program", err=True)
    return stored_rules


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
