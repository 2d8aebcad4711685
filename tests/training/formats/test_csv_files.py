"""CSV files: broken rows are refused with their line, and the header decides what is read."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.training.formats.csv_files import is_windows_1252
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from tests.support.laws import examples

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(*paths: Path, **options: Any) -> Corpus:
    return read_articles(*paths, now=NOW, **options)


def first(path: Path, **options: Any) -> Article:
    return read(path, **options).articles[0]


def test_csv_rows_are_numbered_by_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'id,title,body\n1,One,"two\nlines"\n2,Two\n3,Three,x\n')

    report = read(path, max_bad=1).report

    (refusal,) = report.refused
    assert (refusal.row, refusal.detail) == (4, "2 fields where the header has 3")


def test_csv_bytes_that_are_not_utf8_refuse_the_row_and_never_become_other_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"id,title\n1,caf\xe9 talk\n2,caf\xc3\xa9\n")

    corpus = read(path, max_bad=1)

    assert [article.title for article in corpus.articles] == ["café"]
    assert (corpus.report.refused[0].row, corpus.report.refused[0].reason) == (2, "not UTF-8")
    assert "0xe9 in 'caf'" in corpus.report.refused[0].detail


def test_a_stray_quote_refuses_only_its_own_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'id,title\n1,"He said "no" twice"\n2,Two\n')

    corpus = read(path, max_bad=1)

    assert [article.id for article in corpus.articles] == ["2"]
    assert corpus.report.refused_by_reason == {"broken CSV": 1}


def test_a_quote_that_never_closes_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"a\.csv: a quote opened in line 3"):
        read(write(tmp_path / "a.csv", 'id,title\n1,One\n2,"Two\n3,Three\n4,Four\n'))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id:title", "'id:title'; it has only one column: separate its fields by commas"),
        ("_id,title,body", "columns: '_id', 'title', 'body'; map one, such as id=_id"),
        (
            "id,text",
            "neither a column 'title' nor 'body'; its columns: 'id', 'text'; map one, .*body=text",
        ),
        (
            "nr;title;body",
            "no column 'id'; its columns: 'nr', 'title', 'body'; map one, .*id=their_name",
        ),
        ("id;title;x|id|title", "no column .id.; .* seem to be separated by semicolons"),
        ("id|headline", "its columns: 'id', 'headline'; map one, such as title=headline"),
        ("Notes, internal;id;text", "seem to be separated by semicolons .*; separate them by commas"),
        (
            "ID,Title,Content",
            "no column 'body'; its columns: 'ID', 'Title', 'Content'; .*body=Content",
        ),
        ("ID,Id,title,body", "no column 'id'; .* map one, such as id=ID"),
        ('id,"tit"le",body', "the header cannot be read"),
        ("sep=^\nnr^title", "no column 'id'; its columns: 'nr', 'title'"),
        ("sep=^\nnr", "it has only one column: separate its fields by '\\^'"),
    ],
)
def test_a_csv_without_our_columns_is_refused_with_its_columns(
    tmp_path: Path, header: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read(write(tmp_path / "a.csv", f"{header}\n1,2,3\n"))


def test_a_tsv_file_is_separated_by_tabs(tmp_path: Path) -> None:
    assert first(write(tmp_path / "a.tsv", "id\ttitle\n1\tOne, two\n")).title == "One, two"


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("id;title\n1;One, or two\n2;Straße\n", "read as UTF-8, separated by semicolons"),
        ("\ufefftitle|id\nStraße|2\n", "read as UTF-8, separated by bars"),
        ('"id"\t"title"\n2\tStraße\n', "read as UTF-8, separated by tabs"),
        ("sep=;\nid;title\n2;Straße\n", "read as UTF-8, separated by semicolons"),
        ('"SEP=^"\r\nid^title\r\n2^Straße\r\n', "read as UTF-8, separated by '^'"),
        ("id;title\r2;Straße\r", "read as UTF-8, separated by semicolons"),
    ],
)
def test_another_delimiter_is_read_if_the_header_proves_it(tmp_path: Path, content: str, note: str) -> None:
    path = write(tmp_path / "a.csv", content)

    corpus = read(path)

    assert corpus.articles[-1].title == "Straße"
    assert corpus.report.notes == [f"{path}: {note}"]


def test_a_tsv_file_may_be_separated_by_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "id,title\n1,One\n")

    assert read(path).report.notes == [f"{path}: read as UTF-8, separated by commas"]


def test_a_mapping_proves_the_delimiter_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Nr;Überschrift\n1;One\n".encode("cp1252"))

    corpus = read(path, columns={"id": "Nr", "title": "Überschrift"})

    assert corpus.report.notes == [f"{path}: read as windows-1252, separated by semicolons"]
    assert [article.title for article in corpus.articles] == ["One"]


def test_the_usual_dialect_has_no_note_and_a_name_may_contain_other_delimiters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,title,tags;id;title\n1,One;Two,x\n")

    corpus = read(path)

    assert (corpus.articles[0].title, corpus.report.notes) == ("One;Two", [])


def test_rows_after_a_separator_line_keep_their_line_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "sep=;\nid;title\n1;One\n2\n")

    assert [refusal.row for refusal in read(path, max_bad=1).report.refused] == [4]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_utf16_is_read_with_and_without_a_byte_order_mark(tmp_path: Path, encoding: str, name: str) -> None:
    content = 'id\ttitle\r\n1\t"Straße\nund 🗞"\r\n'.encode(encoding)
    path = write(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)

    corpus = read(path)

    assert corpus.articles[0].title == "Straße und 🗞"
    assert corpus.report.notes == [f"{path}: read as UTF-16, separated by tabs"]


def test_utf16_text_of_a_spreadsheet_is_recognized_by_its_content(tmp_path: Path) -> None:
    assert first(write(tmp_path / "export.txt", "id\ttitle\n1\tStraße\n".encode("utf-16"))).title == "Straße"


def test_half_a_character_of_utf16_refuses_its_row(tmp_path: Path) -> None:
    content = "id,title\n1,One ".encode("utf-16") + b"\x3d\xd8" + "\n2,Two\n".encode("utf-16-le")

    report = read(write(tmp_path / "a.csv", content), max_bad=1).report

    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [(2, "not UTF-16")]


def test_utf16_lacking_our_columns_is_refused_with_them(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="its columns: 'nr', 'title'; map one"):
        read(write(tmp_path / "a.csv", "nr\ttitle\n".encode("utf-16")))


@pytest.mark.parametrize("text", ["Straße", "über", "L’été", "“Quoted”", "Œuvre – 5 €", "Café", "AÇÃO"])
def test_windows_1252_is_read_if_nothing_in_the_file_is_utf8(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.csv", f"id,title\n1,One\n2,{text} Straße\n".encode("cp1252"))

    corpus = read(path)

    assert corpus.articles[1].title == f"{text} Straße"
    assert corpus.report.notes == [f"{path}: read as windows-1252"]


def test_the_first_letter_of_windows_1252_may_come_late_in_a_large_file(tmp_path: Path) -> None:
    rows = "".join(f"{number},Story {number}\n" for number in range(1, 6000))
    padding = "x" * (2 << 20)  # beyond the first block that is looked at
    path = write(tmp_path / "a.csv", f"id,title,url\n0,{padding},\n".encode() + b"y,Caf\xe9 noir,\n")

    assert is_windows_1252(path)
    assert is_windows_1252(write(tmp_path / "b.csv", rows.encode() + b"y,Caf\xe9"))


@pytest.mark.parametrize(
    "titles",
    [
        [b"caf\xc3\xa9", b"caf\xe9 talk"],  # one broken row in UTF-8
        [b"One \xe2\x80", b"Two"],  # a quotation mark that was cut in half
        [b"One \xf0\x9f\x97", b"Two \xc3"],
        [b"Two", b"\xff\xfe rubbish"],
        [b"caf\xe9", b"\x81\x8d"],  # undefined in windows-1252
        [b"\xe6\x97\xa5\xe6\x9c\xac" * 3, b"caf\xe9 talk " * 9],
    ],
)
def test_a_file_that_is_not_clearly_windows_1252_stays_utf8(tmp_path: Path, titles: list[bytes]) -> None:
    rows = b"".join(b"%d,%b\n" % (number, title) for number, title in enumerate(titles))
    path = write(tmp_path / "a.csv", b"id,title\n" + rows + b"9,Nine\n")

    report = read(path, max_bad=1).report

    assert report.notes == []
    assert set(report.refused_by_reason) == {"not UTF-8"}


def test_a_row_of_utf8_in_a_file_of_windows_1252_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{number},Straße und Brücke\n" for number in range(20)).encode("cp1252")
    last = "y,CAFÉ’S Brücke\n".encode("cp1252")  # two of its bytes are also a letter in UTF-8
    path = write(tmp_path / "a.csv", b"id,title\n" + rows + "x,Straße\n".encode() + last)

    corpus = read(path, max_bad=1)

    assert {article.id: article.title for article in corpus.articles}["y"] == "CAFÉ’S Brücke"
    assert [(refusal.row, refusal.reason) for refusal in corpus.report.refused] == [(22, "not windows-1252")]
    assert "'x Straße' is UTF-8" in corpus.report.refused[0].detail


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Rada miasta zdecydowała, że nowy most zostanie zbudowany w przyszłym roku."),
        ("cp1250", "Rada města rozhodla, že nový most přes řeku bude postaven příští rok."),
        ("cp1251", "Городской совет решил построить новый мост через реку."),
        ("cp1253", "Το δημοτικό συμβούλιο αποφάσισε να χτίσει νέα γέφυρα."),
        ("cp1254", "Belediye meclisi nehrin üzerine yeni bir köprü yapılmasına karar verdi."),
        ("mac-roman", "Die neue Brücke über den Fluß wird größer und schöner."),
        ("cp850", "Die neue Brücke wird größer, später."),
        ("shift-jis", "市議会は新しい橋を建設することを決めた。"),
    ],
)
def test_another_old_encoding_is_not_taken_for_windows_1252(tmp_path: Path, encoding: str, text: str) -> None:
    path = write(tmp_path / "a.csv", f'id,title\n1,"{text}"\n2,Two\n'.encode(encoding))

    assert read(path, max_bad=1).report.refused_by_reason == {"not UTF-8": 1}


@given(st.lists(st.text("aéßÜ’– 日🗞", max_size=6), max_size=6))
@settings(
    max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_utf8_is_never_taken_for_windows_1252(tmp_path: Path, words: list[str]) -> None:
    content = "\n".join(words).encode()

    assert not is_windows_1252(write(tmp_path / "a", content))
    assert not is_windows_1252(write(tmp_path / "a", content[:-1]))  # cut, perhaps within a letter


def test_names_of_columns_may_differ_from_ours_in_case_and_spaces(tmp_path: Path) -> None:
    header = "ID,Title,BODY,Published At,image-url,Post Status,_id"
    path = write(tmp_path / "a.csv", f"{header}\n1,One,Text,2024-01-02,/x.jpg,publish,7\n2,Two,,,,draft,8\n")

    corpus = read(path)

    (article,) = corpus.articles
    assert (article.id, article.body, article.image_url) == ("1", "Text", "/x.jpg")
    assert article.published_at == datetime(2024, 1, 2, tzinfo=UTC)
    assert corpus.report.skipped == {"draft": 1}
    assert corpus.report.unknown_columns == {"_id": 2}
    assert corpus.report.notes[0].endswith(
        "column 'ID' is read as 'id', 'Title' is read as 'title', 'BODY' is read as 'body', "
        "'Published At' is read as 'published_at', 'image-url' is read as 'image_url'"
    )


def test_a_column_with_our_exact_name_comes_before_other_spellings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "ID,id,title,Title\n7,1,One,Eins\n")

    corpus = read(path)

    assert (corpus.articles[0].id, corpus.articles[0].title) == ("1", "One")
    assert corpus.report.unknown_columns == {"ID": 1, "Title": 1}


def test_a_mapped_column_is_not_read_by_its_own_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,title,Body,text\n1,One,teaser,whole\n")

    assert first(path, columns={"body": "text"}).body == "whole"
    assert first(path, columns={"tags": "Body"}).tags == ("teaser",)


@pytest.mark.parametrize("rounded", ["1.23457E+15", "1,23457E+15", "1e+21", "-4.5E+07"])
def test_an_id_that_a_spreadsheet_rounded_is_refused(tmp_path: Path, rounded: str) -> None:
    path = write(tmp_path / "a.csv", f"id;title\n{rounded};One\n00123;Two\n1e5;Three\nE+1;Four\n")

    corpus = read(path, max_bad=1)

    assert [article.id for article in corpus.articles] == ["00123", "1e5", "E+1"]
    (refusal,) = corpus.report.refused
    assert (refusal.row, refusal.reason) == (2, "rounded id")
    assert refusal.detail.startswith(f"id is '{rounded}': a spreadsheet rounded a long number")


def test_a_draft_with_a_rounded_id_is_a_draft(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,title,status\n1,One,publish\n1.2E+12,Two,draft\n")

    report = read(path).report

    assert (report.skipped, report.refused) == ({"draft": 1}, [])


def test_empty_records_and_empty_columns_of_a_spreadsheet_are_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ";;;\nid;title;;\n1;One;;\n;;;\n2;Two;;a note\n;;;\n")

    report = read(path).report

    assert report.rows_read == 2
    assert report.unknown_columns == {"": 2}  # both nameless columns of the row with a note


def test_nul_is_removed_from_text_and_refused_in_an_id(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"id,title\n1,Qu\0ay\n2\0,Two\n")

    corpus = read(path, max_bad=1)

    assert [article.title for article in corpus.articles] == ["Quay"]
    assert corpus.report.refused_by_reason == {"bad id": 1}
