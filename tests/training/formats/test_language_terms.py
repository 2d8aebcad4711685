"""The languages of an export are known by locale, slug or text."""

import pytest

from recommender.training.formats.language_terms import LanguageTerms

SPANISH = (
    "El ayuntamiento aprobó el martes la nueva línea de tranvía hasta el puerto. Las obras empiezan en "
    "primavera y costarán noventa millones de euros, según la alcaldesa."
)
LOCALE = 'a:3:{s:6:"locale";s:5:"%s";s:3:"rtl";i:0;s:9:"flag_code";s:2:"ca";}'


def terms_with(slug: str, texts: int, text: str = SPANISH) -> LanguageTerms:
    terms = LanguageTerms()
    for _ in range(texts):
        terms.count(slug, text)
    return terms


@pytest.mark.parametrize(
    ("slug", "texts", "code"),
    [
        ("es", 3, "es"),
        ("es-ar", 3, "es"),
        ("ar", 1, "ar"),  # too few texts for Argentina
        ("ar", 2, "es"),
        ("ca", 9, "ca"),  # neither Catalan nor a language of Canada
        ("mx", 1, "es"),
        ("mx", 0, None),
        ("noticias", 2, "es"),
        ("de", 9, "de"),  # what an article states is trusted more than its text
    ],
)
def test_a_slug_is_a_code_unless_it_is_a_country(slug: str, texts: int, code: str | None) -> None:
    assert terms_with(slug, texts).code(slug) == code


def test_a_locale_is_trusted_more_than_slug_and_texts() -> None:
    terms = terms_with("us", 5)
    terms.define("us", LOCALE % "en_US")

    assert terms.code("us") == "en"
    assert not terms.notes()


def test_what_texts_decided_is_noted() -> None:
    assert terms_with("mx", 5).notes() == ["the language 'mx' of 5 items is es, as its texts show"]
    assert terms_with("co", 5).notes() == ["the language 'co' of 5 items is es, as its texts show"]
    assert "is not known" in terms_with("mx", 5, "corto").notes()[0]
    assert terms_with("es", 5).notes() == []
