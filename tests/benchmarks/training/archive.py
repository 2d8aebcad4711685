"""Build an archive of any size from whole articles and whole sections of real corpora.

A section is a run of consecutive paragraphs; sentences are never shuffled. The posts are made in layers, and
a layer uses each paragraph at most once:

- Layer 0: each article is cut into consecutive passages, which become posts. Most short articles stay whole.
- Further layers, if more posts are needed: the articles are cut again, at other places, into sections of half
  that length. A post is two sections of two articles of the same category that are near in time, as a
  follow-up repeats the background of an earlier story. What would be a near-duplicate is left out: sections
  of unequal length, sections that are most of a post of layer 0, and articles that were paired before.

News and an encyclopedia of 53 million words make some 290,000 posts in layer 0; 642,511 posts of 210 words
use each paragraph 2.5 times. They have 325,000 distinct words (160,000 posts of layer 0: 256,000; 10,000:
63,000), and .8 % of them have a copy, about as many as in layer 0 (.5 %), where copies come from the sources.
What a real archive of that size has and this one lacks: beyond layer 0 no new words appear, so words that
only one post contains are rarer. In exchange, a post has six relatives on average that share a part of its
text. Most titles are the beginning of a sentence of the post, because only the first passage of an article
has a title. Dates of articles without one follow their order.
"""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from recommender.article import Article

MAX_LAYERS = 6
_MARGIN = 1.02  # posts planned for each post wanted, because a few have the same text
_LEAST_WORDS = 20  # of an article that is used
_LONGEST = 100  # words of a paragraph; longer ones are cut between sentences
_SPREAD = 0.4  # a passage has between 60 and 140 % of the target
_NARROW = 0.15  # of a section, so that most of them can be paired
_BALANCE = 1.3  # how much longer a section may be than the other; a passage is as much longer than its part
_WINDOW = 400  # sections of a category, in order of time, of which two make a post
_WAITING = 8  # sections that a section is compared with
_CATEGORIES = 60  # of articles that have none: the most frequent kinds of things
_TITLE_WORDS = (5, 12)  # of a sentence that becomes a title, and how many are used
_FIRST, _LAST = datetime(2001, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
# The noun in "X is a small river in Y" or "X was an American politician who …".
_KIND = re.compile(
    r"\b(?:is|was|are|were) (?:an?|the) (?:[\w-]+ ){0,5}?([\w-]+)"
    r"(?= (?:in|of|from|who|that|which|and|for|by|to|on|at|with|located|based|founded|born|used|made|near)\b"
    r"|[.,;(])"
)


class ArchiveError(ValueError):
    """The sources cannot make the archive; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """An article to make posts from."""

    title: str
    paragraphs: Sequence[str]
    words: Sequence[int]  # of each paragraph
    category: str
    published_at: datetime


class Section(NamedTuple):
    """Consecutive paragraphs of one source."""

    source: int
    start: int
    stop: int
    words: int


Plan = list[tuple[Section, ...]]  # the sections of each post


def write_archive(path: Path, articles: Sequence[Article], count: int, words: int, seed: int = 0) -> float:
    """Write `count` posts of `words` words on average as JSON lines; return the mean number of words.

    The same articles, in the same order, and arguments give the same bytes. All posts have distinct bodies.
    Raises ArchiveError if the articles have too little text.
    """
    sources = sources_of(articles)
    planned = plan(sources, count, _target(sources, count, words, seed), seed)
    written, total = 0, 0
    with path.open("w", encoding="utf-8") as file:
        for post in posts(sources, planned, seed):
            file.write(json.dumps(post, ensure_ascii=False) + "\n")
            written += 1
            total += len(post["body"].split())
            if written == count:
                return total / count
    raise ArchiveError(f"{len(sources):,} articles make {written:,} distinct posts, fewer than {count:,}")


def sources_of(articles: Sequence[Article]) -> list[Source]:
    """Return the articles of at least 20 words with their paragraphs, a category and a date."""
    kinds = _kinds(articles)
    sources = []
    for position, article in enumerate(articles):
        paragraphs = list(chain.from_iterable(map(_paragraphs, article.body.split("\n"))))
        words = [len(paragraph.split()) for paragraph in paragraphs]
        if sum(words) >= _LEAST_WORDS:
            category = article.category or kinds.get(_kind(article), "general")
            published_at = article.published_at or _FIRST + (_LAST - _FIRST) * (position / len(articles))
            sources.append(Source(article.title, paragraphs, words, category, published_at))
    return sources


def plan(sources: Sequence[Source], count: int, target: float, seed: int) -> Plan:
    """Return the sections of somewhat more than `count` posts, in random order.

    `target` is the mean length of a passage in words. Raises ArchiveError if the sources are used up.
    """
    wanted = int(count * _MARGIN) + 1
    generator = random.Random(f"{seed} plan")  # noqa: S311 not for secrets
    passages = list(_sections(sources, target, _SPREAD, f"{seed} passages"))
    lengths = _passage_words(sources, passages)
    paired: set[tuple[int, int]] = set()
    planned: Plan = []
    made: Plan
    for layer in range(MAX_LAYERS):
        if layer:
            sections = _sections(sources, target / 2, _NARROW, f"{seed} sections {layer}")
            usable = [section for section in sections if _is_usable(sources, section, lengths)]
            made = list(_pairs(sources, usable, paired, f"{seed} pairs {layer}"))
        else:
            made = [(passage,) for passage in passages]
        generator.shuffle(made)
        planned += made[: wanted - len(planned)]
        if len(planned) == wanted:
            generator.shuffle(planned)
            return planned
    raise ArchiveError(
        f"{len(sources):,} articles make {len(planned):,} posts of {target:.0f} words, fewer than {count:,}; "
        "add sources, or use --articles or --words to ask for less"
    )


def posts(sources: Sequence[Source], planned: Plan, seed: int) -> Iterator[dict[str, str]]:
    """Yield the planned posts without those whose body was yielded before."""
    generator = random.Random(f"{seed} posts")  # noqa: S311 not for secrets
    yielded: set[str] = set()
    titles: set[str] = set()
    for sections in planned:
        body = "\n\n".join(
            chain.from_iterable(sources[source].paragraphs[start:stop] for source, start, stop, _ in sections)
        )
        post_id = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
        moment = max(sources[section.source].published_at for section in sections)
        moment += timedelta(minutes=generator.randrange(24 * 60))
        if post_id not in yielded:
            title = _title(sources, sections, titles, generator)
            yielded.add(post_id)
            titles.add(title)
            category = sources[sections[0].source].category
            yield {
                "id": post_id,
                "title": title,
                "body": body,
                "published_at": moment.isoformat(timespec="seconds"),
                "category": category,
                "url": f"https://archive.example/{category}/{post_id}",
            }


def _target(sources: Sequence[Source], count: int, words: int, seed: int) -> float:
    """Return the length of passages with which the posts have `words` words on average.

    Found by bisection on every k-th source, because short articles are below the mean and stay as they are.
    """
    step = max(1, len(sources) // 10_000)
    sample = sources[::step]
    low, high = words / 4, words * 4.0
    for _ in range(12):
        middle = (low + high) / 2
        try:
            planned = plan(sample, max(1, count // step), middle, seed)
        except ArchiveError:
            high = middle
            continue
        total = sum(section.words for post in planned for section in post)
        low, high = (middle, high) if total < words * len(planned) else (low, middle)
    return low


def _sections(sources: Sequence[Source], target: float, spread: float, seed: str) -> Iterator[Section]:
    """Cut the sources into consecutive sections of about `target` words, by up to a share `spread` off."""
    generator = random.Random(seed)  # noqa: S311 not for secrets
    for number, source in enumerate(sources):
        start, size, left = 0, 0, sum(source.words)
        aim = target * generator.uniform(1 - spread, 1 + spread)
        for stop, (length, following) in enumerate(zip(source.words, [*source.words[1:], 0], strict=True), 1):
            size, left = size + length, left - length
            if size + following / 2 >= aim and left > target / 2:  # a shorter rest belongs to this section
                yield Section(number, start, stop, size)
                start, size = stop, 0
                aim = target * generator.uniform(1 - spread, 1 + spread)
        yield Section(number, start, len(source.words), size)


def _passage_words(sources: Sequence[Source], passages: Iterable[Section]) -> list[list[tuple[int, int]]]:
    """Return, for each paragraph of each source, the number of its passage and the words of that passage."""
    lengths: list[list[tuple[int, int]]] = [[] for _ in sources]
    for number, passage in enumerate(passages):
        lengths[passage.source] += [(number, passage.words)] * (passage.stop - passage.start)
    return lengths


def _is_usable(sources: Sequence[Source], section: Section, lengths: list[list[tuple[int, int]]]) -> bool:
    """Return whether no passage is mostly in this section; a post with it would be a copy of the passage."""
    inside: Counter[tuple[int, int]] = Counter()
    for paragraph in range(section.start, section.stop):
        inside[lengths[section.source][paragraph]] += sources[section.source].words[paragraph]
    return all(shared * _BALANCE <= whole for (_, whole), shared in inside.items())


def _pairs(
    sources: Sequence[Source], sections: list[Section], paired: set[tuple[int, int]], seed: str
) -> Iterator[tuple[Section, Section]]:
    """Yield pairs of sections of two sources of the same category, near in time; each section is used once.

    Sources in `paired` are not paired again; new pairs are added.
    """
    generator = random.Random(seed)  # noqa: S311 not for secrets
    sections.sort(
        key=lambda section: (sources[section.source].category, sources[section.source].published_at)
    )
    for start in range(0, len(sections), _WINDOW):
        window = sections[start : start + _WINDOW]
        generator.shuffle(window)
        window.sort(key=lambda section: (sources[section.source].category, section.words // 8))
        waiting: list[Section] = []
        for section in window:
            other = next((other for other in waiting if _fit(sources, other, section, paired)), None)
            if other is None:
                waiting = [*waiting[-_WAITING + 1 :], section]
            else:
                waiting.remove(other)
                paired.add((other.source, section.source))
                yield other, section


def _fit(
    sources: Sequence[Source], shorter: Section, longer: Section, paired: Container[tuple[int, int]]
) -> bool:
    return (
        sources[shorter.source].category == sources[longer.source].category
        and shorter.source != longer.source
        and (shorter.source, longer.source) not in paired
        and (longer.source, shorter.source) not in paired
        and longer.words <= _BALANCE * shorter.words
    )


def _title(
    sources: Sequence[Source], sections: tuple[Section, ...], used: Container[str], generator: random.Random
) -> str:
    """Return the title of the article, or the beginning of a random sentence, preferably one not used yet."""
    first = sources[sections[0].source]
    if len(sections) == 1 and sections[0].start == 0 and first.title:
        return first.title
    number, start, stop, _ = sections[generator.randrange(len(sections))]
    least, most = _TITLE_WORDS
    paragraphs = sources[number].paragraphs[start:stop]
    sentences = [sentence.split() for paragraph in paragraphs for sentence in _SENTENCE.split(paragraph)]
    sentences = [sentence for sentence in sentences if len(sentence) >= least] or sentences
    titles = [" ".join(sentence[:most]).rstrip(".,;:") for sentence in sentences]
    generator.shuffle(titles)
    return next((title for title in titles if title not in used), titles[0])


def _paragraphs(text: str) -> Iterator[str]:
    """Yield a paragraph, or its parts if it is long: texts without line breaks must be cut as well."""
    part: list[str] = []
    is_long = len(text.split()) > _LONGEST
    for sentence in _SENTENCE.split(text.strip()) if is_long else [text]:
        words = sentence.split()
        if part and len(part) + len(words) > _LONGEST:
            yield " ".join(part)
            part = []
        part += words
    if part:
        yield " ".join(part)


def _kinds(articles: Sequence[Article]) -> dict[str, str]:
    """Return the most frequent kinds of articles without a category, as a mapping to themselves."""
    counts = Counter(_kind(article) for article in articles if not article.category)
    del counts[""]
    return {kind: kind for kind, _ in counts.most_common(_CATEGORIES)}


def _kind(article: Article) -> str:
    """Return the noun that the first sentences use to say what an encyclopedia's subject is; "" if none."""
    match = None if article.category else _KIND.search(article.body[:300])
    return match[1].lower() if match else ""
