"""The languages of a WordPress export: terms of the plugin Polylang, whose slugs are often codes."""

import re
from collections import Counter

from recommender.text import is_detectable, language_code, other_language, plain_text

MAX_TEXTS = 100  # of each language, for detection
MIN_TEXTS_OF_COUNTRY, MIN_SHARE = 2, 0.8  # in its language, to read a slug as a country
CHARS = 6000  # of HTML, enough for detection


class LanguageTerms:
    """The code of each language term, by its slug.

    An export of the whole site says the locale of each term. Else the slug is a code (`fr`, `pt-br`). If it
    is none, or if it is also the code of a country, the texts show which language it is.
    """

    def __init__(self) -> None:
        self._locale_of: dict[str, str] = {}
        self._texts_of: dict[str, int] = {}
        self._detected_of: dict[str, Counter[str]] = {}

    def define(self, slug: str, description: str) -> None:
        """Add a term; Polylang describes it as a serialized array of PHP, which has the locale."""
        if locale := _LOCALE.search(description):
            self._locale_of[slug] = locale[1]

    def count(self, slug: str, html: str) -> None:
        """Add a text in the language with this slug; the language of the first texts is detected."""
        self._texts_of[slug] = self._texts_of.get(slug, 0) + 1
        if slug not in self._locale_of and self._texts_of[slug] <= MAX_TEXTS:
            detected = other_language(plain_text(html[:CHARS]), expected="")
            self._detected_of.setdefault(slug, Counter()).update([detected] if detected else [])

    def code(self, slug: str) -> str | None:
        """Return the code of the language with this slug, or None if it is not known."""
        stated = language_code(self._locale_of.get(slug, slug))
        detected = self._detected_of.get(slug, Counter())
        code, count = max(detected.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        if slug in self._locale_of and stated:
            return stated
        if stated and is_detectable(stated):
            is_country = code in _LANGUAGES_OF_COUNTRY.get(slug.lower(), ()) and count >= MIN_TEXTS_OF_COUNTRY
            return code if is_country and count >= MIN_SHARE * detected.total() else stated
        return code if count * 2 > detected.total() else None

    def notes(self) -> list[str]:
        """Return a sentence for each language whose slug is not its code."""
        notes = []
        for slug, texts in self._texts_of.items():
            code = self.code(slug)
            if code is None:
                notes.append(
                    f"the language {slug!r} of {texts:,} items is not known; the texts and the site decide"
                )
            elif code != language_code(self._locale_of.get(slug, slug)):
                notes.append(f"the language {slug!r} of {texts:,} items is {code}, as its texts show")
        return notes


# Codes of countries that are also codes of other languages.
_LANGUAGES_OF_COUNTRY = {
    "ar": ("es",), "be": ("nl", "fr", "de"), "br": ("pt",), "ca": ("en", "fr"), "co": ("es",), "ee": ("et",),
    "in": ("hi", "en"), "my": ("ms", "en"), "se": ("sv",), "si": ("sl",), "tw": ("zh-Hant",),
}  # fmt: skip
_LOCALE = re.compile(r's:6:"locale";s:\d+:"([\w@.-]+)"')
