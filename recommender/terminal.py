"""What people see in a terminal: tables, summaries and progress bars."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape as literal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from recommender.model import Model

_MIB = 1 << 20
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # terminals obey these; tab and newline harm nobody
_TOLD_CHANGES = 3  # lists of a gate's report that a screen has room for


class Bars:
    """Progress bars with rates, for the steps of `train` and for reading."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
        """Show a bar while the step lasts; the function entered is told how many more units are done."""
        columns = (TextColumn("{task.description:<14}"), BarColumn(), _Rate(unit), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as bars:
            task = bars.add_task(name, total=total or None)
            yield lambda done: bars.advance(task, done)
            bars.update(task, completed=total)

    @contextmanager
    def reading(self) -> Iterator[Callable[[int, int], None]]:
        """Show a bar for reading; the function entered is told the rows done and the rows there are."""
        columns = (TextColumn("{task.description:<14}"), BarColumn(), _Rate("rows"), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as bars:
            task = bars.add_task("reading", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total or None)


class _Rate(ProgressColumn):
    """How many units are done, and how many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the figures of a task."""
        rate = f", {task.completed / task.elapsed:,.0f}/s" if task.elapsed and task.completed > 1 else ""
        return Text(f"{task.completed:,.0f} {self._unit}{rate}")


def plain(text: str) -> str:
    """Return a text as a terminal may have it: what would steer the terminal is made visible."""
    return _STEERING.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def escape(text: str) -> str:
    """Return a text as it is meant to be read, neither markup nor steering."""
    return literal(plain(text))


def list_table(answer: Mapping[str, Any], heading: str) -> RenderableType:
    """Return a related list, as HTTP answers it, as a table."""
    table = _table("", "Article", "Source", ">Score", "Id")
    for place, item in enumerate(answer["items"], 1):
        score = "" if item["score"] is None else f"{item['score']:.3f}"
        why = _why(item.get("why"))
        under = " · ".join(filter(None, (item["category"], (item["published_at"] or "")[:10])))
        below = (("\n" + under, "dim"), ("\n" + why if why else "", "italic"))
        article = Text.assemble(plain(item["title"]), *((plain(told), style) for told, style in below))
        table.add_row(str(place), article, item["source"], score, escape(item["id"]))
    model = answer["model"]["version"]
    note = f"{answer['returned']} of {answer['eligible']:,} eligible articles · model {model}"
    return Group(Text(plain(heading), style="bold"), table, Text(note, style="dim"))


def _why(why: Mapping[str, Any] | None) -> str:
    """Return the parts of a score in words; those that show in no third decimal are left out."""
    if why is None:
        return ""
    terms = [(part["term"], part["contribution"]) for part in why["terms"]]
    topics = [(f"topic {part['name']}", part["contribution"]) for part in why["topics"]]
    rest = ("other_terms", "other_topics", "feedback", "hub", "freshness", "boost")
    named = {name: (name.replace("_", " "), why[name]) for name in rest}
    parts = [*terms, named.pop("other_terms"), *topics, *named.values()]
    return ", ".join(f"{name} {part:+.3f}" for name, part in parts if round(part, 3))


def training_summary(
    model: Model, done: Any, reading: Any, seconds: Mapping[str, float], peak_bytes: int, live: str = ""
) -> RenderableType:
    """Return what was read, what the quality gate found, and what became of a model just trained.

    `live` tells of the articles that the database held.
    """
    corpus = model.manifest.corpus
    facts = _facts()
    facts.add_row("Articles", f"{corpus.articles:,}")
    facts.add_row("Refused rows", _counted(reading.refused_by_reason))
    facts.add_row("Refused fields", _counted(reading.fields_refused))
    if reading.skipped:
        facts.add_row("Not articles", _counted(reading.skipped))
    if live:
        facts.add_row("Live articles", escape(live))
    cut = (
        f"; {corpus.articles_cut:,} articles cut, {corpus.characters_cut:,} characters"
        if corpus.articles_cut
        else ""
    )
    facts.add_row("Characters read", f"{corpus.characters_read:,}{cut}")
    facts.add_row("Terms", f"{corpus.terms_kept:,} kept of {corpus.terms_counted:,}")
    facts.add_row("Topics", _topics_told(model))
    facts.add_row("Seconds", _times(seconds))
    facts.add_row("Peak memory", f"{peak_bytes / _MIB:,.0f} MiB")
    outcome = _facts()
    if done.version:
        outcome.add_row("Published", Text(done.version, style="bold green"))
    else:
        outcome.add_row("Refused", Text(str(done.refused_report), style="bold red"))
    return Group(facts, gate_table(done.verdict), outcome)


def gate_table(verdict: Any) -> RenderableType:
    """Return what the quality gate measured beside what it asks for, and the lists that changed the most."""
    table = _table("Quality gate", ">Found", ">Asked for", "")
    for check in verdict.checks:
        if check.value is not None:
            side = "≥" if check.side == "at least" else "≤"
            table.add_row(check.label, check.found, f"{side} {check.bound:g}", _mark(check.passed))
    for each in verdict.comparisons:
        change = f"{_fraction(each.old)} → {_fraction(each.new)}: {_estimate(each.difference, '+')}"
        label = f"{each.label}, was → is{'' if each.enough else f' (few: {each.count})'}"
        table.add_row(label, change, f"≥ -{each.margin:g}", _mark(each.passed))
    guards = [
        Text(guard.detail) if guard.passed else Text(f"REFUSED: {guard.detail}", style="bold red")
        for guard in verdict.guards
    ]
    told: list[RenderableType] = [table, *guards]
    if verdict.not_compared:
        told.append(Text(verdict.not_compared, style="bold"))
    if verdict.list_overlap is not None:
        stayed = f"{verdict.list_overlap:.0%} of a list stayed, compared with {verdict.compared_with}"
        told.append(Text(stayed, style="dim"))
    if verdict.most_changed:
        told.append(_changes(verdict.most_changed[:_TOLD_CHANGES]))
    return Group(*told)


def _changes(changed: Sequence[Any]) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    for heading in ("Most changed", "Stayed", "Before", "Now"):
        table.add_column(heading, overflow="fold")
    for each in changed:
        before, after = ("\n".join(titles[:3]) for titles in (each.before, each.after))
        row = f"{each.title} ({each.id})", f"{each.overlap:.0%}", before, after
        table.add_row(*map(escape, row))
    return table


def _facts() -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(min_width=len("Characters read"))
    facts.add_column(overflow="fold")
    return facts


def _mark(passed: bool) -> Text:  # noqa: FBT001
    return Text("passed") if passed else Text("REFUSED", style="bold red")


def lint_table(files: Mapping[str, int], articles: int, findings: Sequence[Any]) -> RenderableType:
    """Return the findings of `lint`, each with its first examples and what to do about it."""
    told = ", ".join(f"{name} ({rows:,} rows)" for name, rows in files.items())
    heading = Text(f"{articles:,} articles in {told}", style="bold")
    if not findings:
        return Group(heading, Text("Nothing to put right."))
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    table.add_column("Finding")
    table.add_column("Count", justify="right")
    table.add_column("For example", overflow="fold", ratio=2)
    table.add_column("What to do", ratio=1)
    for finding in findings:
        examples = "\n".join(_example(example) for example in finding.examples[:3])
        table.add_row(escape(finding.kind), f"{finding.count:,}", escape(examples), escape(finding.advice))
    return Group(heading, table)


def topics_table(answer: Mapping[str, Any], headlines: Sequence[str]) -> RenderableType:
    """Return the topics, as HTTP answers them, as a table; `headlines` has one for each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Topic", ratio=3, style="bold")
    table.add_column("Articles", justify="right")
    table.add_column("Terms", ratio=4)
    table.add_column("For example", ratio=4)
    for topic, headline in zip(answer["topics"], headlines, strict=True):
        row = topic["name"], f"{topic['articles']:,}", ", ".join(topic["terms"]), headline
        table.add_row(*map(escape, row))
    note = f"{len(answer['topics'])} topics · model {answer['model_version']}"
    return Group(table, Text(note, style="dim"))


def versions_table(rows: Iterable[tuple[str, str, str, bool]]) -> RenderableType:
    """Return the published versions as a table: version, when trained, articles, and which is current."""
    table = _table("Version", "Trained", ">Articles", "")
    for version, trained_at, articles, current in rows:
        table.add_row(version, trained_at, articles, "current" if current else "")
    return table


def rule_effects_table(heading: str, found: Sequence[Any]) -> RenderableType:
    """Return what the rules do with an article as tables: as a candidate of lists, and in its own list."""
    told: list[RenderableType] = [Text(plain(heading), style="bold")]
    for part, title in (("candidate", "As a candidate of lists"), ("own list", "In its own list")):
        table = _table(title, "Rule", "By", "Why", "When")
        for ruling in found:
            if ruling.part == part:
                rule = ruling.rule
                named = f"{rule.id} ({rule.kind}, {ruling.source})"
                when = f"{ruling.state}{_span(rule.begins, rule.until)}"
                style = None if ruling.state == "acts" else "dim"
                table.add_row(
                    *map(escape, (ruling.effect, named, rule.author, rule.reason, when)), style=style
                )
        told.append(table if table.rows else Text(f"{title}: no rule", style="dim"))
    return Group(*told)


def _span(begins: datetime | None, until: datetime | None) -> str:
    told = [
        f"{name} {moment:%Y-%m-%d %H:%M}" for name, moment in (("from", begins), ("until", until)) if moment
    ]
    return f", {' '.join(told)} UTC" if told else ""


def evaluation_table(report: Any) -> RenderableType:
    """Return an evaluation as tables: quality by labels where there are any, and health."""
    told: list[RenderableType] = [Text(_evaluated(report), style="bold")]
    if report.labels:
        quality = _table("Lists of nine", ">nDCG", ">Recall", ">First right", ">MRR", ">nDCG: ours - it")
        for system in report.systems:
            found, minus = system.quality, system.ours_minus_this
            measures = (found.ndcg_at_9, found.recall_at_9, found.precision_at_1, found.mrr)
            cells = [*map(_estimate, measures), _estimate(minus.ndcg_at_9, "+") if minus else ""]
            quality.add_row(escape(system.label), *cells)
        told += [quality, Text("[low,high]: 95 % bootstrap interval by story", style="dim")]
    table = _table(
        "Health",
        ">Coverage",
        ">Hub skew",
        ">Top 1 %",
        ">Section",
        ">Copies",
        ">Alike",
        ">Days",
        ">No similar",
    )
    for system in report.systems:
        if system.health:
            table.add_row(escape(system.label), *_health(system.health))
    note = (
        "Coverage: articles in at least one list · Hub skew: of how many lists an article is in · "
        "Top 1 %: places held by so many articles · Section: items of the article's own · Copies: lists with "
        "near-duplicates · Alike: mean cosine in a list · Days: median age gap · "
        "No similar: articles without a `similar` item"
    )
    return Group(*told, table, Text(note, style="dim"))


def _evaluated(report: Any) -> str:
    told = f"{report.articles:,} articles"
    if report.model_version:
        told += f" · model {report.model_version}"
    if report.labels:
        labels = report.labels
        told += f" · {labels.queries:,} queries of {labels.stories:,} stories"
        if labels.unknown_ids:
            told += f" · {labels.unknown_ids:,} labelled ids are not in the model"
        if labels.bad_rows:
            told += f" · {labels.bad_rows:,} bad rows of labels"
    return told


def _estimate(estimate: Any, sign: str = "") -> str:
    low, high = (_fraction(end, sign) for end in (estimate.low, estimate.high))
    return escape(f"{_fraction(estimate.mean, sign)} [{low},{high}]")


def _fraction(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.3f}"


def _health(health: Any) -> list[str]:
    age = health.median_age_gap_days
    return [
        _fraction(health.coverage),
        f"{health.hub_skew:.2f}",
        _fraction(health.top_1_percent_places),
        "" if health.section_agreement is None else _fraction(health.section_agreement),
        _fraction(health.near_duplicate_lists),
        "" if health.intra_list_similarity is None else _fraction(health.intra_list_similarity),
        "" if age is None else f"{age:,.0f}",
        "" if health.lists_without_similar is None else f"{health.lists_without_similar:,}",
    ]


def _example(example: Any) -> str:
    place = f"{example.source}:{example.row}: " if example.source is not None else ""
    return f"{place}{example.value}"


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table


def _counted(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    told = ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda x: (-x[1], x[0]))
    )
    return escape(f"{total:,} ({told})") if total else "0"


def _topics_told(model: Model) -> str:
    largest = sorted(model.manifest.topics, key=lambda topic: -topic.articles)
    shown = "; ".join(f"{topic.name} ({topic.articles:,})" for topic in largest[:8])
    return escape(f"{len(largest)}: {shown}{'; …' if len(largest) > 8 else ''}")  # noqa: PLR2004 a screenful


def _times(seconds: Mapping[str, float]) -> str:
    told = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items())
    return f"{sum(seconds.values()):.1f} ({told})"
