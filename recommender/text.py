"""Text as the recommender reads it: HTML to plain text, text to terms, and which language it is in."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import pycld2
from selectolax.lexbor import LexborHTMLParser, LexborNode

from recommender.stems import pieces, stem

MIN_WORD_CHARS = 2
MAX_WORD_CHARS = 64  # longer runs are encoded data, not words
WORDS_PER_MINUTE = 230  # silent reading of non-fiction: Brysbaert 2019
CHARACTERS_PER_MINUTE = 500  # the same for scripts without spaces

# Scripts written without spaces, whose words are found as overlapping pairs of characters.
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
    """How an article becomes terms; what training and serving must agree on."""

    title_weight: int = 4  # how many times a title counts
    lead_weight: int = 3  # how many times the lead of a body counts
    lead_words: int = 25  # at the beginning of a body, without stop words
    ngrams: int = 2  # 1: words; 2: words and pairs of neighbouring words
    max_body_chars: int = 100_000  # of a title, too
    stop_words: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by language, folded
    stems: bool = False  # words are reduced to their stems
    unstemmed: frozenset[str] = frozenset()  # but not those of these languages
    pieces: bool = False  # pieces of words are terms, too
    main_lang: str = ""  # in which an article is read whose own language cannot be told

    def terms(self, title: str, body: str, lang: str | None) -> list[str]:
        """Return the terms of an article, title first, then body, then lead, each as often as it counts.

        Stop words go before stems are taken and pairs formed, and a pair never spans title and body.
        """
        read_as = lang or self.main_lang
        in_title, in_body = self._kept(title, read_as), self._kept(body, read_as)
        in_lead = self._grams(in_body[: self.lead_words])
        return (
            self._grams(in_title) * self.title_weight
            + self._grams(in_body)
            + in_lead * (self.lead_weight - 1)
        )

    def stemmed(self, words: Sequence[str], lang: str) -> list[str]:
        """Return folded words as they count in a language."""
        return stem(words, lang) if self.stems and lang not in self.unstemmed else list(words)

    def root(self, word: str, lang: str) -> str:
        """Return the stem of a folded word, even in a language whose words count as they stand."""
        return stem([word], lang)[0] if self.stems else word

    def _kept(self, text: str, lang: str) -> list[str]:
        stop = self.stop_words.get(lang, frozenset())
        kept = [word for word in words(text[: self.max_body_chars]) if word not in stop]
        return self.stemmed(kept, lang)

    def _grams(self, kept: list[str]) -> list[str]:
        pairs = [f"{a} {b}" for a, b in pairwise(kept)] if self.ngrams > 1 else []
        parts = [piece for word in kept for piece in pieces(word)] if self.pieces else []
        return kept + pairs + parts


def fold(text: str) -> str:
    """Return the text in lower case and NFC, without invisible characters.

    Canonically equal texts fold alike, and so do all forms of sigma, and both forms of the dotted I.
    """
    composed = unicodedata.normalize("NFC", text)
    if _special_characters().search(composed):
        composed = unicodedata.normalize("NFC", composed.translate(_special_table()))
    return unicodedata.normalize("NFC", composed.lower())


def words(text: str) -> list[str]:
    """Return the words of a text, folded, in order.

    A word is a run of 2-64 letters, digits and marks; apostrophes and hyphens end it. In scripts without
    spaces each pair of neighbouring characters is a word, and so is a character that stands alone.
    """
    folded = fold(text)
    runs = _ASCII_RUNS.findall(folded) if folded.isascii() else _runs(folded)
    if unspaced_runs().search(folded):
        return [word for run in runs for word in _split_scripts(run)]
    return [run for run in runs if MIN_WORD_CHARS <= len(run) <= MAX_WORD_CHARS]


def typed_words(text: str) -> list[str]:
    """Return the words of what somebody is typing: the last may be a single letter."""
    found = words(text)
    runs = _runs(fold(text))
    if runs and len(runs[-1]) < MIN_WORD_CHARS and not unspaced_runs().match(runs[-1]):
        found.append(runs[-1])
    return found


def plain_text(html: str) -> str:
    """Return the text that a reader of the HTML sees, a blank line between blocks.

    Scripts, styles, captions and WordPress shortcodes are left out. A text without tags and entities comes
    back as it is, but for outer white space. Control characters and lone surrogates are dropped.
    """
    text = _WP_CAPTION.sub(" ", _UNPRINTABLE.sub("", html))
    text = _SHORTCODE.sub(" ", text)
    if not _MARKUP.search(text):
        return text.strip()
    body = LexborHTMLParser(f"<body>{_tamed(text)}").body  # else a leading <noscript> is taken for a head
    if body is None:
        return ""
    blocks = (_SPACES.sub(" ", block).strip() for block in "".join(_pieces(body)).split("\n"))
    return "\n\n".join(block for block in blocks if block)


def as_html(text: str) -> str:
    """Return the text so that `plain_text` takes it back unchanged: escaped, where nothing less would do."""
    if plain_text(text) == text:
        return text
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")


def detect_language(text: str) -> str | None:
    """Return the two-letter code of the language of a text, judged by its first 4,000 characters.

    None when there is too little text to tell, or when the language has no code of two letters.
    """
    printable = "".join(char if char.isprintable() else " " for char in text[:4000])
    encoded = printable.encode(errors="ignore")
    reliable, _, found = pycld2.detect(encoded, isPlainText=True, bestEffort=True)
    code = str(found[0][1]).split("-")[0]
    if code == "un" or (not reliable and len(printable) < _MIN_UNSURE_CHARS):
        return None
    code = {"iw": "he", "jw": "jv", "nb": "no", "nn": "no"}.get(code, code)
    return code if len(code) == 2 else None  # noqa: PLR2004 some languages have three letters only


def reading_minutes(text: str) -> int:
    """Return how many whole minutes a text takes to read, at least 1."""
    unspaced = sum(len(run) for run in unspaced_runs().findall(text))
    spaced = len((unspaced_runs().sub(" ", text) if unspaced else text).split())
    return max(1, round(spaced / WORDS_PER_MINUTE + unspaced / CHARACTERS_PER_MINUTE))


@cache
def word_runs() -> re.Pattern[str]:
    """Return a pattern for runs of letters, digits, underscores and marks."""
    # Marks beyond the basic plane (a few minority scripts) would make the pattern twenty times slower.
    marks = (chr(code) for code in range(0x300, _ASTRAL) if unicodedata.category(chr(code))[0] == "M")
    return re.compile(f"[\\w{''.join(marks)}]+")


@cache
def unspaced_runs() -> re.Pattern[str]:
    """Return a pattern for runs of characters of the scripts that are written without spaces."""
    return re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in UNSPACED_RANGES)}]+")


# Invisible inside words: soft hyphen, zero-width space and joiners, word joiner, BOM, variation selectors.
_IGNORED = (0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10))

# `str.lower` maps these by context, or to two characters.
_SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
_LOWER_FIRST = {0x0130: "i", 0x03A3: _SIGMA, 0x03C2: _SIGMA}

_MIN_UNSURE_CHARS = 40
_ASTRAL = 0x10000
_ASCII_RUNS = re.compile(r"[a-z0-9]+")
_MARKUP = re.compile(r"<[a-zA-Z/!?]|&(?:[a-zA-Z][a-zA-Z0-9]*|#\d+|#[xX][0-9a-fA-F]+);")
# Looking no further than the next opening keeps a text of openings alone from taking quadratic time.
_WP_CAPTION = re.compile(r"\[caption\b[^\]\[]*\](?:(?!\[caption\b).)*?\[/caption\]", re.DOTALL)
# Any name with attributes or as a closing tag; bare, only WordPress's own: "[sic]" is journalism. Nothing is
# tried twice, nor read past the next bracket, so that a hostile text takes linear time.
_SHORTCODE = re.compile(
    r"""\[/[a-z][a-z0-9_-]*\]
    |\[(?:gallery|embed|audio|video|playlist)\s*/?\]
    |\[[a-z][a-z0-9_-]*+ (?:\s++[a-zA-Z_-]++=(?>"[^"\[\]]*"|'[^'\[\]]*'|[^\s"'\[\]]*))++ \s*+/?\]""",
    re.VERBOSE,
)
_MAX_OPENINGS = 5000  # elements; longer articles have a tenth of that
_MAX_TAG_CHARS = 10_000
_OPENING = re.compile(r"<[a-zA-Z]")
_ANY_TAG = re.compile(r"<[^<>]*>")
_TAG_START = re.compile(r"(<[a-zA-Z][a-zA-Z0-9]*+)(?:[^\"'>]|\"[^\"]*\"|'[^']*')*+")
_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n\s*\n")  # WordPress stores paragraphs so
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]+")
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


@cache
def _special_table() -> dict[int, str | None]:
    return {**_LOWER_FIRST, **dict.fromkeys(_IGNORED)}


@cache
def _special_characters() -> re.Pattern[str]:
    return re.compile(f"[{''.join(map(chr, _special_table()))}]")


def _tamed(html: str) -> str:
    """Return the page without what parsing takes quadratic time for: endless tags, and thousands of them."""
    short = _TAG_START.sub(lambda tag: tag[0] if len(tag[0]) < _MAX_TAG_CHARS else tag[1], html)
    if len(_OPENING.findall(short)) <= _MAX_OPENINGS:
        return short
    return _ANY_TAG.sub("\n", short)


def _runs(folded: str) -> list[str]:
    return word_runs().findall(folded.replace("_", " "))


def _split_scripts(run: str) -> Iterator[str]:
    """Yield the words of a run: what stands between its unspaced parts, and their pairs of characters."""
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


def _pieces(node: LexborNode) -> Iterator[str]:
    """Yield the visible text below a node in document order, a newline at each edge of a block.

    Iterative, for a hostile page may nest deeper than Python's stack.
    """
    pending: list[LexborNode | str] = [node]
    while pending:
        at = pending.pop()
        if isinstance(at, str):
            yield at
        elif at.tag == "-text":
            text = _UNPRINTABLE.sub("", at.text_content or "")  # entities may stand for them
            yield "\n".join(_SPACES.sub(" ", part) for part in _BLANK_LINES.split(text))
        elif at.tag not in _SILENT:
            edge = ["\n"] if at.tag in _BLOCKS else []
            pending += [*edge, *reversed(list(at.iter(include_text=True))), *edge]
