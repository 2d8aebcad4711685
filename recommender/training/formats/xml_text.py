"""Make the XML of exports and feeds readable: what is around the document, its encoding, raw characters.

A server may print blank lines or PHP warnings before the document. Exporters forget to escape `&` and `]]>`,
or to declare a namespace. Nothing here resolves or declares entities: a document type is dropped.
"""

import codecs
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import webencodings

MAX_WAITING_CHARS = 1 << 20  # how far a CDATA section is searched for its end
MAX_START_CHARS = 65_536  # a document must begin within them
SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class XmlStart:
    """Where an RSS or Atom document begins in a text, and what is before it."""

    before: str  # such as the warnings of a server
    prolog: str  # XML declaration, comments and document type, up to the root element
    root: str  # the name and attributes of the root element: "rss version='2.0'"

    @property
    def end(self) -> int:
        """The position of the root element in the text."""
        return len(self.before) + len(self.prolog)


def xml_start(text: str) -> XmlStart | None:
    """Return where an RSS or Atom document begins, or None if the text does not begin with one.

    A document without an XML declaration may follow the HTML in which servers print warnings, but not other
    elements: it could be an example in a web page.
    """
    declaration = _DECLARATION.search(text)
    begin = declaration.start() if declaration else 0
    prolog = _PROLOG.match(text, begin)
    root = _ROOT.match(text, prolog.end()) if prolog else None
    if root is None and not declaration and (root := _ROOT.search(text)):
        begin, prolog = root.start(), None
        if not _WARNING_TAGS.issuperset(name.lower() for name in _TAG_NAME.findall(text[:begin])):
            return None
    if root is None:
        return None
    return XmlStart(text[:begin], prolog[0] if prolog else "", root[0])


def xml_start_of(head: bytes) -> XmlStart | None:
    """Return where an RSS or Atom document begins in the first bytes of a file, or None."""
    return xml_start(head.decode(_encoding_of_bytes(head) or "latin-1", errors="replace"))


def xml_encoding(head: bytes) -> str | None:
    """Return the encoding that an XML file states, by its first bytes or its declaration; None without one.

    Names mean what they mean in browsers: ISO-8859-1 and ASCII are read as windows-1252. Raises LookupError
    with the name if it is unknown.
    """
    if by_bytes := _encoding_of_bytes(head):
        return by_bytes
    declared = _DECLARED.search(head.decode("latin-1"))
    if declared is None:
        return None
    encoding = webencodings.lookup(declared[1])
    if encoding is None or encoding.name == "replacement":
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=declared[1])  # refuses codecs that are not for text
        except LookupError:
            raise LookupError(declared[1]) from None
        return declared[1]
    # The declaration itself could be read, so this is not UTF-16.
    return "utf-8" if encoding.name.startswith("utf-16") else encoding.codec_info.name


def undeclared_encoding(chunks: Iterable[bytes]) -> str:
    """Return the encoding of a file that states none: UTF-8, or windows-1252 if no byte looks like UTF-8.

    A text with many other bytes is in another alphabet, so it stays UTF-8 and its rows are refused.
    """
    size, others, sequences = 0, 0, 0
    is_utf8, decoder = True, codecs.getincrementaldecoder("utf-8")()
    for chunk in chunks:
        size += len(chunk)
        if chunk.isascii() and not decoder.getstate()[0]:
            continue
        others += len(_NOT_ASCII.findall(chunk))
        sequences += len(_UTF8_SEQUENCE.findall(chunk))
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError:
            is_utf8 = False
            decoder.reset()
    is_utf8 = is_utf8 and not decoder.getstate()[0]  # no half a character at the end
    is_western = not is_utf8 and not sequences and others <= size * _MAX_WESTERN_SHARE
    return "windows-1252" if is_western else "utf-8"


class XmlCleaner:
    """Turns the text of a file, piece by piece, into one well-formed document with the root `documents`.

    The file may contain several documents, and text around them, which is dropped. `notes` has a sentence
    about each thing that was changed or dropped, once the file was read to its end.
    """

    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._namespaces = namespaces  # declared in each document that does not declare them; by prefix
        self._text, self._at = "", 0  # the current text, and how much of it was returned
        self._recent = ""  # the end of the text before it
        self._element = ""  # the element whose CDATA section is read
        self._state, self._is_begun = self._before, False
        self._documents, self._escaped, self._unsplit = 0, 0, 0
        self._dropped: list[str] = []

    def clean(self, text: str, *, is_last: bool) -> str:
        """Return the next characters of the document; they may be fewer than given."""
        cleaned = [] if self._is_begun else ["<documents>"]
        self._is_begun = True
        returned = self._text[max(0, self._at - _RECENT_CHARS) : self._at]
        self._recent = (self._recent + returned)[-_RECENT_CHARS:]
        self._text, self._at = self._text[self._at :] + text, 0
        while (piece := self._state(is_last=is_last)) is not None:
            cleaned.append(piece)
        return "".join([*cleaned, "</documents>"] if is_last else cleaned)

    def notes(self) -> list[str]:
        """Return what was changed and dropped, a sentence for each kind."""
        counts = {
            f"{self._documents} documents follow each other; all were read": self._documents > 1,
            f"{self._escaped:,} raw characters of XML were read as text": self._escaped,
            f"{self._unsplit:,} ]]> inside texts were read as text": self._unsplit,
        }
        dropped = [
            f"text outside the document was ignored: {text[:SHOWN_CHARS]!r}" for text in self._dropped[:3]
        ]
        return [note for note, count in counts.items() if count] + dropped

    def _before(self, *, is_last: bool) -> str | None:
        """Drop text until a document begins; the lines are kept for the numbers in messages."""
        size = len(self._text) - self._at
        if not size or (size < MAX_START_CHARS and not is_last):
            return None
        start = xml_start(self._text[self._at : self._at + MAX_START_CHARS])
        dropped = self._text[self._at :] if start is None else start.before
        if words := dropped.replace("\ufeff", " ").split():
            self._dropped.append(" ".join(words))
        if start is None:
            self._at = len(self._text)
            return "\n" * dropped.count("\n")
        self._documents += 1
        self._state = self._outside
        self._at += start.end + len(start.root)
        missing = "".join(
            f' xmlns:{prefix}="{name}"'
            for prefix, name in self._namespaces.items()
            if f"xmlns:{prefix}" not in start.root
        )
        lines = "\n" * (start.before + start.prolog).count("\n")
        return f"{lines}<{start.root[1:]}{missing}"

    def _outside(self, *, is_last: bool) -> str | None:
        """Return the text up to the next token; a raw character is escaped, as XML demands."""
        token = _TOKEN.search(self._text, self._at)
        if token is None or (len(self._text) - token.start() < _LONGEST_TOKEN and not is_last):
            return self._taken(len(self._text) if is_last else len(self._text) - _LONGEST_TOKEN)
        begin, self._at = self._at, token.end()
        text = self._text[begin : token.start()]
        if token[0] == "<![CDATA[":
            before = self._text[max(0, token.start() - _RECENT_CHARS) : token.start()]
            element = _ELEMENT_AT_END.search((self._recent + before)[-_RECENT_CHARS:])
            self._element = element[1] if element else ""
            self._state = self._inside
        elif token[0] == "</rss>":
            self._state = self._before
        else:
            return text + self._repaired(token)
        return text + token[0]

    def _repaired(self, token: re.Match[str]) -> str:
        """Return a raw character or a reference as XML allows it; HTML's entities are left to the reader."""
        if number := token["decimal"] or token["hexadecimal"]:
            is_character = _XML_CHARACTER.fullmatch(chr(int(number, 10 if token["decimal"] else 16)))
            return token[0] if is_character else ""
        self._escaped += not token["entity"]
        return _ESCAPED[token[0][0]] + token[0][1:]

    def _inside(self, *, is_last: bool) -> str | None:
        """Return the text up to the next `]]>`, which is split if it does not end the section."""
        end = self._text.find("]]>", self._at)
        if end < 0:
            return self._taken(len(self._text) if is_last else len(self._text) - 2)
        after = end + len("]]>")
        is_end = self._is_end_of_section(after, is_last=is_last)
        if is_end is None:
            return self._taken(end)
        text, self._at = self._text[self._at : end], after
        if is_end:
            self._state = self._outside
            return f"{text}]]>"
        self._unsplit += 1
        return f"{text}]]]]><![CDATA[>"

    def _is_end_of_section(self, after: int, *, is_last: bool) -> bool | None:
        """Return whether the section ends here, None if more text is needed to decide.

        It does not if there is another `]]>` before the end of the element, without another section.
        """
        if not self._element:
            return True
        close = self._text.find(f"</{self._element}", after)
        is_complete = is_last or len(self._text) - after > MAX_WAITING_CHARS
        if close < 0 and not is_complete:
            return None
        rest = self._text[after:close] if close >= 0 else ""
        return "]]>" not in rest.partition("<![CDATA[")[0]

    def _taken(self, end: int) -> str | None:
        text = self._text[self._at : max(end, self._at)]
        self._at += len(text)
        return text or None


_PROLOG = re.compile(
    r"(?:[\s\ufeff]+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s[^\[>]*(?:\[[^\]]*\]\s*)?>)*+", re.DOTALL | re.IGNORECASE
)
_ROOT = re.compile(r"<(?:rss|feed|rdf:RDF)(?=[\s>])[^>]*")
_TAG_NAME = re.compile(r"<\s*/?\s*([a-zA-Z][\w:-]*)")
_WARNING_TAGS = frozenset(
    "a b br code div em font hr i p pre small span strong table tbody td th thead tr tt u".split()
)
_DECLARATION = re.compile(r"<\?xml\s")
_DECLARED = re.compile(r"""<\?xml[^>]*\bencoding\s*=\s*["']([\w.:-]+)""")
_LONGEST_TOKEN = 40  # an entity has at most 34 characters
_TOKEN = re.compile(
    r"<!\[CDATA\[|\]\]>|</rss>|<(?![A-Za-z_:/!?\x80-\U0010ffff])"
    r"|&\#(?:(?P<decimal>\d{1,6})|[xX](?P<hexadecimal>[0-9a-fA-F]{1,5}));"
    r"|&(?!(?:amp|lt|gt|quot|apos);)(?=(?P<entity>[A-Za-z][A-Za-z0-9]{1,31};)?)"
)
_ESCAPED = {"&": "&amp;", "<": "&lt;", "]": "&#93;"}
_XML_CHARACTER = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RECENT_CHARS = 200
_ELEMENT_AT_END = re.compile(r"<([\w:.-]+)(?:\s[^<>]*)?>\s*$")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_MAX_WESTERN_SHARE = 0.1
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}


def _encoding_of_bytes(head: bytes) -> str | None:
    """Return the encoding that the first bytes prove: by a byte-order mark, or by NUL beside `<`."""
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
