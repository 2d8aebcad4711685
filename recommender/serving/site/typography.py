"""Typographic quotation marks and apostrophes for English texts."""

import re

_OPENING_DOUBLE = re.compile(r"""(?<![^\s(\[{\u2014\u2013/\u2018'])"(?=\S)""")
# An apostrophe before a decade or a shortened word opens nothing.
_OPENING_SINGLE = re.compile(
    r"""(?<![^\s(\[{\u2014\u2013/\u201c])'(?=\S)(?!\d\ds?\b|(?:em|tis|twas|til|n)\b)"""
)


def typographic(text: str, lang: str | None) -> str:
    """Return an English text with typographic quotes; its length does not change.

    Other languages have other quotation marks, so their texts are returned unchanged.
    """
    if lang != "en" or ('"' not in text and "'" not in text):
        return text
    text = _OPENING_DOUBLE.sub("\u201c", text).replace('"', "\u201d")
    return _OPENING_SINGLE.sub("\u2018", text).replace("'", "\u2019")
