"""Entries of a feed on the web, including its further pages."""

from collections.abc import Iterator

from recommender.training.readers.feeds import feed_of
from recommender.training.readers.files import RawRow
from recommender.training.sites.remote import Remote


def feed_site_rows(url: str, remote: Remote, max_pages: int) -> Iterator[RawRow]:
    """Yield the entries of a feed and of the pages linked as `next`, without duplicates.

    Raises CorpusError if a page is not a feed or the site does not respond.
    """
    address: str | None = url
    seen, ids = set[str](), set[str]()
    while address and address not in seen and len(seen) < max_pages:
        seen.add(address)
        response = remote.get(address)
        feed = feed_of(response.body, response.url, response.url, response.headers.get("Content-Type", ""))
        for row in feed.rows:
            article_id = row.values["id"]
            if article_id is None or article_id not in ids:
                ids.add(article_id)
                yield row
        address = feed.following
