"""Shortcodes and page builders' markup are removed, what journalists write in brackets stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.shortcodes import without_shortcodes
from recommender.text import plain_text

TEXT = "The quay opens."
REMOVED = [
    '[et_pb_section fb_built="1" _builder_version="4.9.7"][et_pb_row]TEXT[/et_pb_row][/et_pb_section]',
    '[vc_row][vc_column width="1/2"]TEXT[/vc_column][/vc_row]',
    "[vc_row][vc_raw_html]JTNDc2NyaXB0JTNF[/vc_raw_html]TEXT[/vc_row]",
    '[vc_single_image css_animation="[none]" css=".a{margin: 0 !important;}"]TEXT',
    "[fusion_builder_row]TEXT[/fusion_builder_row]",
    "[box]TEXT[/box]",
    "[Box]TEXT[/BOX]",
    '[GALLERY ids="1,2"]TEXT',
    '[gallery\n ids="1,2"\n size="full"]TEXT',
    "[youtube https://video.example/watch?v=abc]TEXT",
    "[youtube=https://video.example/watch?v=abc&w=640]TEXT",
    "[myplayer https://video.example/1]TEXT",
    "[wpvideo AbC123 w=640 h=360]TEXT",
    "[tweet 123456789]TEXT[poll=4]",
    "[newsletter_form]TEXT[tribulant_slideshow /]",
    "[ad]TEXT[adrotate banner='3']",
    "[contact-form-7 id=1 title=x]TEXT",
    "[col1 span2='3']TEXT[/col1]",
    "[gist id=1 file=a.py]TEXT",
    "[widget id=\u201dx1\u2033 width=\u201d640\u2033]TEXT",
    "[widget id=&#8221;x1&#8243; width=&#8221;640 px&#8243;]TEXT",
    '[su_quote cite="" ]TEXT[/su_quote]',
    "[caption id=1]<img src=x> A ship in the fog[/caption]TEXT",
    "[video]https://video.example/1.mp4[/video]TEXT[embed]https://video.example/2[/embed]",
    "TEXT[/orphan]",
    "[playlist][audio/]TEXT",
]
KEPT = [
    "[sic]", "[the council]", "[Photo: A. Reyes]", "[Updated 3 pm]", "[1]", "[email protected]", "[a=b]",
    "[He] said", "[...]", "[more] people", "[social] contract", "[Wednesday]", "[see page 3]", "[b]", "[]",
    "[x](https://x.example)", "[\u2026]", "[applause]", "[in Czech]", "[5 000]", "[Art. 12 (3)]",
]  # fmt: skip


@pytest.mark.parametrize("text", REMOVED)
def test_shortcodes_are_removed_and_their_text_stays(text: str) -> None:
    assert without_shortcodes(text.replace("TEXT", TEXT)).strip() == TEXT
    assert plain_text(f"<p>{text.replace('TEXT', TEXT)}</p>") == TEXT


@pytest.mark.parametrize("text", KEPT)
def test_what_journalists_write_in_brackets_stays(text: str) -> None:
    assert without_shortcodes(f"A {text} b.") == f"A {text} b."


def test_a_shortcode_that_is_written_about_is_shown() -> None:
    assert without_shortcodes("Write [[gallery]] or [[quote id=1]].") == "Write [gallery] or [quote id=1]."


@pytest.mark.parametrize("name", ["video", "caption", "embed"])
def test_a_shortcode_that_is_never_closed_hides_nothing(name: str) -> None:
    text = f"One [{name}] two [{name}]https://x.example[/{name}] three [{name}] four"

    assert without_shortcodes(text).split() == ["One", "two", "three", "four"]


HOSTILE = [
    "[" * 200_000,
    "[a " * 100_000,
    '[a b="' * 50_000,
    "[caption]" * 30_000,
    "[x_y]" * 50_000 + "[/x_y]" * 50_000,
    "[a b=\u201d" * 40_000,
    "[a" + " b=1" * 100_000,
    "[a &#8220;" * 40_000,
    "[a b='" + "x" * 400_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_read_to_their_end(text: str) -> None:
    assert without_shortcodes(f"{text} The end.").endswith(" The end.")


@given(st.text(alphabet="[]/ab_= \"'\n", max_size=60))
def test_only_tags_are_removed(text: str) -> None:
    kept = without_shortcodes(text)

    assert len(kept) <= len(text)
    assert "[" in text or kept == text
