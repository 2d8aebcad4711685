"""Links that editors write by hand between posts, as labels: two posts with a link in between are related."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

# The destinations of Markdown's links and definitions, of HTML links, and plain addresses.
_DESTINATIONS = re.compile(
    r"""\]\(([^)\n]*)|^[ ]{0,3}\[[^\]\n]+\]:[ \t]*([^\n]*)|\bhref\s*=\s*["']([^"'\n]*)|(https?://[^\s<>"')]+)""",
    re.MULTILINE,
)
# A permalink `/2015/05/11/slug/`, or the name of a file `2015-05-11-slug` in a template tag.
_DATED = re.compile(r"(?<!\d)(\d{4})[/-](\d{2})[/-](\d{2})[/-]([\w.-]+)")
_DATE_CHARS = len("2015-05-11-")


def linked_pairs(posts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return the pairs of posts of which one links to the other, each pair in order.

    `posts` are Markdown texts by id, which is the name of the file: `2015-05-11-slug`. A link is resolved by
    date and slug, or by the slug alone if only one post has it, because the dates of posts change.
    """
    slugs = Counter(post_id[_DATE_CHARS:] for post_id in posts)
    by_slug = {post_id[_DATE_CHARS:]: post_id for post_id in posts if slugs[post_id[_DATE_CHARS:]] == 1}
    pairs = set()
    for post_id, text in posts.items():
        for year, month, day, slug in _dated_links(text):
            name = f"{year}-{month}-{day}-{slug}"
            target = name if name in posts else by_slug.get(slug)
            if target is not None and target != post_id:
                pairs.add((min(post_id, target), max(post_id, target)))
    return pairs


def _dated_links(text: str) -> Iterator[tuple[str, str, str, str]]:
    for link in _DESTINATIONS.finditer(text):
        if dated := _DATED.search(next(filter(None, link.groups()), "")):
            year, month, day, name = dated.groups()
            slug = name.rstrip(".").removesuffix(".html").removesuffix(".md")
            yield year, month, day, slug
