"""Terminal output: tables, summaries and progress bars."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape as literal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from recommender.list_tables import fraction
from recommender.model import Model
from recommender.printable import one_line, plain
from recommender.sections import gate_notes, gate_rows
from recommender.sheets import Note, Sheet

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


def training_facts(
    model: Model, reading: Any, seconds: Mapping[str, float], peak_bytes: int, live: str = ""
) -> list[tuple[str, str]]:
    """Return facts about a training, each with its name. `live` summarizes the articles of the database."""
    corpus = model.manifest.corpus
    facts = [
        ("Articles", f"{corpus.articles:,}"),
        ("Refused rows", _counted(reading.refused_by_reason)),
        ("Refused fields", _counted(reading.fields_refused)),
    ]
    if reading.skipped:
        facts.append(("Not articles", _counted(reading.skipped)))
    facts += [("Note", note) for note in reading.notes]
    if live:
        facts.append(("Live articles", live))
    cut = (
        f"; {corpus.articles_cut:,} articles cut, {corpus.characters_cut:,} characters"
        if corpus.articles_cut
        else ""
    )
    facts.append(("Characters read", f"{corpus.characters_read:,}{cut}"))
    if standing := model.manifest.standing_lines:
        facts.append(("Lines left out", f"{len(standing):,} that recur, such as {standing[0][:60]!r}"))
    if digests := model.manifest.digests:
        facts.append(("Digests", f"titles with {', '.join(map(repr, digests[:5]))}"))
    if length := model.manifest.adapted.vector_length:
        count = model.articles.vector_count
        facts.append(("Vectors", f"{count:,} articles have a vector of {length:,} numbers"))
    if drift := model.manifest.drift:
        changes = f"{drift.changed_articles:,} changes since ({drift.changed_share:.2%} of the articles)"
        facts.append(("Continues", f"{drift.fitted}; {changes}, unknown words +{drift.unknown_terms:.2%}"))
    return [
        *facts,
        ("Terms", f"{corpus.terms_kept:,} used of {corpus.terms_counted:,}"),
        ("Topics", _topics(model)),
        ("Seconds", _times(seconds)),
        ("Peak memory", f"{peak_bytes / _MIB:,.0f} MiB"),
    ]


def training_summary(facts: Iterable[tuple[str, str]], outcome: Any) -> RenderableType:
    """Return a summary of training: facts, the quality gate, and the published version or the report."""
    table = _facts()
    for name, text in facts:
        table.add_row(name, escape(text))
    result = _facts()
    if outcome.version:
        result.add_row("Published", Text(outcome.version, style="bold green"))
    else:
        result.add_row(
            "Refused", Text(plain(str(outcome.refused_report or "no report written")), style="bold red")
        )
    return Group(table, gate_table(outcome.verdict), result)


def gate_table(verdict: Any) -> RenderableType:
    """Return the values and bounds of the quality gate as a table, and the lists that changed the most."""
    sheet = Sheet("Quality gate", ">Value", ">Bound", "")
    for *cells, passed in gate_rows(verdict):
        sheet.add(*cells, _mark(passed))
    parts: list[RenderableType] = [sheet]
    parts += [Note(plain(text), style) for text, style in gate_notes(verdict)]
    if verdict.most_changed:
        parts.append(_changes(verdict.most_changed[:_MAX_CHANGES]))
    return Group(*parts)


def _changes(changed_lists: Sequence[Any]) -> RenderableType:
    sheet = Sheet("Most changed", ">Unchanged", "Before", "Now", lines=True)
    for changed in changed_lists:
        before, after = ("\n".join(map(one_line, titles[:3])) for titles in (changed.before, changed.after))
        name = f"{one_line(changed.title)} ({one_line(changed.id)})"
        sheet.add(name, f"{changed.overlap:.0%}", before, after)
    return sheet


def _facts() -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(min_width=len("Characters read"))
    facts.add_column(overflow="fold")
    return facts


def _mark(passed: bool) -> Text:  # noqa: FBT001
    return Text("passed") if passed else Text("REFUSED", style="bold red")


def lint_table(report: Any) -> RenderableType:
    """Return the findings of `lint`, each with its first examples and advice."""
    names = ", ".join(f"{name} ({rows:,} rows)" for name, rows in report.files.items())
    heading = Text(f"{report.articles:,} articles in {plain(names)}", style="bold")
    notes = [Note(f"Note: {plain(note)}") for note in report.notes]
    if report.skipped:
        reasons = ", ".join(f"{plain(reason)} {count:,}" for reason, count in report.skipped.items())
        notes.insert(0, Note(f"Not articles: {reasons}"))
    if not report.findings:
        result = "No problems found." if report.articles else "There is no article to train on."
        return Group(heading, Text(result), *notes)
    sheet = Sheet("Finding", ">Count", "Examples", "What to do", lines=True)
    for finding in report.findings:
        examples = "\n".join(example_text(example) for example in finding.examples[:3])
        sheet.add(one_line(finding.kind), f"{finding.count:,}", examples, plain(finding.advice))
    return Group(heading, sheet, *notes)


def example_text(example: Any) -> str:
    """Return an example of a finding on one line, with its file and row."""
    location = f"{example.source}:{example.row}: " if example.source is not None else ""
    return one_line(f"{location}{example.value}")


def topics_table(response: Mapping[str, Any], headlines: Sequence[str]) -> RenderableType:
    """Return the topics response of the HTTP API as a table; `headlines` has one headline per topic."""
    sheet = Sheet("Topic", ">Articles", "Terms", "Typical headline")
    for topic, headline in zip(response["topics"], headlines, strict=True):
        name = Text(one_line(topic["name"]), style="bold")
        sheet.add(name, f"{topic['articles']:,}", one_line(", ".join(topic["terms"])), one_line(headline))
    return Group(sheet, Note(f"{len(response['topics'])} topics · model {response['model_version']}"))


def versions_table(facts: Iterable[Any], now: datetime) -> RenderableType:
    """Return facts about the published versions as a table; the note says what the columns mean."""
    headings = (
        "<Version",
        ">Age",
        ">Articles",
        ">nDCG",
        ">Coverage",
        ">Category",
        ">Same",
        "Gate",
        ">MiB",
        "",
    )
    sheet = Sheet(*headings)
    for version in facts:
        measures = (version.ndcg_at_9, version.coverage, version.category_agreement, version.list_overlap)
        sheet.add(
            one_line(version.version),
            _age(version.published_at, now),
            "" if version.articles is None else f"{version.articles:,}",
            *("" if measure is None else fraction(measure) for measure in measures),
            "cannot be opened" if version.fault else version.gate or "not run",
            f"{version.bytes / _MIB:,.0f}",
            "current" if version.current else "",
            style="bold" if version.current else "",
        )
    note = (
        "nDCG, Coverage, Category: as `evaluate` prints them · Same: share of a list that stayed, compared "
        "with the version before · Gate: overridden by --no-gate"
    )
    return Group(sheet, Note(note))


def _age(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    hours = (now - moment).total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:,.0f} days"  # noqa: PLR2004 two days


def pruned_table(pruned: Any, *, dry_run: bool) -> RenderableType:
    """Return what was removed, or with `dry_run` what would be, and why the other versions are kept."""
    done = "would be removed" if dry_run else "removed"
    sheet = Sheet("<Version", ">MiB", "Kept because", "")
    for decision in pruned.decisions:
        mark = "" if decision.kept_because else done
        sheet.add(one_line(decision.version), f"{decision.bytes / _MIB:,.0f}", decision.kept_because, mark)
    removed = [decision for decision in pruned.decisions if not decision.kept_because]
    size = sum(decision.bytes for decision in removed) / _MIB
    total = f"{len(removed)} of {len(pruned.decisions)} versions ({size:,.0f} MiB) {done}"
    return Group(sheet, Note(f"{total}, and {pruned.refused_reports} reports on refused models"))


def checks_table(checks: Sequence[Any]) -> RenderableType:
    """Return the checks of a deployment as a table, and how many found an error or a loss."""
    sheet = Sheet("Check", "<Status", "Finding", "What to do", lines=True)
    style_of = {"ok": "", "warning": "yellow", "error": "bold red"}
    for check in checks:
        status = Text(check.status, style=style_of[check.status])
        sheet.add(check.name, status, one_line(check.finding), one_line(check.advice))
    counts = Counter(check.status for check in checks)
    found = ", ".join(
        f"{counts[status]} {status}{'s' * (counts[status] != 1)}" for status in ("error", "warning")
    )
    return Group(sheet, Note(found))


def rule_effects_table(heading: str, effects: Sequence[Any]) -> RenderableType:
    """Return the effects of rules on an article as tables: as a candidate of lists, and in its own list."""
    parts: list[RenderableType] = [Text(one_line(heading), style="bold")]
    for part, title in (("candidate", "As a candidate of lists"), ("own list", "In its own list")):
        sheet = Sheet(title, "Rule", "By", "Why", "When")
        for effect in effects:
            if effect.part == part:
                rule = effect.rule
                name = f"{rule.id} ({rule.kind}, {effect.source})"
                when = f"{effect.state}{_span(rule.begins, rule.until)}"
                cells = (effect.effect, name, rule.author, rule.reason, when)
                sheet.add(*map(one_line, cells), style="" if effect.state == "active" else "dim")
        parts.append(sheet if len(sheet) else Text(f"{title}: no rule", style="dim"))
    return Group(*parts)


def rules_table(records: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return all rules as a table; those that are not active now are dim."""
    if not records:
        return Text("There are no rules.")
    sheet = Sheet("Rule", "Kind", "What", "By", "Why", "When", "From")
    for record in records:
        span = [
            f"{name} {record[key]}" for name, key in (("from", "begins"), ("until", "until")) if record[key]
        ]
        when = ", ".join([record["state"], *span])
        cells = [record[name] for name in ("id", "kind", "what", "author", "reason")]
        style = "" if record["state"] == "active" else "dim"
        sheet.add(*map(one_line, [*cells, when, record["source"]]), style=style)
    return Group(sheet, Note(f"{len(records)} {'rule' if len(records) == 1 else 'rules'}"))


def _span(begins: datetime | None, until: datetime | None) -> str:
    ends = [f"{name} {time:%Y-%m-%d %H:%M}" for name, time in (("from", begins), ("until", until)) if time]
    return f", {' '.join(ends)} UTC" if ends else ""


def _counted(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    by_reason = ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(counts.items(), key=lambda x: (-x[1], x[0]))
    )
    return f"{total:,} ({by_reason})" if total else "0"


def _topics(model: Model) -> str:
    largest = sorted(model.manifest.topics, key=lambda topic: -topic.articles)
    names = "; ".join(f"{topic.name} ({topic.articles:,})" for topic in largest[:8])
    return f"{len(largest)}: {names}{'; …' if len(largest) > 8 else ''}"  # noqa: PLR2004 a screenful


def _times(seconds: Mapping[str, float]) -> str:
    by_step = ", ".join(f"{name} {duration:.1f}" for name, duration in seconds.items())
    return f"{sum(seconds.values()):.1f} ({by_step})"
