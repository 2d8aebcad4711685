"""Entries of a feed on the web, including its further pages."""

from collections.abc import Iterator

from recommender.training.formats.feeds import feed_of, identified
from recommender.training.formats.files import RawRow
from recommender.training.sites.remote import Remote


def feed_site_rows(url: str, remote: Remote, max_pages: int) -> Iterator[RawRow]:
    """Yield the entries of a feed and of its next pages, without duplicates, and notes on their ids.

    Raises CorpusError if a page is not a feed or the site does not respond.
    """
    rows: list[RawRow] = []
    address: str | None = url
    seen = set[str]()
    while address and address not in seen and len(seen) < max_pages:
        seen.add(address)
        response = remote.get(address)
        feed = feed_of(response.body, response.url, response.url, response.headers.get("Content-Type", ""))
        rows += feed.rows
        address = feed.following
    ids = set[str]()
    # Only all pages together show which entries share an id.
    for row in identified(rows):
        article_id = str(row.values.get("id"))
        if row.note or row.refused or article_id not in ids:
            ids.add(article_id)
            yield row
