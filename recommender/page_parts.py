"""Parts of an article's HTML that are not its text: lists of links, share bars, embeds, galleries.

Plugins and themes write them into bodies. Their words are those of other articles, so an article would seem
to be about what it links to. A part is recognized by the class names of common plugins, or because it
contains nothing but links. A list in which links are mixed with text stays.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborNode

# Class names and ids that plugins and themes give to such parts, grouped by purpose.
_NAMES = frozenset(
    (
        # related articles
        "crp-list crp_related jp-relatedposts related-articles related-content related-links related-post "
        "related-posts related-stories related_posts relatedposts rp4wp-related-posts wp-block-latest-posts "
        "wp-block-query wpp-list yarpp yarpp-related zem_rp_wrap "
        # share bars
        "a2a_kit addtoany_content addtoany_share_save_container addtoany_shortcode jp-post-flair sd-block "
        "heateor_sss_sharing_container sd-sharing-enabled share-bar share-buttons sharedaddy shariff "
        "shareaholic-canvas sharing-buttons social-links social-share ssba ssbp-wrap wp-block-social-links "
        # tags, categories, navigation, tables of contents
        "breadcrumb breadcrumbs cat-links entry-tags ez-toc-container lwptoc nav-links navigation tagcloud "
        "post-navigation post-tags table-of-contents tag-list tags-links toc toc_container "
        "wp-block-archives wp-block-categories wp-block-page-list wp-block-tag-cloud "
        # newsletters and advertisements
        "adsbygoogle mailmunch-forms-in-post-middle mc4wp-form mc_embed_signup newsletter-signup "
        # embeds and galleries
        "fb-post gallery instagram-media tiktok-embed twitter-tweet wp-block-embed wp-block-gallery "
        "wp-caption-text"
    ).split()
)
_BLOCKS = frozenset("aside div dl footer li nav ol p section table tbody td tr ul".split())
_LISTS = frozenset("ol table ul".split())
_HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
_MAX_LABEL_CHARS = 40  # such as "Read also:"
_MAX_HEADING_CHARS = 60
_MAX_LINK_CHARS = 200  # a longer link is a paragraph that somebody linked as a whole
_LEAST_LINKS = 3  # of a list with short texts beside its links, such as dates
_MAX_TEXT_SHARE = 0.25  # of these texts, relative to the links
_SEPARATORS = re.compile(r"[\s|\u00b7\u2022\u2023\u2013\u2014\u00bb\u00ab\u2192\u2190<>,;/*&-]+")
_MAY_HAVE_PARTS = re.compile(r"<(?:a|nav)\b|\b(?:class|id)\s*=", re.IGNORECASE)


@dataclass(slots=True)
class _Content:
    """What is below a node: the number of links and of their characters, and the other text."""

    links: int = 0
    link_chars: int = 0
    text_chars: int = 0
    text: str = ""  # its beginning, without white space and separators at the ends

    def add(self, other: "_Content") -> None:
        self.links += other.links
        self.link_chars += other.link_chars
        self.text_chars += other.text_chars
        if len(self.text) <= _MAX_HEADING_CHARS:
            self.text = f"{self.text} {other.text}".strip()

    def is_empty(self) -> bool:
        return not (self.links or self.text_chars)

    def has_label(self) -> bool:
        """Return whether the text beside the links is a short label, such as "Read also:"."""
        return self.text_chars <= _MAX_LABEL_CHARS and self.text.endswith(":")

    def is_links(self, tag: str) -> bool:
        """Return whether a block with this tag and content is a list of links."""
        if not self.links or self.link_chars > _MAX_LINK_CHARS * self.links:
            return False
        if not self.text_chars or self.has_label():
            return True
        is_list = tag in _LISTS and self.links >= _LEAST_LINKS
        return is_list and self.text_chars <= _MAX_TEXT_SHARE * self.link_chars


@dataclass(slots=True)
class _Frame:
    """An element on the path from the body to the current node, and its children so far."""

    node: LexborNode
    following: Iterator[LexborNode]
    children: list[tuple[LexborNode, _Content]]
    has_parts: bool = False  # whether one of them is no text


def may_have_parts(html: str) -> bool:
    """Return whether `parts_that_are_no_text` may find anything."""
    return _MAY_HAVE_PARTS.search(html) is not None


def parts_that_are_no_text(body: LexborNode, silent: Container[str]) -> set[int]:
    """Return the `mem_id` of each element below a body that is not part of the article's text.

    `silent` are the tags whose content is never shown. If no text would be left, the result is empty.
    """
    parts: set[int] = set()
    frames = [_Frame(body, body.iter(include_text=True), [])]
    whole = _Content()
    while frames:
        frame = frames[-1]
        child = next(frame.following, None)
        if child is None:
            frames.pop()
            content = _content_of(frame)
            if frames:
                _close(frame, content, frames[-1], parts)
            else:
                whole = content
        elif child.tag == "-text":
            text = _SEPARATORS.sub(" ", child.text_content or "").strip()
            frame.children.append((child, _Content(text_chars=len(text), text=text[-_MAX_HEADING_CHARS:])))
        elif child.tag not in silent:
            frames.append(_Frame(child, child.iter(include_text=True), []))
    return parts if whole.link_chars or whole.text_chars else set()


def _content_of(frame: _Frame) -> _Content:
    content = _Content()
    for _, child_content in frame.children:
        content.add(child_content)
    if frame.node.tag == "a" and frame.node.attributes.get("href"):
        return _Content(links=1, link_chars=content.text_chars + content.link_chars)
    return content


def _close(frame: _Frame, content: _Content, parent: _Frame, parts: set[int]) -> None:
    """Add an element to its parent, or to the parts; then its heading is one, too."""
    node, tag = frame.node, frame.node.tag or ""
    is_part = (
        tag == "nav"
        or (frame.has_parts and content.is_empty())
        or (tag in _BLOCKS and content.is_links(tag))
        or _is_known(node)
    )
    if not is_part:
        parent.children.append((node, content))
        return
    parts.add(node.mem_id)
    parent.has_parts = True
    while parent.children and parent.children[-1][1].is_empty():
        parent.children.pop()  # white space between the heading and the list
    if parent.children:
        before, text = parent.children[-1]
        is_heading = before.tag in _HEADINGS and text.text_chars <= _MAX_HEADING_CHARS
        is_label = before.tag in _BLOCKS and text.has_label()
        if not text.links and (is_heading or is_label):
            parts.add(before.mem_id)
            parent.children.pop()


def _is_known(node: LexborNode) -> bool:
    attributes = node.attributes
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    return not names.isspace() and not _NAMES.isdisjoint(names.lower().split())
