"""XML is repaired alike in pieces of any size, and only where it must be."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from recommender.training.formats.xml_text import (
    MAX_START_CHARS,
    XmlCleaner,
    undeclared_encoding,
    xml_encoding,
    xml_start,
)

ITEMS = (
    "<?xml version='1.0'?>\n<rss version='2.0'><channel><title><![CDATA[a]]> &amp; b</title>"
    "<body><![CDATA[x ]]> y ]]></script> & < z]]></body>"
    "<b>5 < 6 & 7 &nbsp; &#11; &#233; ]]> 8</b></channel></rss>"
)


def cleaned(text: str, sizes: list[int]) -> tuple[str, list[str]]:
    """Return the text as it is cleaned in pieces of these sizes, and the notes."""
    cleaner = XmlCleaner({"wp": "http://wordpress.org/export/1.2/"})
    pieces = [cleaner.clean(piece, is_last=False) for piece in pieces_of(text, sizes)]
    return "".join([*pieces, cleaner.clean("", is_last=True)]), cleaner.notes()


def pieces_of(text: str, sizes: list[int]) -> Iterator[str]:
    at = 0
    for size in sizes:
        yield text[at : at + size]
        at += size
    yield text[at:]


@given(st.lists(st.integers(1, 60), max_size=20), st.sampled_from([ITEMS, f"x{ITEMS}\n{ITEMS} end"]))
def test_a_text_is_cleaned_alike_in_pieces_of_any_size(sizes: list[int], text: str) -> None:
    long = text.replace("<channel>", f"<channel>{'-' * MAX_START_CHARS}", 1)
    # Only from here on, the cleaner does not wait for more text.
    first = MAX_START_CHARS + long.index("<channel>")

    assert cleaned(long, [first, *sizes]) == cleaned(long, [])


def test_a_cleaned_text_is_well_formed_and_keeps_its_texts() -> None:
    root = etree.fromstring(cleaned(ITEMS, [])[0])

    assert [element.text for element in root.iter("title", "body", "b")] == [
        "a & b",
        "x ]]> y ]]></script> & < z",
        "5 < 6 & 7 &nbsp;  é ]]> 8",
    ]


def test_the_lines_of_a_document_keep_their_numbers() -> None:
    text = f"Warning\n\n{ITEMS}"

    assert cleaned(text, [])[0].count("\n") == text.count("\n")


def test_a_well_formed_document_is_unchanged_but_for_its_namespaces() -> None:
    plain = "<rss><channel><a x='1'>b &lt; &#x41; <![CDATA[ & < ]]]]><![CDATA[> ]]></a></channel></rss>"
    name = ' xmlns:wp="http://wordpress.org/export/1.2/"'

    assert cleaned(plain, []) == (f"<documents><rss{name}>{plain[5:]}</documents>", [])


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        (b"<?xml version='1.0' encoding='ISO-8859-1'?>", "cp1252"),
        (b"<?xml version='1.0' encoding = \"US-ASCII\"?>", "cp1252"),
        (b"\n\n<?xml version='1.0' encoding='iso8859-15'?>", "iso8859-15"),
        (b"<?xml version='1.0' encoding='cp850'?>", "cp850"),
        (b"<?xml version='1.0' encoding='utf-16'?>", "utf-8"),
        (b"\xef\xbb\xbf<?xml version='1.0' encoding='latin1'?>", "utf-8"),
        ("<?xml version='1.0'?>".encode("utf-16-le"), "utf-16-le"),
        ("<?xml version='1.0'?>".encode("utf-16"), "utf-16"),
        (b"<?xml version='1.0'?>", None),
        (b"<rss>", None),
    ],
)
def test_an_encoding_means_what_it_means_in_browsers(head: bytes, encoding: str | None) -> None:
    assert xml_encoding(head) == encoding


@pytest.mark.parametrize("name", ["klingon", "hex", "iso-2022-kr-x"])
def test_an_unknown_encoding_is_named(name: str) -> None:
    with pytest.raises(LookupError, match=name):
        xml_encoding(f"<?xml version='1.0' encoding='{name}'?>".encode())


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("Café".encode() * 9, "utf-8"),
        (b"a long word before: Caf\xe9", "windows-1252"),
        ("Café ".encode() + b"Caf\xe9" + b" and more" * 9, "utf-8"),
        ("Привет".encode("cp1251"), "utf-8"),
    ],
)
def test_an_undeclared_encoding_is_guessed_only_for_western_texts(content: bytes, encoding: str) -> None:
    assert undeclared_encoding([content[:7], content[7:]]) == encoding


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("<rss>", ""),
        ("\ufeff\n<!-- a --><rss version='2.0'>", ""),
        ("Notice: x\n<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY a 'b'>]><rss>", "Notice: x\n"),
        ("<br/><b>Warning</b>: x<br/><feed xmlns='a'>", "<br/><b>Warning</b>: x<br/>"),
    ],
)
def test_a_document_may_begin_after_other_text(text: str, before: str) -> None:
    start = xml_start(text)

    assert start is not None
    assert start.before.strip("\ufeff\n") == before.strip()
    assert text[start.end :].startswith(start.root)


@pytest.mark.parametrize("text", ["", "rss", "<html><rss>", "<?xml version='1.0'?><opml><rss>", "<rssfeed>"])
def test_other_texts_are_no_document(text: str) -> None:
    assert xml_start(text) is None


def test_a_hostile_beginning_is_read_in_linear_time() -> None:
    for piece in ("<!--", "<?", "<!DOCTYPE [", "<rss", "<?xml ", "< "):
        assert xml_start(piece * (65_536 // len(piece))) is None or piece == "<rss"
