"""Text processing: HTML to plain text, text to terms, and language detection."""

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import pairwise
from typing import Any

import pycld2
from selectolax.lexbor import LexborHTMLParser, LexborNode

from recommender.boilerplate import without_lines
from recommender.page_parts import may_have_parts, parts_that_are_no_text
from recommender.shortcodes import without_shortcodes
from recommender.stems import pieces, stem

MIN_WORD_CHARS = 2
MAX_WORD_CHARS = 64  # longer runs are encoded data, not words

# Two-letter codes of one language: withdrawn ISO 639-1 codes, and the two written forms of Norwegian.
LANGUAGE_ALIASES = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "nb": "no", "nn": "no"}
# Subtags that say how Chinese is written: scripts, old codes of .NET, and regions.
CHINESE_OF_SUBTAG = {
    **dict.fromkeys(("hans", "chs", "cn", "sg", "my"), "zh-Hans"),
    **dict.fromkeys(("hant", "cht", "tw", "hk", "mo"), "zh-Hant"),
}

# Scripts written without spaces: words are overlapping pairs of characters.
UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration marks
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # halfwidth Katakana
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class TermRules:
    """How an article is split into terms. Training and serving must use the same rules."""

    title_weight: int = 4  # how many times a title counts
    lead_weight: int = 3  # how many times the lead of a body counts
    lead_words: int = 25  # length of the lead, the beginning of a body, without stop words
    ngrams: int = 2  # 1: words; 2: words and pairs of neighbouring words
    max_body_chars: int = 100_000  # also applies to a title
    stop_words: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by language, folded
    stems: bool = False  # reduce words to their stems
    unstemmed: frozenset[str] = frozenset()  # languages whose words are not stemmed
    pieces: bool = False  # pieces of words are terms, too
    main_lang: str = ""  # used for an article whose language is unknown
    standing_lines: frozenset[str] = frozenset()  # the keys of lines in bodies that are left out

    def terms(self, title: str, body: str, lang: str | None) -> list[str]:
        """Return the terms of an article: title, then body, then lead, each repeated by its weight.

        Standing lines are left out, then stop words, before stemming and before pairs are formed. A pair
        never spans title and body.
        """
        if self.standing_lines:
            body = without_lines(body, self.standing_lines)
        lang = lang or self.main_lang
        title_words, body_words = self._content_words(title, lang), self._content_words(body, lang)
        return (
            self._grams(title_words) * self.title_weight
            + self._grams(body_words)
            + self._grams(body_words[: self.lead_words]) * (self.lead_weight - 1)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what it is unpickled from; sets are sorted, so that the same rules have the same bytes."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        stop_words = {lang: sorted(listed) for lang, listed in sorted(self.stop_words.items())}
        unstemmed, standing = sorted(self.unstemmed), sorted(self.standing_lines)
        sets = {"stop_words": stop_words, "unstemmed": unstemmed, "standing_lines": standing}
        return _unpickled, (values | sets,)

    def stop_words_of(self, lang: str) -> frozenset[str]:
        """Return the stop words of a language; both written forms of Chinese share them."""
        return self.stop_words.get(base_language(lang), frozenset())

    def stemmed(self, words: Sequence[str], lang: str) -> list[str]:
        """Return the stems of folded words, or the words themselves if the language is not stemmed."""
        return stem(words, lang) if self.stems and lang not in self.unstemmed else list(words)

    def root(self, word: str, lang: str) -> str:
        """Return the stem of a folded word, even in an unstemmed language."""
        return stem([word], lang)[0] if self.stems else word

    def _content_words(self, text: str, lang: str) -> list[str]:
        stop = self.stop_words_of(lang)
        return self.stemmed([word for word in words(text[: self.max_body_chars]) if word not in stop], lang)

    def _grams(self, words: list[str]) -> list[str]:
        pairs = [f"{a} {b}" for a, b in pairwise(words)] if self.ngrams > 1 else []
        parts = [piece for word in words for piece in pieces(word)] if self.pieces else []
        return words + pairs + parts


def _unpickled(values: dict[str, Any]) -> TermRules:
    stop_words = {lang: frozenset(listed) for lang, listed in values["stop_words"].items()}
    sets = {name: frozenset(values[name]) for name in ("unstemmed", "standing_lines")}
    return TermRules(**values | sets | {"stop_words": stop_words})


def fold(text: str) -> str:
    """Return the text in lower case and NFC, without invisible characters.

    Canonically equivalent texts fold alike, as do all forms of sigma and both forms of the dotted I.
    """
    composed = unicodedata.normalize("NFC", text)
    if _special_characters().search(beyond_ascii(composed)):
        composed = unicodedata.normalize("NFC", composed.translate(_special_table()))
    return unicodedata.normalize("NFC", composed.lower())


def words(text: str) -> list[str]:
    """Return the words of a text, folded, in order.

    A word is a run of 2-64 letters, digits and marks; apostrophes and hyphens end it. In scripts without
    spaces each pair of neighbouring characters is a word, and so is a single character between other scripts.
    """
    folded = fold(text)
    runs = _ASCII_RUNS.findall(folded) if folded.isascii() else _runs(folded)
    if unspaced_runs().search(beyond_ascii(folded)):
        return [word for run in runs for word in _split_scripts(run)]
    return [run for run in runs if MIN_WORD_CHARS <= len(run) <= MAX_WORD_CHARS]


def typed_words(text: str) -> list[str]:
    """Return the words of a query that is still being typed: the last word may be a single letter."""
    typed = words(text)
    runs = _runs(fold(text))
    if runs and len(runs[-1]) < MIN_WORD_CHARS and not unspaced_runs().match(runs[-1]):
        typed.append(runs[-1])
    return typed


def plain_text(html: str) -> str:
    """Return the visible text of the HTML, with a blank line between blocks.

    Scripts, styles, shortcodes (see `shortcodes`) and lists of links (see `page_parts`) are removed. A text
    without tags and entities is only stripped. Control characters and lone surrogates are dropped.
    """
    text = without_shortcodes(_printable(html))
    if not _may_be_markup(text):
        return text.strip()
    # Without <body>, the parser would put a leading <noscript> into the head.
    body = LexborHTMLParser(f"<body>{_without_tag_floods(text)}").body
    if body is None:
        return ""
    parts = parts_that_are_no_text(body, _SILENT) if may_have_parts(text) else frozenset()
    blocks = (_SPACES.sub(" ", block).strip() for block in "".join(_pieces(body, parts)).split("\n"))
    return "\n\n".join(block for block in blocks if block)


def as_html(text: str) -> str:
    """Return HTML that `plain_text` converts back to this text; it is escaped only if necessary."""
    if plain_text(text) == text:
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")


def detect_language(text: str) -> str | None:
    """Return the code of a text's language, detected in its first 4,000 characters.

    Returns None if the text is too short to be reliable, or if the language has no two-letter code.
    """
    is_reliable, _, _, lang = _detected(text)
    return lang if is_reliable or len(text) >= _MIN_UNSURE_CHARS else None


def other_language(text: str, expected: str) -> str | None:
    """Return the language that a text is clearly written in, if it is not the expected language.

    Returns None if the text is short, mixed or unclear. A language that is easily confused with the expected
    one, such as Danish with Norwegian, must be found in a longer text.
    """
    is_reliable, size, percent, lang = _detected(text)
    if lang is None or not is_reliable or percent < _CLEAR_PERCENT or is_same_language(lang, expected):
        return None
    are_alike = any({lang, expected} <= group for group in _ALIKE)
    return lang if size >= (_CLEAR_BYTES_IF_ALIKE if are_alike else _CLEAR_BYTES) else None


def language_code(tag: str) -> str | None:
    """Return the code used here for a tag such as `pt-BR` or `nb_NO.UTF-8`, None for anything else.

    A code has two lower-case letters. Only Chinese has a script as well, `zh-Hans` or `zh-Hant`, because the
    two are read by different people and share few words; `zh` alone may be either.
    """
    first, *subtags = re.split(r"[-_]", tag.strip().lower())
    if not _TWO_LETTERS.fullmatch(first):
        return None
    if first == "zh":
        known = (CHINESE_OF_SUBTAG.get(subtag.partition(".")[0]) for subtag in subtags)
        return next(filter(None, known), first)
    return LANGUAGE_ALIASES.get(first, first)


def is_detectable(code: str) -> bool:
    """Return whether a code names a language that can be detected; `us` and `cn` are countries."""
    return code in _detectable()


def base_language(code: str) -> str:
    """Return a language code without its script: `zh` for `zh-Hant`."""
    return code.partition("-")[0]


def is_same_language(a: str, b: str) -> bool:
    """Return whether two codes mean one language; `zh` is the same as `zh-Hans` and as `zh-Hant`."""
    return a == b or (base_language(a) == base_language(b) and ("-" not in a or "-" not in b))


@cache
def word_runs() -> re.Pattern[str]:
    """Return a pattern for runs of letters, digits, underscores and marks."""
    # Including the marks beyond the basic plane (a few minority scripts) makes the pattern 20 times slower.
    is_mark = [unicodedata.category(chr(code))[0] == "M" for code in range(_ASTRAL)]
    edges = [code for code in range(1, _ASTRAL) if is_mark[code] != is_mark[code - 1]]
    ranges = (f"{chr(first)}-{chr(end - 1)}" for first, end in zip(edges[::2], edges[1::2], strict=True))
    return re.compile(f"[\\w{''.join(ranges)}]+")


@cache
def unspaced_runs() -> re.Pattern[str]:
    """Return a pattern for runs of characters in scripts that are written without spaces."""
    return re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in UNSPACED_RANGES)}]+")


# Invisible inside words: soft hyphen, zero-width space and joiners, word joiner, BOM, variation selectors.
_IGNORED = (0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10))

# `str.lower` maps these depending on context, or to two characters.
_SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
_LOWER_FIRST = {0x0130: "i", 0x03A3: _SIGMA, 0x03C2: _SIGMA}

_MIN_UNSURE_CHARS = 40
_TWO_LETTERS = re.compile(r"[a-z]{2}")
# Of 3,000 passages of 100 characters from English news, one (a table) was taken for another language;
# of 40 characters, 14 were. In Danish, 2 % of passages of 300 characters were taken for Norwegian.
_CLEAR_BYTES = 100
_CLEAR_BYTES_IF_ALIKE = 500
_CLEAR_PERCENT = 80  # of the text in one language
_ALIKE = (
    frozenset({"da", "no", "sv"}),
    frozenset({"bs", "hr", "sr", "sl"}),
    frozenset({"cs", "sk"}),
    frozenset({"id", "ms", "jv", "su"}),
    frozenset({"ca", "es", "gl", "pt"}),
    frozenset({"af", "nl"}),
    frozenset({"bg", "mk"}),
)
_ASTRAL = 0x10000
_ASCII_RUNS = re.compile(r"[a-z0-9]+")
_MARKUP = re.compile(r"<[a-zA-Z/!?]|&(?:[a-zA-Z][a-zA-Z0-9]*|#\d+|#[xX][0-9a-fA-F]+);")
_MAX_OPENINGS = 5000  # elements; long articles have a tenth of that
_MAX_TAG_CHARS = 10_000
_OPENING = re.compile(r"<[a-zA-Z]")
_ANY_TAG = re.compile(r"<[^<>]*>")
_TAG_START = re.compile(r"(<[a-zA-Z][a-zA-Z0-9]*+)(?:[^\"'>]|\"[^\"]*\"|'[^']*')*+")
_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n\s*\n")  # WordPress stores paragraphs this way
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]+")
_UNPRINTABLE_BYTES = bytes({*range(0x20), 0x7F} - {*b"\t\n\r"})
_ASCII = bytes(range(0x80))
_SILENT = frozenset(
    (
        "audio button canvas datalist dialog figcaption form head iframe math noscript object script "
        "select style svg template textarea title video"
    ).split()
)
_BLOCKS = frozenset(
    (
        "address article aside blockquote body br caption center dd details div dl dt fieldset figure "
        "footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody td tfoot th "
        "thead tr ul"
    ).split()
)


def _detected(text: str) -> tuple[bool, int, int, str | None]:
    """Return whether the detector is sure, the bytes it read, and its first language with the percentage."""
    printable = text[:4000].replace("\t", " ").replace("\n", " ").replace("\r", " ")
    if not printable.isprintable():
        printable = "".join(char if char.isprintable() else " " for char in printable)
    is_reliable, size, languages = pycld2.detect(
        printable.encode(errors="ignore"), isPlainText=True, bestEffort=True
    )
    name, percent = str(languages[0][1]), int(languages[0][2])
    # The detector says `un` for unknown, and `zh` for simplified Chinese.
    lang = None if name == "un" else language_code("zh-Hans" if name == "zh" else name)
    return is_reliable, size, percent, lang


@cache
def _detectable() -> frozenset[str | None]:
    return frozenset(map(language_code, ("zh-Hans", *(code for _, code in pycld2.LANGUAGES))))


@cache
def _special_table() -> dict[int, str | None]:
    return {**_LOWER_FIRST, **dict.fromkeys(_IGNORED)}


@cache
def _special_characters() -> re.Pattern[str]:
    return re.compile(f"[{''.join(map(chr, _special_table()))}]")


def beyond_ascii(text: str) -> str:
    """Return the characters of a text that are not ASCII: most texts have few, and this is fast."""
    if text.isascii():
        return ""
    return text.encode(errors="surrogatepass").translate(None, _ASCII).decode(errors="surrogatepass")


def _printable(text: str) -> str:
    """Return the text without control characters and lone surrogates."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return _UNPRINTABLE.sub("", text)
    # Deleting bytes takes a tenth of the time of a regular expression, and few texts have such characters.
    is_printable = len(encoded.translate(None, _UNPRINTABLE_BYTES)) == len(encoded)
    return text if is_printable else _UNPRINTABLE.sub("", text)


def _may_be_markup(text: str) -> bool:
    return ("<" in text or "&" in text) and bool(_MARKUP.search(text))


def _without_tag_floods(html: str) -> str:
    """Drop what the parser needs quadratic time for: very long tags, or all tags if there are too many."""
    short = _TAG_START.sub(lambda tag: tag[0] if len(tag[0]) < _MAX_TAG_CHARS else tag[1], html)
    if len(_OPENING.findall(short)) <= _MAX_OPENINGS:
        return short
    return _ANY_TAG.sub("\n", short)


def _runs(folded: str) -> list[str]:
    return word_runs().findall(folded.replace("_", " "))


def _split_scripts(run: str) -> Iterator[str]:
    """Yield the words of a run: its parts in spaced scripts, and the character pairs of its other parts."""
    end = 0
    for part in unspaced_runs().finditer(run):
        yield from _if_word(run[end : part.start()])
        end = part.end()
        if len(part[0]) == 1:
            yield part[0]
        else:
            yield from map("".join, pairwise(part[0]))
    yield from _if_word(run[end:])


def _if_word(part: str) -> Iterator[str]:
    if MIN_WORD_CHARS <= len(part) <= MAX_WORD_CHARS:
        yield part


def _pieces(node: LexborNode, left_out: Container[int]) -> Iterator[str]:
    """Yield the visible text below a node in document order, with a newline at each edge of a block.

    Nodes whose `mem_id` is in `left_out` are left out.

    Iterative, because a hostile page may be nested deeper than Python's stack.
    """
    pending: list[LexborNode | str] = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif item.tag == "-text":
            text = _UNPRINTABLE.sub("", item.text_content or "")  # entities may encode unprintable characters
            yield "\n".join(_SPACES.sub(" ", part) for part in _BLANK_LINES.split(text))
        elif item.tag not in _SILENT and item.mem_id not in left_out:
            edge = ["\n"] if item.tag in _BLOCKS else []
            pending += [*edge, *reversed(list(item.iter(include_text=True))), *edge]
