"""WordPress shortcodes and page builders' markup in texts: `[gallery ids="1,2"]`, `[vc_row]…[/vc_row]`.

Journalists write brackets, too: `[sic]`, `[the council]`, `[Photo: A. Reyes]`. A name in brackets is a
shortcode if its closing tag follows, if it has attributes (`name=value`), if an underscore in it shows that a
program wrote it, or if it is one of the names that often stand alone. Everything else stays.
"""

import re
from collections import Counter
from collections.abc import Iterator

# What is between the tags is a file, an address or code for the page, not text.
_WITHOUT_TEXT = frozenset(
    (
        "audio caption dailymotion embed facebook gallery gist gmap googlemaps instagram playlist raw_html "
        "soundcloud spotify tiktok tweet twitter vc_gmaps vc_raw_html vc_raw_js video vimeo youtube"
    ).split()
)
# Shortcodes that are often written without attributes and without a closing tag.
_ALONE = _WITHOUT_TEXT | frozenset(
    (
        "ad ads adsense adrotate advert contact-form contact-form-7 divider newsletter nextpage pagebreak "
        "poll postlist ratings recent-posts related-posts sharing sidebar sitemap slider slideshow spacer "
        "toc wpforms wpvideo"
    ).split()
)
_MAX_NAME = 60
_QUOTES = "\"'\u201c\u201d\u2033\u2018\u2019\u2032"
# A quoted value may contain brackets. Possessive quantifiers keep the time linear.
_VALUE = (
    r"""(?:"[^"]*+"|'[^']*+'|&\#82(?:16|17|20|21|42|43);(?:(?!&\#82)[^\[\]])*+&\#82(?:16|17|20|21|42|43);"""
    rf"""|[{_QUOTES[2:]}][^{_QUOTES}\[\]]*+[{_QUOTES[2:]}]|[^\s"'\[\]]++)"""
)
_TAG = re.compile(
    rf"""\[(?P<close>/)?(?P<name>[A-Za-z][A-Za-z0-9_-]{{0,{_MAX_NAME}}}+)
    (?P<attributes>(?:\s*+=\s*+{_VALUE})?+(?:\s++(?:[A-Za-z0-9_:.-]++\s*+=\s*+)?+{_VALUE})*+)\s*+/?\]""",
    re.VERBOSE,
)
_NAMED_VALUE = re.compile(r"(?:^|\s)[A-Za-z][A-Za-z0-9_:.-]*+\s*+=")
_ADDRESS = re.compile(r"\s*=?\s*https?://")


def without_shortcodes(text: str) -> str:
    """Return the text without shortcodes, and without the content of those for pictures, videos and code.

    `[[name]]` is WordPress's way to write about a shortcode; it becomes `[name]`.
    """
    if "[" not in text:
        return text
    return "".join(_kept(text))


def _kept(text: str) -> Iterator[str]:
    tags = list(_TAG.finditer(text))
    closings = Counter(tag["name"].lower() for tag in tags if tag["close"])
    ends_at = _content_ends(tags)
    end = hidden_to = 0
    for number, tag in enumerate(tags):
        name, is_closing = tag["name"].lower(), bool(tag["close"])
        closings[name] -= is_closing
        if tag.start() < hidden_to:
            continue
        between = text[end : tag.start()]
        end = tag.end()
        yield between
        if between.endswith("[") and text[end : end + 1] == "]" and not is_closing:
            yield tag[0][1:-1]  # it is [[name]]
        elif not is_closing and not _is_shortcode(name, tag["attributes"], has_closing=closings[name] > 0):
            yield tag[0]
        else:
            yield " "
            if not is_closing and name in _WITHOUT_TEXT:
                end = hidden_to = max(end, ends_at[number])
    yield text[end:]


def _content_ends(tags: list[re.Match[str]]) -> list[int]:
    """Return where the closing tag of each opening tag ends; 0 if the same name is opened again before."""
    ends, next_of = [0] * len(tags), dict[str, re.Match[str]]()
    for number in reversed(range(len(tags))):
        tag, name = tags[number], tags[number]["name"].lower()
        following = next_of.get(name)
        if following is not None and following["close"] and not tag["close"]:
            ends[number] = following.end()
        next_of[name] = tag
    return ends


def _is_shortcode(name: str, attributes: str, *, has_closing: bool) -> bool:
    if has_closing or _NAMED_VALUE.search(attributes):
        return True
    if not attributes.strip(" /\n\t"):
        return name in _ALONE or "_" in name
    # A value without a name: `[tweet 123]`, `[youtube=https://…]`, but not `[Updated 3 pm]` or `[a=b]`.
    return name in _ALONE or bool(_ADDRESS.match(attributes))
