"""Only the public posts of a WordPress export are read."""

import gzip
import os
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from recommender.article import Article
from recommender.training.formats import wordpress
from recommender.training.formats.files import SourceOptions
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles

EXPORT = Path(__file__).parents[2] / "data" / "newsroom.xml"
REAL = os.environ.get("RECOMMENDER_TEST_DATA", "")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def altered(folder: Path, *changes: tuple[bytes, bytes]) -> Path:
    """Return the export with some bytes replaced by others."""
    content = EXPORT.read_bytes()
    for old, new in changes:
        assert old in content
        content = content.replace(old, new)
    path = folder / "altered.xml"
    path.write_bytes(content)
    return path


def read(path: Path, *, timezone: str = "UTC", id_prefix: str = "", max_bad: float = 0.05) -> Corpus:
    return read_articles(path, timezone=timezone, id_prefix=id_prefix, max_bad=max_bad, now=NOW)


def post(path: Path, article_id: str = "11") -> Article:
    return next(article for article in read(path).articles if article.id == article_id)


def test_a_post_is_read_with_all_its_fields() -> None:
    assert post(EXPORT) == Article(
        id="11",
        title="Harbour wall to be raised",
        body="The council voted on Monday to raise the wall by sixty centimetres.\n\n"
        "Engineers & fishermen had asked for it since the flood.\n\nThe work begins in June.",
        url="https://courier.example/2024/harbour-wall/?a=1&b=2",
        category="Environment & Climate",
        categories=("Environment & Climate", "Politics"),
        tags=("harbour",),
        authors=("Mara Lindqvist",),
        type="post",
        published_at=datetime(2024, 3, 4, 16, 30, tzinfo=UTC),
        updated_at=datetime(2024, 3, 5, 8, 0, tzinfo=UTC),
        lang="en",
        image_url="https://courier.example/media/wall.jpg?w=1&h=2",
    )


def test_only_published_posts_without_a_password_are_read() -> None:
    corpus = read(EXPORT)

    kinds = "password draft private pending future trash page nav_menu_item revision attachment"
    assert [article.id for article in corpus.articles] == ["11", "12"]
    assert corpus.report.skipped == dict.fromkeys(kinds.split(), 1)
    assert corpus.report.rows_read == 2
    assert not corpus.report.refused


def test_an_export_without_public_posts_is_refused_with_what_was_skipped(tmp_path: Path) -> None:
    hidden = altered(tmp_path, (b"[publish]", b"[draft]"))

    with pytest.raises(CorpusError, match=r"no article in .*skipped 3 draft.*only published posts"):
        read(hidden)


def test_the_status_of_another_plugin_does_not_make_a_draft_public(tmp_path: Path) -> None:
    spoofed = altered(
        tmp_path,
        (b"<rss ", b'<rss xmlns:x="https://example.org/x" '),
        (b"<wp:status>draft", b"<x:status>publish</x:status><wp:status>draft"),
    )

    assert [article.id for article in read(spoofed).articles] == ["11", "12"]


def test_a_primary_category_that_the_post_is_no_longer_in_is_ignored() -> None:
    assert post(EXPORT, "12").categories == ("Politics",)  # term 9, which Yoast still names, is Culture


def test_a_primary_category_may_be_named_by_a_term(tmp_path: Path) -> None:
    culture = b'<category domain="category" nicename="culture">Culture</category></item>'
    moved = altered(tmp_path, (b"</item>", culture))

    assert post(moved, "12").categories == ("Culture", "Politics")


def test_an_author_without_an_entry_is_named_by_the_login() -> None:
    assert post(EXPORT, "12").authors == ("guest",)


def test_a_zero_gmt_date_is_replaced_by_the_local_date() -> None:
    (article,) = [at for at in read(EXPORT, timezone="Europe/Oslo").articles if at.id == "12"]

    assert article.published_at == datetime(2024, 5, 2, 7, 15, tzinfo=UTC)


def test_a_post_without_any_date_is_undated(tmp_path: Path) -> None:
    undated = altered(tmp_path, (b"2024-05-02 09:15:00", b"-0001-11-30 00:00:00"))

    assert post(undated, "12").published_at is None
    assert not read(undated).report.fields_refused


def test_ids_get_the_prefix_of_their_site() -> None:
    assert [article.id for article in read(EXPORT, id_prefix="courier-").articles] == [
        "courier-11",
        "courier-12",
    ]


def test_control_characters_do_not_refuse_a_post(tmp_path: Path) -> None:
    dirty = altered(
        tmp_path,
        (b"voted on Monday", b"voted\x00 on\x0b Monday\x1b"),
        (b"The library", b"The\x00 library"),
        (b"https://courier.example/2024/library/", b"https://courier.example/2024/library/&#11;"),
    )

    corpus = read(dirty)

    assert [article.title for article in corpus.articles][1] == "The library opens again"
    assert post(dirty).body == post(EXPORT).body


def test_an_html_entity_outside_cdata_is_read_as_html(tmp_path: Path) -> None:
    loose = altered(tmp_path, (b"<![CDATA[The library opens again]]>", b"The library&nbsp;opens&eacute;"))

    assert post(loose, "12").title == "The library opensé"


def test_bytes_that_are_not_text_refuse_only_their_post(tmp_path: Path) -> None:
    broken = altered(tmp_path, (b"The library", b"The caf\xe9 library"))

    corpus = read(broken, max_bad=1)

    assert [article.id for article in corpus.articles] == ["11"]
    (refusal,) = corpus.report.refused
    assert (refusal.row, refusal.reason, refusal.detail[:7]) == (2, "not UTF-8", "post 12")


def test_an_export_in_another_encoding_is_read_by_its_declaration(tmp_path: Path) -> None:
    latin = altered(
        tmp_path, (b'encoding="UTF-8"', b'encoding="ISO-8859-1"'), (b"The library", b"The caf\xe9")
    )

    assert post(latin, "12").title == "The café opens again"


WP = b'xmlns:wp="http://wordpress.org/export/1.2/"'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Dear editor, here is our export.", "not a WordPress export: it begins with b'Dear editor"),
        (b"", "not a WordPress export: it begins with b''"),
        (b"<html><body>502 Bad Gateway</body></html>", "is an HTML page"),
        (b"<html><body><p>Use <rss version='2.0'></p></body></html>", "is an HTML page"),
        (b"<?xml version='1.0'?><data></data><rss>", "it begins with b"),
        (b'<?xml version="1.0" encoding="klingon"?><rss ' + WP + b"/>", "unknown encoding 'klingon'"),
    ],
)
def test_a_file_that_is_not_an_export_is_refused_with_its_beginning(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "export.xml"
    path.write_bytes(content)

    with pytest.raises(CorpusError, match=rf"export\.xml .*{re.escape(message)}"):
        read(path)


DECLARATION = b'<?xml version="1.0" encoding="UTF-8" ?>'
WARNING = b"<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/x.php</b> on line <b>7</b><br />\n"


@pytest.mark.parametrize(
    "before",
    [
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf\n \r\n",
        b"\n\xef\xbb\xbf\xef\xbb\xbf",
        WARNING,
        b"PHP Notice:  Undefined index: a < b & c in /srv/a.php on line 3\n\xef\xbb\xbf",
        b"<font size='1'><table class='xdebug-error'><tr><th>( ! ) Deprecated</th></tr></table></font>",
    ],
)
def test_what_a_server_printed_before_an_export_is_ignored(tmp_path: Path, before: bytes) -> None:
    dirty = altered(tmp_path, (DECLARATION, before + DECLARATION))

    corpus = read(dirty)

    assert corpus.articles == read(EXPORT).articles
    assert bool(corpus.report.notes) == bool(before.strip(b"\xef\xbb\xbf\r\n "))


def test_an_export_without_a_declaration_may_follow_a_warning(tmp_path: Path) -> None:
    dirty = altered(tmp_path, (DECLARATION, WARNING))

    assert read(dirty).articles == read(EXPORT).articles
    assert "text outside the document was ignored: '<br /> <b>Warning" in read(dirty).report.notes[0]


def test_a_file_without_a_known_suffix_is_an_export_even_after_a_warning(tmp_path: Path) -> None:
    path = altered(tmp_path, (DECLARATION, b"Notice: x in y\n" + DECLARATION)).rename(tmp_path / "export.txt")

    assert read(path).articles == read(EXPORT).articles


@pytest.mark.parametrize("name", ["ISO-8859-1", "latin1", "us-ascii", "ascii", "windows-1252", "l1"])
def test_latin_1_is_read_as_windows_1252_as_in_browsers(tmp_path: Path, name: str) -> None:
    quoted = altered(
        tmp_path,
        (b'encoding="UTF-8"', b'encoding="' + name.encode() + b'"'),
        (b"The library", b"\x93Quay\x94 \x80"),
    )

    assert post(quoted, "12").title == "“Quay” € opens again"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_an_export_in_utf_16_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "wide.xml"
    path.write_bytes(EXPORT.read_text(encoding="utf-8").replace("UTF-8", "utf-16").encode(encoding))

    assert read(path).articles == read(EXPORT).articles


def test_half_a_character_of_utf_16_refuses_only_its_post(tmp_path: Path) -> None:
    path = tmp_path / "wide.xml"
    wide = EXPORT.read_text(encoding="utf-8").encode("utf-16")
    path.write_bytes(wide.replace("library".encode("utf-16-le"), b"\x00\xd8" + "y".encode("utf-16-le")))

    assert [article.id for article in read(path, max_bad=1).articles] == ["11"]


def test_a_declaration_of_utf_16_that_can_be_read_is_wrong(tmp_path: Path) -> None:
    assert post(altered(tmp_path, (b'"UTF-8"', b'"utf-16"')), "12").title == "The library opens again"


def test_without_a_declared_encoding_western_bytes_are_read_with_a_note(tmp_path: Path) -> None:
    western = altered(tmp_path, (b' encoding="UTF-8"', b""), (b"The library", b"Caf\xe9 \x93Quay\x94"))

    corpus = read(western)

    assert corpus.articles[1].title == "Café “Quay” opens again"
    assert corpus.report.notes[0].endswith("no encoding is declared; it was read as windows-1252")


def test_without_a_declared_encoding_mixed_bytes_refuse_their_post(tmp_path: Path) -> None:
    mixed = altered(tmp_path, (b' encoding="UTF-8"', b""), (b"The library", "Caf\xe9".encode() + b" \xe9"))

    assert [article.id for article in read(mixed, max_bad=1).articles] == ["11"]


def test_exports_in_one_file_are_all_read(tmp_path: Path) -> None:
    content = EXPORT.read_bytes()
    more = content.replace(b"<wp:post_id>", b"<wp:post_id>9")
    path = tmp_path / "both.xml"
    path.write_bytes(content + b"\n<b>Notice</b>: done\n" + more + b"\nexit 0\n")

    corpus = read(path)

    assert [article.id for article in corpus.articles] == ["11", "12", "911", "912"]
    assert len(corpus.report.notes) == 3


def test_a_raw_ampersand_and_bracket_are_text(tmp_path: Path) -> None:
    raw = altered(
        tmp_path,
        (b"<![CDATA[The library opens again]]>", b"Fish & chips < 5 &euro; &#38; more &amp; ]]> R&D"),
        (b"https://courier.example/2024/library/", b"https://courier.example/?p=3&x=1&amp;y=2"),
    )

    assert post(raw, "12").title == "Fish & chips < 5 € & more & ]]> R&D"
    assert post(raw, "12").url == "https://courier.example/?p=3&x=1&y=2"
    assert read(raw).report.notes[0].endswith("5 raw characters of XML were read as text")


def test_an_end_of_section_inside_a_text_is_text(tmp_path: Path) -> None:
    inside = altered(tmp_path, (b"The work begins in June.", b"a]]> <p>b ]]></script> c</p>"))

    assert post(inside).body.endswith("a]]>\n\nb ]]> c")
    assert post(inside).published_at == post(EXPORT).published_at


def test_a_section_may_be_part_of_a_text(tmp_path: Path) -> None:
    parts = altered(tmp_path, (b"<![CDATA[The library opens again]]>", b"<![CDATA[A ]]> &amp; <![CDATA[B]]>"))

    assert post(parts, "12").title == "A & B"


def test_missing_and_unknown_namespaces_do_no_harm(tmp_path: Path) -> None:
    content = re.sub(rb'\s+xmlns:\w+="[^"]*"', b"", EXPORT.read_bytes()).replace(
        b"</item>", b"<media:rating>5</media:rating></item>"
    )
    path = tmp_path / "bare.xml"
    path.write_bytes(content.replace(b"<channel>", b"<channel><wp:wxr_version>1.2</wp:wxr_version>"))

    assert read(path).articles == read(EXPORT).articles


def test_a_document_type_declares_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("password", encoding="utf-8")
    entity = f'<!DOCTYPE rss [<!ENTITY s SYSTEM "{secret}"><!ENTITY t "text">]>'.encode()
    declaring = altered(
        tmp_path, (b"<rss ", entity + b"<rss "), (b"<![CDATA[The library opens again]]>", b"A &s; &t; B")
    )

    assert post(declaring, "12").title == "A &s; &t; B"


def language(slug: str, name: str = "") -> bytes:
    return f'<category domain="language" nicename="{slug}"><![CDATA[{name}]]></category></item>'.encode()


def meta(key: str, value: str) -> bytes:
    pair = f"<wp:meta_key>{key}</wp:meta_key><wp:meta_value>{value}</wp:meta_value>"
    return f"<wp:postmeta>{pair}</wp:postmeta></item>".encode()


@pytest.mark.parametrize(
    ("statement", "lang"),
    [
        (language("fr", "Français"), "fr"),
        (language("pt-br", "Português"), "pt"),
        (language("zh-tw", "中文"), "zh-Hant"),
        (meta("_wpml_import_language_code", "nb"), "no"),
        (meta("_locale", "de_DE_formal"), "de"),
        (meta("_wpml_import_source_language_code", "fr"), "en"),
        (b"<dc:language>it-IT</dc:language></item>", "it"),
    ],
)
def test_the_language_of_a_post_is_that_which_it_states(tmp_path: Path, statement: bytes, lang: str) -> None:
    assert post(altered(tmp_path, (b"</item>", statement))).lang == lang


def test_the_language_element_of_an_item_is_not_that_of_the_site(tmp_path: Path) -> None:
    without = altered(
        tmp_path, (b"<language>en-GB</language>", b""), (b"</item>", b"<language>fi</language></item>")
    )

    assert [article.lang for article in read(without).articles] == ["en", "en"]


def test_a_language_with_any_slug_has_the_locale_of_its_term(tmp_path: Path) -> None:
    term = (
        b"<wp:term><wp:term_taxonomy>language</wp:term_taxonomy><wp:term_slug>us</wp:term_slug>"
        b'<wp:term_description>a:2:{s:6:"locale";s:5:"es_MX";s:3:"rtl";i:0;}</wp:term_description></wp:term>'
    )
    termed = altered(tmp_path, (b"</item>", language("us")), (b"</channel>", term + b"</channel>"))

    assert post(termed).lang == "es"
    assert not read(termed).report.notes


DUTCH = (
    "De gemeenteraad heeft dinsdag besloten dat de oude brug over de rivier wordt vervangen door een nieuwe."
)


def test_a_language_without_a_code_is_that_of_its_texts(tmp_path: Path) -> None:
    dutch = altered(
        tmp_path,
        (b"</item>", language("nieuws", "Vlaams")),
        (b"The council voted on Monday to raise the wall by sixty centimetres.", DUTCH.encode() * 20),
    )

    corpus = read(dutch)

    assert {article.lang for article in corpus.articles} == {"nl"}  # also the post with a short text
    assert "the language 'nieuws' of 11 items is nl, as its texts show" in corpus.report.notes[0]


def test_a_language_that_nothing_explains_is_noted(tmp_path: Path) -> None:
    unknown = altered(tmp_path, (b"</item>", language("us")))

    corpus = read(unknown)

    assert post(unknown, "12").lang == "en"
    assert "the language 'us' of" in corpus.report.notes[0]


def test_a_truncated_export_is_named(tmp_path: Path) -> None:
    content = EXPORT.read_bytes()
    path = tmp_path / "cut.xml"
    for size in (len(content) - 30, len(content) // 2, len(content) // 3):
        path.write_bytes(content[:size])

        with pytest.raises(CorpusError, match=r"cut\.xml is truncated: .*export it again"):
            read(path)


def test_tags_that_do_not_match_are_named_with_their_line(tmp_path: Path) -> None:
    broken = altered(tmp_path, (b"<title>A plan</title>", b"<title>A plan</titel>"))

    with pytest.raises(CorpusError, match=r"line 67: .*titel"):
        read(broken)


def test_a_compressed_export_is_read(tmp_path: Path) -> None:
    path = tmp_path / "export.xml.gz"
    path.write_bytes(gzip.compress(EXPORT.read_bytes()))

    assert read(path).articles == read(EXPORT).articles


def test_an_export_of_any_length_needs_the_memory_of_one_item(tmp_path: Path) -> None:
    content = EXPORT.read_bytes()
    start, end = content.index(b"<item>"), content.rindex(b"</item>") + len(b"</item>")
    path = tmp_path / "long.xml"
    path.write_bytes(content[:start] + content[start:end] * 200 + content[end:])

    items = wordpress._elements(path, "utf-8", "item")
    siblings = max(sum(1 for _ in item.itersiblings(preceding=True)) for item in items)

    assert siblings < 25
    assert sum(1 for row in wordpress.wordpress_rows(path, SourceOptions()) if not row.skipped) == 400


def test_an_export_may_begin_with_any_number_of_comments(tmp_path: Path) -> None:
    path = altered(tmp_path, (b"<rss", b"<!-- how to read this file -->\n" * 1500 + b"<rss"))

    assert read(path).articles == read(EXPORT).articles


@pytest.mark.skipif(not REAL, reason="RECOMMENDER_TEST_DATA names no folder of real corpora")
@pytest.mark.parametrize(
    "path", sorted(Path(REAL).glob("wxr/*.xml")) if REAL else [], ids=lambda path: path.name
)
def test_real_exports_give_the_posts_that_an_independent_parse_counts(path: Path) -> None:
    content = re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", path.read_bytes())
    kinds = Counter(map(kind, ET.fromstring(content).iter("item")))  # noqa: S314 - a file we chose

    corpus = read(path)

    assert len(corpus.articles) + corpus.report.refused_rows == kinds.pop("")
    assert corpus.report.skipped == kinds


def kind(item: ET.Element) -> str:
    said = {child.tag.rpartition("}")[2]: child.text or "" for child in item if "wordpress.org" in child.tag}
    if said["post_type"] != "post":
        return said["post_type"]
    if said["status"] != "publish":
        return said["status"]
    return "password" if said.get("post_password") else ""


def test_published_items_of_the_site_s_own_types_are_noted(tmp_path: Path) -> None:
    path = altered(tmp_path, (b"[post]", b"[news]"), (b">post<", b">news<"))

    with pytest.raises(
        CorpusError, match=r"other types were skipped: \d+ news; to read all: --type post,news$"
    ):
        read(path)
