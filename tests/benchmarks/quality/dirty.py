"""Dirty variants of a corpus: what plugins, page builders and templates add to the bodies of articles."""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

Posts = Sequence[dict[str, Any]]  # rows of an export: `title`, `url`, and the HTML of `body`
Variant = Callable[[Posts, np.random.Generator], list[str]]

_LISTED = 6  # titles in a block of related articles
_SOME, _THIRD, _MOST = 0.25, 0.35, 0.7  # shares of the bodies that are changed
_DISCLAIMER = (
    "<p>This text was supplied by the Northern Press Service and appears here as received. Reproduction in "
    "print, on air or online needs the prior consent of the service. Members of the service receive "
    "charts, recordings and longer versions every evening, and can cancel at the end of any month.</p>"
)
_NEWSLETTER = (
    "<p>Get the Evening Letter in your inbox: what happened today and what to watch tomorrow. Enter your "
    "e-mail address, choose your county and confirm. We never pass on your address.</p>"
)
_COOKIES = (
    "<div><p>We value your privacy. We and our partners store cookies on your device to measure our audience "
    "and to show you personalised advertising.</p><p>Accept all</p><p>Manage my choices</p></div>"
)
_AD_SLOT = "<div class='slot'><script>ads.push({slot: 7})</script><ins data-slot='7'></ins></div>"
_FIRST_NAMES = "Mara Tom Ines Jonas Ruth Lena Piet Ada Olga Samir Greta Noel Ida Bram Lucia Otto".split()
_LAST_NAMES = (
    "Ilic Hadley Corrado Brandt Okafor Sorel Haan Quill Weiss Amari Lund Bell Roth Vos Paz Kern".split()
)


def changed(posts: Posts, variant: Variant, seed: int = 0) -> list[dict[str, Any]]:
    """Return the posts with the bodies of a variant. The same seed makes the same changes."""
    bodies = variant(posts, np.random.default_rng(seed))
    return [{**post, "body": body} for post, body in zip(posts, bodies, strict=True)]


def related_plugin(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add a plugin's block of six random titles under each body."""
    block = "<div class='yarpp yarpp-related'><h3>You may also like</h3><ol>{}</ol></div>"
    return [post["body"] + block.format(_items(_others(posts, post, generator))) for post in posts]


def related_unknown(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add the same block with a theme's own class names, as cards in nested boxes."""

    def block(others: Posts) -> str:
        cards = (
            f"<div class='card'><a href='{post['url']}'><span>{post['title']}</span></a></div>"
            for post in others
        )
        return (
            f"<section class='x-more'><h4>More stories</h4><div class='grid'>{''.join(cards)}</div></section>"
        )

    return [post["body"] + block(_others(posts, post, generator)) for post in posts]


def newest_posts(posts: Posts, _: np.random.Generator) -> list[str]:
    """Add the same six newest titles under each body, as an export of rendered pages does."""
    newest = sorted(posts, key=lambda post: str(post["published_at"]))[-_LISTED:]
    return [f"{post['body']}<h3>Latest news</h3><ul>{_items(newest)}</ul>" for post in posts]


def related_without_links(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add six random titles under each body as plain paragraphs, as a scraper leaves them."""
    return [
        post["body"] + "<p>You may also like</p>" + "".join(f"<p>{other['title']}</p>" for other in others)
        for post in posts
        for others in [_others(posts, post, generator)]
    ]


def read_also(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add a line with a link to another article after the first paragraph."""
    return [
        _after_first(post["body"], f"<p>Read also: <a href='{other['url']}'>{other['title']}</a></p>")
        for post in posts
        for other in _others(posts, post, generator)[:1]
    ]


def disclaimer(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add an agency's disclaimer at the end of a quarter of the bodies."""
    return [post["body"] + _DISCLAIMER * (generator.random() < _SOME) for post in posts]


def disclaimer_and_newsletter(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add the disclaimer, and a newsletter box after the first paragraph."""
    return [
        _after_first(post["body"], _NEWSLETTER) + _DISCLAIMER if generator.random() < _SOME else post["body"]
        for post in posts
    ]


def disclaimer_within(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add the disclaimer to the last paragraph, so that it is not a separate line."""
    text = _DISCLAIMER.removeprefix("<p>")
    return [
        f"{post['body'].removesuffix('</p>')} {text}" if generator.random() < _SOME else post["body"]
        for post in posts
    ]


def page_builder(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Write a third of the bodies with the shortcodes of a page builder."""
    return [_built(post["body"]) if generator.random() < _THIRD else post["body"] for post in posts]


def raw_html(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Write a third of the bodies with a block of encoded HTML for advertisements."""
    payload = base64.b64encode(quote(_AD_SLOT).encode()).decode()
    block = f"[vc_row][vc_column][vc_raw_html]{payload}[/vc_raw_html][/vc_column][/vc_row]"
    return [block + _built(post["body"]) if generator.random() < _THIRD else post["body"] for post in posts]


def share_bar(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add the words of a share bar to most bodies, with counts, and without class names or links."""
    bar = "<p>Share on Facebook</p><p>Tweet</p><p>Send by e-mail</p><p>{} shares</p><p>{} comments</p>"
    return [
        bar.format(*generator.integers(2, 900, 2).tolist()) + post["body"]
        if generator.random() < _MOST
        else post["body"]
        for post in posts
    ]


def cookie_notice(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add a cookie notice at the start of a third of the bodies."""
    return [_COOKIES * (generator.random() < _THIRD) + post["body"] for post in posts]


def bylines_and_credits(posts: Posts, generator: np.random.Generator) -> list[str]:
    """Add a byline and a photo credit from templates, with one of 256 names each, and dates and numbers."""

    def name() -> str:
        return f"{generator.choice(_FIRST_NAMES)} {generator.choice(_LAST_NAMES)}"

    def byline() -> str:
        day, hour, minutes = generator.integers(1, 28), generator.integers(5, 23), generator.integers(1, 9)
        return (
            f"<p>By {name()}, staff correspondent | Updated {day} May, {hour}:15 | {minutes} min read</p>"
            f"<p>Photo: {name()} / Courier picture desk</p>"
        )

    return [byline() + post["body"] for post in posts]


def advertisement_lines(posts: Posts, _: np.random.Generator) -> list[str]:
    """Add the line "Advertisement" and a prompt to read on between all paragraphs."""
    between = "</p><p>Advertisement</p><p>Article continues below</p>"
    return [post["body"].replace("</p>", between) for post in posts]


VARIANTS: dict[str, Variant] = {
    "related plugin": related_plugin,
    "related, unknown theme": related_unknown,
    "related without links": related_without_links,
    "newest posts": newest_posts,
    "read also": read_also,
    "disclaimer": disclaimer,
    "disclaimer, newsletter": disclaimer_and_newsletter,
    "disclaimer within": disclaimer_within,
    "page builder": page_builder,
    "raw HTML": raw_html,
    "share bar": share_bar,
    "cookie notice": cookie_notice,
    "bylines and credits": bylines_and_credits,
    "advertisement lines": advertisement_lines,
}


def _others(posts: Posts, post: dict[str, Any], generator: np.random.Generator) -> Posts:
    rows = generator.choice(len(posts), _LISTED + 1, replace=False).tolist()
    return [posts[row] for row in rows if posts[row] is not post][:_LISTED]


def _items(posts: Posts) -> str:
    return "".join(f"<li><a href='{post['url']}'>{post['title']}</a></li>" for post in posts)


def _after_first(body: str, block: str) -> str:
    return body.replace("</p>", f"</p>{block}", 1)


def _built(body: str) -> str:
    paragraphs = re.findall(r"<p>.*?</p>", body, re.DOTALL) or [body]
    columns = "".join(
        f'[vc_column_text css=".vc_{n}{{margin:0}}"]{text}[/vc_column_text]'
        for n, text in enumerate(paragraphs)
    )
    return f'[vc_row][vc_column width="1/2"]{columns}[/vc_column][/vc_row]'
