"""A CMS in Python that uses the generated client. Arguments: the URL of the service, and an API key."""

import sys
from datetime import UTC, datetime

from recommender_client import AuthenticatedClient
from recommender_client.api.articles import put_article_by_path
from recommender_client.api.lists import get_page
from recommender_client.api.trending import post_events
from recommender_client.models import Counted, EventBatch, Page, Problem, Put, SentArticle, SentEvent
from recommender_client.models.sent_event_type import SentEventType


def main(url: str, key: str) -> None:
    """Add an article, retrieve its page, and record events."""
    with AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True) as client:
        article = SentArticle(
            title="Council votes on harbour budget",
            body="<p>The council voted on the harbour budget tonight.",
            tags=["harbour"],
            published_at=datetime(2026, 1, 2, 6, tzinfo=UTC),
        )
        put = put_article_by_path.sync("client-1", client=client, body=article)
        assert isinstance(put, Put)
        assert put.applied

        page = get_page.sync(client=client, id="client-1", related_limit=2)
        assert isinstance(page, Page)
        assert page.article.title == "Council votes on harbour budget"
        assert len(page.related.items) == page.related.returned == 2

        first = page.related.items[0]
        view = SentEvent(article_id="client-1", type_=SentEventType.VIEW, visitor_id="reader-1")
        click = SentEvent(article_id=first.id, type_=SentEventType.CLICK, from_id="client-1", position=0)
        counted = post_events.sync(client=client, body=EventBatch(events=[view, click]))
        assert isinstance(counted, Counted)
        assert counted.accepted == 2

        problem = get_page.sync(client=client, id="nowhere")
        assert isinstance(problem, Problem)
        assert problem.type_.value == "unknown-article"


if __name__ == "__main__":
    main(*sys.argv[1:])
