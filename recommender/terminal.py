"""Terminal output: tables, summaries and progress bars."""

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
from recommender.printable import one_line, plain

_MIB = 1 << 20
_MAX_CHANGES = 3  # changed lists shown


class Bars:
    """Progress bars with rates, for reading and for the steps of training."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
        """Show a bar during a step; call the returned function with the number of units completed."""
        columns = (TextColumn("{task.description:<14}"), BarColumn(), _Rate(unit), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as bars:
            task = bars.add_task(name, total=total or None)
            yield lambda done: bars.advance(task, done)
            bars.update(task, completed=total)

    @contextmanager
    def reading(self) -> Iterator[Callable[[int, int], None]]:
        """Show a bar for reading; call the returned function with the rows read and the total rows."""
        columns = (TextColumn("{task.description:<14}"), BarColumn(), _Rate("rows"), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as bars:
            task = bars.add_task("reading", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total or None)


class _Rate(ProgressColumn):
    """A column with the number of completed units, and the rate per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the number of completed units and the rate of a task."""
        rate = f", {task.completed / task.elapsed:,.0f}/s" if task.elapsed and task.completed > 1 else ""
        return Text(f"{task.completed:,.0f} {self._unit}{rate}")


def escape(text: str) -> str:
    """Return the text with control characters and Rich markup escaped."""
    return literal(plain(text))


def list_table(response: Mapping[str, Any], heading: str) -> RenderableType:
    """Return a list response of the HTTP API as a table."""
    table = _table("", "Article", "Source", ">Score", "Id")
    for rank, item in enumerate(response["items"], 1):
        score = "" if item["score"] is None else f"{item['score']:.3f}"
        explanation = _explanation(item.get("why"))
        details = " · ".join(
            filter(None, (one_line(item["category"] or ""), (item["published_at"] or "")[:10]))
        )
        lines = (("\n" + details, "dim"), ("\n" + explanation if explanation else "", "italic"))
        article = Text.assemble(one_line(item["title"]), *((plain(line), style) for line, style in lines))
        table.add_row(str(rank), article, item["source"], score, escape(one_line(item["id"])))
    model = response["model"]["version"]
    note = f"{response['returned']} of {response['eligible']:,} eligible articles · model {model}"
    return Group(Text(one_line(heading), style="bold"), table, Text(note, style="dim"))


def _explanation(why: Mapping[str, Any] | None) -> str:
    """Return the parts of a score as text, without parts that round to 0.000."""
    if why is None:
        return ""
    terms = [(part["term"], part["contribution"]) for part in why["terms"]]
    topics = [(f"topic {part['name']}", part["contribution"]) for part in why["topics"]]
    names = ("other_terms", "other_topics", "feedback", "expansion", "hub", "freshness", "boost")
    others = {name: (name.replace("_", " "), why[name]) for name in names}
    parts = [*terms, others.pop("other_terms"), *topics, *others.values()]
    return ", ".join(f"{name} {part:+.3f}" for name, part in parts if round(part, 3))


def training_summary(
    model: Model, outcome: Any, reading: Any, seconds: Mapping[str, float], peak_bytes: int, live: str = ""
) -> RenderableType:
    """Return a summary of training: the corpus, the quality gate, and the published version or the report.

    `live` summarizes the live articles of the database.
    """
    corpus = model.manifest.corpus
    facts = _facts()
    facts.add_row("Articles", f"{corpus.articles:,}")
    facts.add_row("Refused rows", _counted(reading.refused_by_reason))
    facts.add_row("Refused fields", _counted(reading.fields_refused))
    if reading.skipped:
        facts.add_row("Not articles", _counted(reading.skipped))
    for note in reading.notes:
        facts.add_row("Note", escape(plain(note)))
    if live:
        facts.add_row("Live articles", escape(live))
    cut = (
        f"; {corpus.articles_cut:,} articles cut, {corpus.characters_cut:,} characters"
        if corpus.articles_cut
        else ""
    )
    facts.add_row("Characters read", f"{corpus.characters_read:,}{cut}")
    if standing := model.manifest.standing_lines:
        shown = f"{len(standing):,} that recur, such as {standing[0][:60]!r}"
        facts.add_row("Lines left out", escape(plain(shown)))
    if digests := model.manifest.digests:
        facts.add_row("Digests", escape(plain(f"titles with {', '.join(map(repr, digests[:5]))}")))
    if drift := model.manifest.drift:
        changes = f"{drift.changed_articles:,} changes since ({drift.changed_share:.2%} of the articles)"
        facts.add_row("Continues", f"{drift.fitted}; {changes}, unknown words +{drift.unknown_terms:.2%}")
    facts.add_row("Terms", f"{corpus.terms_kept:,} used of {corpus.terms_counted:,}")
    facts.add_row("Topics", _topics(model))
    facts.add_row("Seconds", _times(seconds))
    facts.add_row("Peak memory", f"{peak_bytes / _MIB:,.0f} MiB")
    result = _facts()
    if outcome.version:
        result.add_row("Published", Text(outcome.version, style="bold green"))
    else:
        result.add_row(
            "Refused", Text(plain(str(outcome.refused_report or "no report written")), style="bold red")
        )
    return Group(facts, gate_table(outcome.verdict), result)


def gate_table(verdict: Any) -> RenderableType:
    """Return the values and bounds of the quality gate as a table, and the lists that changed the most."""
    table = _table("Quality gate", ">Value", ">Bound", "")
    for check in verdict.checks:
        if check.value is not None:
            side = "≥" if check.side == "at least" else "≤"
            table.add_row(check.label, check.formatted_value, f"{side} {check.bound:g}", _mark(check.passed))
    for comparison in verdict.comparisons:
        difference = _estimate(comparison.difference, "+")
        change = f"{_fraction(comparison.old)} → {_fraction(comparison.new)}: {difference}"
        label = f"{comparison.label}, old → new"
        if not comparison.enough:
            label += f" (few: {comparison.count})"
        table.add_row(label, change, f"≥ -{comparison.margin:g}", _mark(comparison.passed))
    guards = [
        Text(plain(guard.detail))
        if guard.passed
        else Text(plain(f"REFUSED: {guard.detail}"), style="bold red")
        for guard in verdict.guards
    ]
    parts: list[RenderableType] = [table, *guards]
    if verdict.not_compared:
        parts.append(Text(plain(verdict.not_compared), style="bold"))
    if verdict.list_overlap is not None:
        note = f"{verdict.list_overlap:.0%} of a list is unchanged, compared with {verdict.compared_with}"
        parts.append(Text(plain(note), style="dim"))
    if verdict.most_changed:
        parts.append(_changes(verdict.most_changed[:_MAX_CHANGES]))
    return Group(*parts)


def _changes(changed_lists: Sequence[Any]) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    for heading in ("Most changed", "Unchanged", "Before", "Now"):
        table.add_column(heading, overflow="fold")
    for changed in changed_lists:
        before, after = ("\n".join(titles[:3]) for titles in (changed.before, changed.after))
        cells = f"{one_line(changed.title)} ({one_line(changed.id)})", f"{changed.overlap:.0%}", before, after
        table.add_row(*map(escape, cells))
    return table


def _facts() -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(min_width=len("Characters read"))
    facts.add_column(overflow="fold")
    return facts


def _mark(passed: bool) -> Text:  # noqa: FBT001
    return Text("passed") if passed else Text("REFUSED", style="bold red")


def lint_table(files: Mapping[str, int], articles: int, findings: Sequence[Any]) -> RenderableType:
    """Return the findings of `lint`, each with its first examples and advice."""
    names = ", ".join(f"{name} ({rows:,} rows)" for name, rows in files.items())
    heading = Text(f"{articles:,} articles in {plain(names)}", style="bold")
    if not findings:
        return Group(heading, Text("No problems found." if articles else "There is no article to train on."))
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False)
    table.add_column("Finding")
    table.add_column("Count", justify="right")
    table.add_column("Examples", overflow="fold", ratio=2)
    table.add_column("What to do", ratio=1)
    for finding in findings:
        examples = "\n".join(_example(example) for example in finding.examples[:3])
        table.add_row(escape(finding.kind), f"{finding.count:,}", escape(examples), escape(finding.advice))
    return Group(heading, table)


def topics_table(response: Mapping[str, Any], headlines: Sequence[str]) -> RenderableType:
    """Return the topics response of the HTTP API as a table; `headlines` has one headline per topic."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Topic", ratio=3, style="bold")
    table.add_column("Articles", justify="right")
    table.add_column("Terms", ratio=4)
    table.add_column("Typical headline", ratio=4)
    for topic, headline in zip(response["topics"], headlines, strict=True):
        cells = one_line(topic["name"]), f"{topic['articles']:,}", ", ".join(topic["terms"]), headline
        table.add_row(*map(escape, cells))
    note = f"{len(response['topics'])} topics · model {response['model_version']}"
    return Group(table, Text(note, style="dim"))


def versions_table(rows: Iterable[tuple[str, str, str, bool]]) -> RenderableType:
    """Return the published versions as a table: version, training time, articles, whether current."""
    table = _table("Version", "Trained", ">Articles", "")
    for version, trained_at, articles, current in rows:
        table.add_row(escape(version), trained_at, articles, "current" if current else "")
    return table


def rule_effects_table(heading: str, effects: Sequence[Any]) -> RenderableType:
    """Return the effects of rules on an article as tables: as a candidate of lists, and in its own list."""
    parts: list[RenderableType] = [Text(one_line(heading), style="bold")]
    for part, title in (("candidate", "As a candidate of lists"), ("own list", "In its own list")):
        table = _table(title, "Rule", "By", "Why", "When")
        for effect in effects:
            if effect.part == part:
                rule = effect.rule
                name = f"{rule.id} ({rule.kind}, {effect.source})"
                when = f"{effect.state}{_span(rule.begins, rule.until)}"
                style = None if effect.state == "active" else "dim"
                cells = (effect.effect, name, rule.author, rule.reason, when)
                table.add_row(*map(escape, cells), style=style)
        parts.append(table if table.rows else Text(f"{title}: no rule", style="dim"))
    return Group(*parts)


def _span(begins: datetime | None, until: datetime | None) -> str:
    ends = [f"{name} {time:%Y-%m-%d %H:%M}" for name, time in (("from", begins), ("until", until)) if time]
    return f", {' '.join(ends)} UTC" if ends else ""


def evaluation_table(report: Any) -> RenderableType:
    """Return an evaluation as tables: health, and with labels also quality."""
    parts: list[RenderableType] = [Text(_evaluated(report), style="bold")]
    if report.labels:
        table = _table("Lists of nine", ">nDCG", ">Recall", ">P@1", ">MRR", ">nDCG: ours - it")
        for system in report.systems:
            quality, minus = system.quality, system.ours_minus_this
            measures = (quality.ndcg_at_9, quality.recall_at_9, quality.precision_at_1, quality.mrr)
            cells = [*map(_estimate, measures), _estimate(minus.ndcg_at_9, "+") if minus else ""]
            table.add_row(escape(system.label), *cells)
        parts += [table, Text("[low,high]: 95 % bootstrap interval by story", style="dim")]
    table = _table(
        "Health",
        ">Coverage",
        ">Hub skew",
        ">Top 1 %",
        ">Category",
        ">Dupes",
        ">Alike",
        ">Days",
        ">No similar",
    )
    for system in report.systems:
        if system.health:
            table.add_row(escape(system.label), *_health(system.health))
    note = (
        "Coverage: articles in at least one list · Hub skew: skewness of the number of lists per article · "
        "Top 1 %: list positions of the 1 % most listed articles · Category: items in the article's own "
        "category · Dupes: lists with near-duplicates · Alike: mean cosine in a list · Days: median age gap"
        " · No similar: articles without a `similar` item"
    )
    return Group(*parts, table, Text(note, style="dim"))


def _evaluated(report: Any) -> str:
    text = f"{report.articles:,} articles"
    if report.model_version:
        text += f" · model {report.model_version}"
    if report.labels:
        labels = report.labels
        text += f" · {labels.queries:,} queries of {labels.stories:,} stories"
        if labels.unknown_ids:
            text += f" · {labels.unknown_ids:,} labelled ids are not in the model"
        if labels.bad_rows:
            text += f" · {labels.bad_rows:,} bad rows of labels"
    return text


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
        "" if health.category_agreement is None else _fraction(health.category_agreement),
        _fraction(health.near_duplicate_lists),
        "" if health.intra_list_similarity is None else _fraction(health.intra_list_similarity),
        "" if age is None else f"{age:,.0f}",
        "" if health.lists_without_similar is None else f"{health.lists_without_similar:,}",
    ]


def _example(example: Any) -> str:
    location = f"{example.source}:{example.row}: " if example.source is not None else ""
    return one_line(f"{location}{example.value}")


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table


def _counted(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    by_reason = ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda x: (-x[1], x[0]))
    )
    return escape(f"{total:,} ({by_reason})") if total else "0"


def _topics(model: Model) -> str:
    largest = sorted(model.manifest.topics, key=lambda topic: -topic.articles)
    names = "; ".join(f"{topic.name} ({topic.articles:,})" for topic in largest[:8])
    return escape(f"{len(largest)}: {names}{'; …' if len(largest) > 8 else ''}")  # noqa: PLR2004 a screenful


def _times(seconds: Mapping[str, float]) -> str:
    by_step = ", ".join(f"{name} {duration:.1f}" for name, duration in seconds.items())
    return f"{sum(seconds.values()):.1f} ({by_step})"
