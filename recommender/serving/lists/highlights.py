"""Marks the words that a search found, in a title and in an excerpt of the text."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import takewhile

from recommender.serving.index.snapshot import Snapshot
from recommender.serving.lists.search import SearchWords
from recommender.text import TermRules, unspaced_runs, word_runs, words

_SNIPPET_CHARS = 170
_CONTEXT_CHARS = 40  # before the first word that was found
_MAX_SCANNED_CHARS = 10_000  # of a text; later words hardly ever decide
_MAX_FOUND = 12  # of each word, in one text
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text, and which parts of it are marked."""

    text: str
    marks: tuple[Span, ...]  # ascending, apart from each other

    @property
    def html(self) -> str:
        """The text as HTML, with the marked parts in `<mark>`; everything else is escaped."""
        pieces, end = [], 0
        for start, stop in self.marks:
            pieces += [escape(self.text[end:start]), "<mark>", escape(self.text[start:stop]), "</mark>"]
            end = stop
        return "".join([*pieces, escape(self.text[end:])])


class Highlighter:
    """Marks the words of a search, and their other forms, in articles of one language."""

    def __init__(self, search_words: SearchWords, rules: TermRules, lang: str) -> None:
        self._words, self._rules, self._lang = search_words, rules, lang
        self._starts = [
            _common_start(word, root) or word
            for word, root in zip(search_words.words, search_words.roots, strict=True)
        ]
        self._plain_starts = [_plain(start) for start in self._starts]
        self._is_form_of: dict[tuple[str, int], bool] = {}

    def title(self, title: str) -> MarkedText:
        """Return a title with its marks; accents may be left out, as in the search."""
        return _marked(title, self._found(title, _plain(title), self._plain_starts))

    def snippet(self, body: str) -> MarkedText:
        """Return the excerpt of a text that has the most of the words; its beginning if it has none."""
        body = body[:_MAX_SCANNED_CHARS]
        first = self._best_place(self._found(body, _lower(body), self._starts))
        start = 0 if first < _SNIPPET_CHARS // 2 else _word_start(body, first - _CONTEXT_CHARS, first)
        end = start + _SNIPPET_CHARS
        if end < len(body):
            end = max(body.rfind(" ", start, end), body.rfind("\n", start, end)) + 1 or end
        text = " ".join(body[start:end].split())
        is_cut = end < len(body) and not text.endswith((".", "!", "?"))
        text = f"{_ELLIPSIS * (start > 0)}{text}{_ELLIPSIS * is_cut}"
        return _marked(text, self._found(text, _lower(text), self._starts))

    def _found(self, text: str, lower: str, starts: Sequence[str]) -> list[tuple[int, int, int]]:
        """Return where the words are in a text: start, end and the number of the word, ascending."""
        return sorted(
            (*span, number)
            for number, start in enumerate(starts)
            for span in self._places(number, start, text, lower)
        )

    def _places(self, number: int, start: str, text: str, lower: str) -> Iterator[Span]:
        is_unspaced = bool(unspaced_runs().match(self._words.words[number]))
        at, left = lower.find(start), _MAX_FOUND
        while at >= 0 and left:
            end = at + len(start)
            if not is_unspaced and (run := word_runs().match(text, at)):
                end = run.end()
            if is_unspaced or (not _is_inside_word(text, at) and self._is_form(text[at:end], number)):
                left -= 1
                yield at, end
            at = lower.find(start, max(end, at + 1))

    def _is_form(self, run: str, number: int) -> bool:
        """Return whether a run of letters in a text is a word that the search finds."""
        key = run, number
        if key not in self._is_form_of:
            self._is_form_of[key] = self._matches(run, number)
        return self._is_form_of[key]

    def _matches(self, run: str, number: int) -> bool:
        word, root = self._words.words[number], self._words.roots[number]
        if self._words.is_prefix(number) and _plain(run).startswith(_plain(word)):
            return True
        forms = words(run)
        return (
            forms == [word]
            or [self._rules.root(form, self._lang) for form in forms] == [root]
            or (_plain(run) == _plain(word))
        )

    def _best_place(self, found: Sequence[tuple[int, int, int]]) -> int:
        """Return where the excerpt with the most different words begins; of equals, the first."""
        best, best_count = 0, 0
        for first, (start, _, _) in enumerate(found):
            last = start + _SNIPPET_CHARS - _CONTEXT_CHARS
            count = len({number for _, end, number in found[first : first + _MAX_FOUND] if end <= last})
            if count > best_count:
                best, best_count = start, count
        return best


class Highlights:
    """The marks in the articles that a search found, each in its own language."""

    def __init__(self, snapshot: Snapshot, words: Sequence[str]) -> None:
        self._articles, self._rules, self._words = snapshot.articles, snapshot.model.rules, words
        self._of_lang: dict[str, Highlighter] = {}

    def title(self, row: int) -> MarkedText:
        """Return the title of an article with its marks."""
        return self._highlighter(row).title(self._articles.titles[row])

    def snippet(self, row: int) -> MarkedText:
        """Return the excerpt of an article's text that has the most of the words, with its marks."""
        return self._highlighter(row).snippet(self._articles.bodies[row])

    def _highlighter(self, row: int) -> Highlighter:
        lang = self._articles.langs[row] or self._rules.main_lang
        if lang not in self._of_lang:
            search_words = SearchWords.of(self._rules, self._words, lang)
            self._of_lang[lang] = Highlighter(search_words, self._rules, lang)
        return self._of_lang[lang]


class _PlainLetters(dict[int, str]):
    """The letter for each character, in lower case and without accents; the same number of characters."""

    def __missing__(self, code: int) -> str:
        """Return and keep the letter for a character."""
        char = chr(code)
        decomposed = unicodedata.normalize("NFKD", char)
        # Not in scripts written without spaces: there, a letter without its mark is a different letter.
        is_accented = all(map(unicodedata.combining, decomposed[1:])) and not unspaced_runs().match(char)
        lower = (decomposed[0] if is_accented else char).lower()
        self[code] = lower if len(lower) == 1 else char
        return self[code]


_PLAIN_LETTERS = _PlainLetters()


def _marked(text: str, found: Sequence[tuple[int, int, int]]) -> MarkedText:
    marks: list[Span] = []
    for start, end, _ in found:
        if marks and start <= marks[-1][1]:
            marks[-1] = marks[-1][0], max(end, marks[-1][1])
        else:
            marks.append((start, end))
    return MarkedText(text, tuple(marks))


def _common_start(word: str, other: str) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(word, other, strict=False))
    return "".join(char for char, _ in pairs)


def _lower(text: str) -> str:
    """Return a text in lower case; the same number of characters."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_PLAIN_LETTERS)


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_PLAIN_LETTERS)


def _is_inside_word(text: str, at: int) -> bool:
    return at > 0 and bool(word_runs().match(text[at - 1])) and text[at - 1] != "_"


def _word_start(text: str, at: int, before: int) -> int:
    """Return where the first sentence or else the first word after a position starts, before another one."""
    sentence = text.find(". ", at, before)
    if sentence >= 0:
        return sentence + 2
    space = text.find(" ", at, before)
    return at if space < 0 else space + 1
