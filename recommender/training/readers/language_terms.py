"""The languages of a WordPress export: terms of the plugin Polylang, whose slugs are often codes."""

import re
from collections import Counter

from recommender.text import is_detectable, language_code, other_language, plain_text

MAX_TEXTS = 100  # of each language whose code is not known
CHARS = 6000  # of HTML, enough for detection


class LanguageTerms:
    """The code of each language term, by its slug.

    An export of the whole site says the locale of each term. Else the slug is a code (`fr`, `pt-br`), or the
    texts show which language it is.
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
        """Add a text in the language with this slug; its language is detected if the slug is not a code."""
        self._texts_of[slug] = self._texts_of.get(slug, 0) + 1
        if self._stated(slug) is None and self._texts_of[slug] <= MAX_TEXTS:
            detected = other_language(plain_text(html[:CHARS]), expected="")
            self._detected_of.setdefault(slug, Counter()).update([detected] if detected else [])

    def code(self, slug: str) -> str | None:
        """Return the code of the language with this slug, or None if it is not known."""
        if stated := self._stated(slug):
            return stated
        detected = self._detected_of.get(slug, Counter())
        code, count = max(detected.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        return code if count * 2 > detected.total() else None

    def notes(self) -> list[str]:
        """Return a sentence for each language whose slug is not a code."""
        notes = []
        for slug, texts in self._texts_of.items():
            if self._stated(slug) is None:
                code = self.code(slug)
                used = (
                    f"is {code}, as its texts show" if code else "is not known; the texts and the site decide"
                )
                notes.append(f"the language {slug!r} of {texts:,} items {used}")
        return notes

    def _stated(self, slug: str) -> str | None:
        code = language_code(self._locale_of.get(slug, slug))
        return code if code and is_detectable(code) else None


_LOCALE = re.compile(r's:6:"locale";s:\d+:"([\w@.-]+)"')
