"""Lists of links, share bars and embeds in a body are not the article's text; everything else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.text import plain_text

TEXT = "<p>The quay opens.</p>"
LINKS = "".join(f"<li><a href='/{n}'>Another story of the harbour {n}</a></li>" for n in range(4))
DATED = "".join(f"<li><a href='/{n}'>Another story of the harbour {n}</a> 12 May</li>" for n in range(4))
PARTS = {
    "a plugin's related posts": f"<div class='yarpp'><h3>You may also like</h3><ol>{LINKS}</ol></div>",
    "a list of links with its heading": f"<h3>You may also like</h3>\n<ul>{LINKS}</ul>",
    "a list of links with its label": f"<p>More on this:</p><ul>{LINKS}</ul>",
    "a list of links and dates": f"<h4>Latest</h4><ul>{DATED}</ul>",
    "one link": "<p><a href='/1'>Another story of the harbour</a></p>",
    "one link with a label": "<p><b>Read also:</b> <a href='/1'>Another story of the harbour</a></p>",
    "links with separators": "<p><a href='/1'>One</a> | <a href='/2'>Two</a> &middot; <a href='/3'>3</a></p>",
    "links in nested containers": f"<div><div><h2>Related</h2><div><ul>{LINKS}</ul></div></div></div>",
    "cards with pictures": "<section><h2>More news</h2><div><a href='/1'><img src='x'></a>"
    "<h3><a href='/1'>Another story of the harbour</a></h3></div></section>",
    "a share bar": "<div class='sharedaddy sd-sharing-enabled'>Share this: <a href='#'>Mail</a></div>",
    "an embedded post": "<blockquote class='twitter-tweet'>What a day <a href='/x'>May 12</a></blockquote>",
    "navigation": "<nav>You are here: <a href='/'>Home</a> Harbour</nav>",
    "a table of contents": "<div id='toc'><p>Contents</p><ul><li>One</li></ul></div>",
    "a gallery": "<dl class='gallery'><dt><img src='x'></dt><dd class='wp-caption-text'>A ship</dd></dl>",
}
KEPT = {
    "a link in a sentence": "<p><a href='/1'>The council voted</a> on Tuesday.</p>",
    "a sentence that is linked as a whole": "<p><a href='/1'>" + "The council voted. " * 15 + "</a></p>",
    "a list of sentences with links": "<ul><li>The <a href='/1'>council</a> voted on the harbour.</li>"
    "<li>The <a href='/2'>mayor</a> refused to sign the plan.</li></ul>",
    "a heading above text": "<h2>The vote</h2><p>The council voted.</p>",
    "an address without href": "<p><a name='vote'>The vote</a></p>",
    "a table of results": "<table><tr><td>Harbour</td><td>12</td></tr></table>",
    "a class with a part of a name": "<div class='unrelated-posts gallery-of-ideas'>Ideas.</div>",
}


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
def test_parts_that_are_no_text_are_left_out(part: str) -> None:
    assert plain_text(TEXT + part) == "The quay opens."
    assert plain_text(f"<div>{part}{TEXT}</div><p>It was closed.</p>") == "The quay opens.\n\nIt was closed."


@pytest.mark.parametrize("part", KEPT.values(), ids=list(KEPT))
def test_text_with_links_stays(part: str) -> None:
    expected = plain_text(part.replace("<a href='/1'>", "").replace("<a href='/2'>", "").replace("</a>", ""))

    assert plain_text(TEXT + part) == f"The quay opens.\n\n{expected}"


@pytest.mark.parametrize(
    "body", [f"<ul>{LINKS}</ul>", "<p><a href='/1'>The whole article</a></p>", PARTS["navigation"]]
)
def test_a_body_that_has_nothing_else_stays_whole(body: str) -> None:
    assert plain_text(body)


def test_deeply_nested_links_are_read_to_their_end() -> None:
    assert plain_text("<div><a href='/1'>x</a>" * 4000 + TEXT).endswith("The quay opens.")


tags = st.sampled_from(
    ["<p>", "</p>", "<ul>", "<li>", "</ul>", "<a href=x>", "</a>", "<h2>", "</h2>", "<nav>", "word ", ": "]
)


@given(st.lists(tags, max_size=40).map("".join))
def test_a_text_never_becomes_empty(html: str) -> None:
    assert bool(plain_text(html)) == ("word" in html or ":" in html)
