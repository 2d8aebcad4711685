"""Text: folding, words in all scripts, and the visible text of HTML."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.text import (
    LANGUAGE_ALIASES,
    TermRules,
    base_language,
    detect_language,
    fold,
    is_same_language,
    language_code,
    other_language,
    plain_text,
    unspaced_runs,
    words,
)

# Characters that fold, join, end or vanish in words, each in its own way.
TRICKY = (
    "aAzZ09_ \n-.'\u2019\xe9\xc9\u0301\u0308\u0345İıIiΣσςß\u1e9eǅﬁ²\xad\u200b\u200c\u200d\u2060\ufeff\ufe0f"
    "日本語のー々ｶﾞ\u3099เกั一\U00020000नमस्तेक्\u200dषสวัสดี한글\u1112\u1161العَرَ\u0640\U0001f3fb🗞\ud800\U00016af0"
)
texts = st.one_of(st.text(alphabet=TRICKY, max_size=40), st.text(max_size=30))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Café", "CAFE\u0301"),  # composed and decomposed
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),  # the final sigma
        ("İstanbul", "istanbul"),  # lower() alone would give i with a combining dot
        ("İSTANBUL", "I\u0307stanbul"),
        ("co\xadoperate", "cooperate"),
        ("zero\u200dwidth\ufeff", "zerowidth"),
        ("Ångström", "\u212bngström"),  # the ångström sign
        ("\u1112\u1161\u11ab", "한"),  # Hangul in letters and in syllables
        ("ǅungla", "ǆungla"),
        ("❤\ufe0f", "❤"),
    ],
)
def test_spellings_of_one_word_fold_together(left: str, right: str) -> None:
    assert fold(left) == fold(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("\u0399\u0308\u0301", "\u0390"),  # iota with dialytika and tonos has no composed capital
        ("\u03a5\u0308\u0301", "\u03b0"),
        ("H\u0331", "\u1e96"),
        ("e\u200d\u0301", "é"),
    ],
)
def test_a_letter_and_its_accent_are_composed_however_they_are_written(left: str, right: str) -> None:
    assert fold(left) == fold(right)


@pytest.mark.parametrize(("left", "right"), [("café", "cafe"), ("ıslak", "islak"), ("straße", "strasse")])
def test_letters_that_distinguish_words_are_not_folded(left: str, right: str) -> None:
    assert fold(left) != fold(right)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Café, re-opened.", "the café re opened"),
        ("it's l'été O’Neill", "it été neill"),
        ("snake_case __init__", "snake case init"),
        ("I a 7 x 42 3rd 1,000.50", "42 3rd 000 50"),
        ("ΟΔΥΣΣΕΥΣ ὈΔΥΣΣΕΎΣ", "οδυσσευσ ὀδυσσεύσ"),
        ("İstanbul ve ISTANBUL", "istanbul ve istanbul"),
        ("So\xadzial\xadver\u200bsicherung", "sozialversicherung"),
        ("नमस्ते दुनिया हिन्दी", "नमस्ते दुनिया हिन्दी"),
        ("क्\u200dष", "क्ष"),
        ("العَرَبِيَّة", "العَرَبِيَّة"),
        ("עברית", "עברית"),
        ("한국어 뉴스", "한국어 뉴스"),
        ("x² ½ Ⅷ", "x²"),
        ("🗞 news 🗞🗞", "news"),
        ("a\0bc\ud800de", "bc de"),
        ("", ""),
    ],
)
def test_a_word_is_a_run_of_letters_digits_and_marks(text: str, expected: str) -> None:
    assert words(text) == unicodedata.normalize("NFC", expected).split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("日本語のテスト", "日本 本語 語の のテ テス スト"),
        ("北京奥运会", "北京 京奥 奥运 运会"),
        ("สวัสดี", "สว วั ัส สด ดี"),
        ("本。日", "本 日"),
        ("東京\u200d都", "東京 京都"),
        ("人々", "人々"),
        ("ﾃｽﾄ", "ﾃｽ ｽﾄ"),
        ("カ\u3099", "ガ"),  # composed first, then one character
        ("\U00020000\U00020001\U00020002", "\U00020000\U00020001 \U00020001\U00020002"),
    ],
)
def test_scripts_without_spaces_give_pairs_of_characters(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("iPhone東京2020年AI", "iphone 東京 2020 年 ai"),
        ("a日b本cc", "日 本 cc"),
        ("COVID病毒", "covid 病毒"),
        ("ไทย2025", "ไท ทย 2025"),
    ],
)
def test_mixed_scripts_split_where_the_script_changes(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@pytest.mark.parametrize("letter", ["a", "é", "я", "न"])
def test_only_words_of_2_to_64_characters_count(letter: str) -> None:
    sizes = (1, 2, 64, 65, 1000)

    assert [len(word) for word in words(" ".join(letter * size for size in sizes))] == [2, 64]


def test_word_length_is_measured_after_composition_without_invisible_characters() -> None:
    assert words("e\u0301" * 64) == ["é" * 64]
    assert words("a\xad" * 64) == ["a" * 64]


@given(texts)
@settings(deadline=None)
def test_composed_and_decomposed_text_folds_alike(text: str) -> None:
    folded = fold(text)

    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text)) == folded
    assert unicodedata.is_normalized("NFC", folded)


@given(texts)
@settings(deadline=None)
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(texts)
@settings(deadline=None)
def test_splitting_words_again_returns_the_same_words(text: str) -> None:
    read_words = words(text)

    assert words(" ".join(read_words)) == read_words


@given(texts)
@settings(deadline=None)
def test_every_word_is_lower_case_of_its_size_and_found_in_the_folded_text(text: str) -> None:
    folded = fold(text)

    for word in words(text):
        assert word == word.lower().replace("ς", "σ")
        assert 2 <= len(word) <= 64 or unspaced_runs().fullmatch(word)
        assert word in folded


def test_terms_repeat_the_title_and_pairs_stay_within_title_or_body() -> None:
    rules = TermRules(title_weight=2, lead_weight=1)

    terms = rules.terms("Red bridge", "Opens today", None)

    assert terms == ["red", "bridge", "red bridge"] * 2 + ["opens", "today", "opens today"]


def test_the_lead_counts_more_than_the_rest_of_a_body() -> None:
    rules = TermRules(lead_weight=3, lead_words=2)

    terms = rules.terms("", "Ferry opens today", None)

    assert (
        terms
        == ["ferry", "opens", "today", "ferry opens", "opens today"] + ["ferry", "opens", "ferry opens"] * 2
    )


def test_stop_words_of_the_language_are_removed_before_pairs_are_formed() -> None:
    rules = TermRules(lead_weight=1, stop_words={"en": frozenset({"of"}), "fr": frozenset({"bank"})})

    assert rules.terms("", "Bank of Orrin", "en") == ["bank", "orrin", "bank orrin"]
    assert rules.terms("", "Bank of Orrin", "de") == ["bank", "of", "orrin", "bank of", "of orrin"]
    assert rules.terms("", "Bank of Orrin", None) == rules.terms("", "Bank of Orrin", "de")


def test_terms_read_the_first_characters_of_a_body_only() -> None:
    rules = TermRules(ngrams=1, lead_weight=1, max_body_chars=11)

    assert rules.terms("", "North bridge opens", None) == ["north", "bridg"]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two<br/>Three", "One\n\nTwo\n\nThree"),
        ("<p>One<p>Two <b>bold<p>Three", "One\n\nTwo bold\n\nThree"),
        ("<b>bo</b>ld <i>it<em>al</em></i>ic", "bold italic"),
        ("<div><div>One</div>Two<section>Three</section></div>", "One\n\nTwo\n\nThree"),
        ("<table><tr><th>a</th><td>1</td></tr><tr><td>2</td></tr></table>", "a\n\n1\n\n2"),
        ("<ul><li>One<li>Two</ul>Three", "One\n\nTwo\n\nThree"),
        ("AT&amp;T caf&eacute; &#8217;tis &#x2019;twas&nbsp;here", "AT&T café ’tis ’twas here"),
        ("R&D &bogus; &amp", "R&D &bogus; &"),
        ("&lt;b&gt; is a tag", "<b> is a tag"),
        ("One<!-- not <b>this</b> -->Two", "OneTwo"),
        ("One<![CDATA[ not this ]]>Two", "OneTwo"),
        ("<?php echo 1 ?>One", "One"),
        ("<!DOCTYPE html><html><head><title>T</title></head><body>One</body></html>", "One"),
        ("First\n\nSecond <b>line</b>\nstill second", "First\n\nSecond line still second"),
        ("<p>a\r\n  b\t c</p>", "a b c"),
        ("<a href='https://x.example'>Link</a>ed", "Linked"),
        ("<p>unterminated <a href='x", "unterminated"),
        ("<img src=x alt=y>", ""),
        ("", ""),
    ],
)
def test_html_becomes_its_visible_text(html: str, expected: str) -> None:
    assert plain_text(html) == expected


@pytest.mark.parametrize(
    "silent",
    [
        "<script>if (a < b) alert('<p>x</p>')</script>",
        "<style>p { color: red }</style>",
        "<figcaption>A caption</figcaption>",
        "<noscript>enable it</noscript>",
        "<iframe src=x>old</iframe>",
        "<template><p>later</p></template>",
        "<svg><title>chart</title><text>12</text></svg>",
        "<select><option>one</option></select>",
        "<textarea>type</textarea>",
        "<form>Subscribe <button>now</button></form>",
    ],
)
def test_elements_that_are_not_prose_are_removed(silent: str) -> None:
    assert plain_text(f"<p>Before</p>{silent}<p>After</p>") == "Before\n\nAfter"


@pytest.mark.parametrize(
    "shortcode",
    [
        "[gallery]",
        '[gallery ids="1,2"]',
        "[embed]",
        "[/embed]",
        "[vc_row full_width='yes' id=3]",
        "[ad slot=top /]",
        "[caption id='a' width=\"3\"]<img src=x> The caption[/caption]",
    ],
)
def test_shortcodes_are_removed(shortcode: str) -> None:
    assert plain_text(f"Before {shortcode} after").split() == ["Before", "after"]
    assert plain_text(f"<p>Before {shortcode} after</p>") == "Before after"


@pytest.mark.parametrize(
    "text",
    [
        "a < b & c",
        "x<3 and y > 2",
        "He said [sic] that [he] would",
        "[1] [2024] [Ed.] [...]",
        "see [the report of 2023]",
        "R&D, AT&T",
        "5 > 3;",
        "line one\n\nline two\n  indented",
        "日本語 🗞",
    ],
)
def test_a_text_without_markup_is_unchanged(text: str) -> None:
    assert plain_text(f" {text}\n") == text


@pytest.mark.parametrize("unprintable", ["\0", "\x01\x02", "\x0b", "\x1f", "\x7f", "\ud800"])
def test_control_characters_and_lone_surrogates_are_dropped(unprintable: str) -> None:
    assert plain_text(f"one{unprintable}two") == "onetwo"
    assert plain_text(f"<p>one{unprintable}two</p>") == "onetwo"


@pytest.mark.parametrize("entity", ["&#1;", "&#x1F;", "&#127;"])
def test_control_characters_written_as_entities_are_dropped_too(entity: str) -> None:
    assert plain_text(f"<p>one{entity}two</p>") == "onetwo"


@pytest.mark.parametrize("tag", ["div", "b", "a", "blockquote", "table", "font"])
def test_a_page_nested_thousands_deep_is_read(tag: str) -> None:
    assert plain_text(f"<{tag}>" * 5000 + "deep" + f"</{tag}>" * 5000).strip() == "deep"


# A megabyte of any of these took minutes once; the test ends where they take linear time.
@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[caption]" * 4000,
        "<div></x>" * 100_000,
        '<div a="<">' * 90_000,
        "<li><dd>" * 40_000,
        "</x>" * 100_000 + "<div>" * 100_000,
        "<p " + " ".join(f"a{n}" for n in range(100_000)) + ">x</p>",
        "[caption " * 4000,
        "[a " + 'a="" ' * 2000,
        '[a a="' * 2000,
        "[a a=" * 2000,
        "&a" * 20_000,
        "<" * 20_000,
        "<p>" + " " * 20_000,
        "<p>" + "\n" * 20_000 + "x",
    ],
)
def test_a_hostile_text_takes_linear_time(text: str) -> None:
    assert len(plain_text(text)) <= len(text)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=80))
@settings(deadline=None)
def test_any_text_is_read_without_an_error(text: str) -> None:
    plain_text(text).encode()
    detect_language(text)
    words(text)


_PIECES = [
    *(
        "<p>",
        "</p>",
        "<br>",
        "<b>",
        "</i>",
        "<td>",
        "</table>",
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<",
        ">",
    ),
    *(
        "[gallery]",
        "[caption a=b]",
        "[/caption]",
        "[sic]",
        "&amp;",
        "&lt;",
        "&#160;",
        "word",
        " ",
        "\n\n",
        "\0",
    ),
]


@given(st.lists(st.sampled_from(_PIECES), max_size=15))
@settings(deadline=None)
def test_plain_text_is_idempotent_if_no_markup_remains(pieces: list[str]) -> None:
    once = plain_text("".join(pieces))

    assert re.search(r"<[a-zA-Z/!?]|&\w+;|\[", once) or plain_text(once) == once


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Der Bundestag hat am Donnerstag ein neues Gesetz beschlossen.", "de"),
        ("Le président de la République a annoncé hier une réforme des retraites.", "fr"),
        ("Vláda dnes schválila nový zákon o daních a poplatcích v zemi.", "cs"),
        ("Regeringen vil i dag fremlægge et nyt forslag til finansloven.", "da"),
        ("東京都は新しい条例を発表した。", "ja"),
        ("The government announced a new law on taxes today.", "en"),
        ("Stortinget vedtok i dag en ny lov om skatt, sier statsministeren i Norge.", "no"),
        ("הממשלה אישרה היום חוק חדש", "he"),
    ],
)
def test_the_language_of_a_sentence_is_detected(text: str, lang: str) -> None:
    assert detect_language(text) == lang


@pytest.mark.parametrize("text", ["", " ", "x", "12345", "...", "🗞", "\0\x01\x02", "\ud800", "\ufffe\ue000"])
def test_too_little_text_has_no_language(text: str) -> None:
    assert detect_language(text) is None


def test_control_characters_do_not_hide_the_language() -> None:
    text = "\x00\x0c\x7fThe government\x01 announced\ud800 a new law\ufffe on taxes today.\x1b"

    assert detect_language(text) == "en"


def test_only_the_beginning_of_a_text_decides_its_language() -> None:
    english = "The government announced a new law on taxes today. "
    german = "Der Bundestag hat am Donnerstag ein neues Gesetz beschlossen. "

    assert detect_language(english * 100 + german * 1000) == "en"


def test_a_leading_noscript_is_removed() -> None:
    assert plain_text("<noscript>Switch on scripts</noscript><p>Story</p>") == "Story"
    assert plain_text("<html><head><title>Site</title></head><body><p>Story</p></body></html>") == "Story"


def test_an_extremely_nested_page_is_read_in_linear_time() -> None:
    assert plain_text("<div>" * 200_000 + "deep") == "deep"


def test_no_alias_of_a_language_leads_to_another_alias() -> None:
    for code in LANGUAGE_ALIASES.values():
        assert language_code(code) == code


def test_detection_returns_the_current_code_of_hebrew() -> None:
    assert detect_language("הממשלה הודיעה היום על חוק חדש בנושא מיסים, והאופוזיציה מתנגדת לו.") == "he"


def test_a_language_without_a_two_letter_code_is_not_detected() -> None:
    hawaiian = "Ua hele mai ke kanaka i ka hale a ua noho ia ma laila me kana wahine a me na keiki. " * 4

    assert detect_language(hawaiian) is None


FRENCH = (
    "Le conseil a voté mardi la reconstruction du vieux pont de pierre. Les travaux dureront deux ans et les "
    "commerçants de la rue craignent déjà pour leurs recettes de la saison."
)
DANISH = (
    "Havnen i Aarhus får et nyt museum, som åbner til foråret. Kommunen betaler halvdelen af prisen, og "
    "resten kommer fra private fonde. Naboerne har klaget over støjen fra byggeriet siden sommeren. "
)


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("EN", "en"),
        ("pt-BR", "pt"),
        (" nb_NO ", "no"),
        ("zh", "zh"),
        ("zh-CN", "zh-Hans"),
        ("zh_SG", "zh-Hans"),
        ("zh-hans-HK", "zh-Hans"),
        ("zh_TW.UTF-8", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("zh-CHT", "zh-Hant"),
        ("zh-x-tone", "zh"),
        ("english", None),
        ("ast", None),
        ("", None),
    ],
)
def test_a_language_tag_has_one_code(tag: str, code: str | None) -> None:
    assert language_code(tag) == code


@pytest.mark.parametrize("code", ["en", "zh", "zh-Hans", "zh-Hant"])
def test_a_code_is_its_own_code(code: str) -> None:
    assert language_code(code) == code
    assert is_same_language(code, code)


def test_the_two_written_forms_of_chinese_are_different_languages() -> None:
    assert detect_language("市议会周二批准了一条通往港口的新电车线路，工程将于春季开始。") == "zh-Hans"
    assert detect_language("市議會週二批准了一條通往港口的新電車線路，工程將於春季開始。") == "zh-Hant"
    assert not is_same_language("zh-Hans", "zh-Hant")
    assert is_same_language("zh", "zh-Hant")
    assert is_same_language("zh-Hans", "zh")
    assert not is_same_language("zh", "en")


def test_both_written_forms_of_chinese_share_the_stop_words() -> None:
    rules = TermRules(stop_words={"zh": frozenset({"我们"})}, title_weight=1)

    assert {tuple(rules.terms("我们", "", lang)) for lang in ("zh", "zh-Hans", "zh-Hant")} == {()}
    assert base_language("zh-Hant") == "zh"


def test_a_clear_text_contradicts_the_expected_language() -> None:
    assert other_language(FRENCH, "en") == "fr"
    assert other_language(FRENCH, "fr") is None


def test_a_short_or_mixed_text_contradicts_no_language() -> None:
    assert other_language("Le pont de pierre", "en") is None
    assert other_language(f"{FRENCH} {DANISH}", "de") is None


def test_a_similar_language_is_found_in_a_long_text_only() -> None:
    assert other_language(DANISH, "en") == "da"
    assert other_language(DANISH, "no") is None
    assert other_language(DANISH * 4, "no") == "da"
