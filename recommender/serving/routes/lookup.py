"""Find the article that a request names, and report what cannot be found."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from recommender.serving.http.problems import Fault, Place, Problem, bad_body, bad_parameter
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.query import ListQuery
from recommender.serving.worker.consistent_view import ConsistentView

MAX_NAMES_SHOWN = 20  # known categories in an error

IdOrUrl = Literal["id", "url"]


def find_row(by: IdOrUrl, value: str, view: ConsistentView) -> int | None:
    """Return the row of the public article with this id or URL, None if there is none.

    Raises Problem for an invalid URL.
    """
    if by == "id":
        return view.related.find(value, view.now)
    try:
        return view.related.find_url(value, view.now)
    except ValueError:
        raise bad_parameter([Fault("query", "url", value, "the URL of an article")]) from None


def row_of(place: Place, by: IdOrUrl, value: str, view: ConsistentView) -> int:
    """Return the row of the public article with this id or URL. Raises Problem if there is none."""
    row = find_row(by, value, view)
    if row is None:
        raise missing_article(place, by, value, view)
    return row


def missing_article(place: Place, by: IdOrUrl, value: str, view: ConsistentView) -> Problem:
    """Return the problem that no public article has this id or URL: it was withdrawn, or is unknown."""
    related = view.related
    row = related.articles.find_url(value) if by == "url" else None
    article_id = value if row is None else related.articles.ids[row]
    if article_id in related.snapshot.withdrawn:
        fault = Fault(place, by, value, f"the {by} of an article that has not been withdrawn")
        return Problem("withdrawn", f"the article with the {by} {value[:100]!r} was withdrawn", (fault,))
    fault = Fault(place, by, value, f"the {by} of a published article")
    return Problem("unknown-article", f"no article has the {by} {value[:100]!r}", (fault,))


@contextmanager
def known_categories(place: Place, query: ListQuery) -> Iterator[None]:
    """Turn UnknownCategoryError into a problem that names the parameter and some known categories."""
    try:
        yield
    except UnknownCategoryError as error:
        parameter = "category" if error.name in query.categories else "exclude_category"
        shown = ", ".join(error.known[:MAX_NAMES_SHOWN])
        n_more = len(error.known) - MAX_NAMES_SHOWN
        allowed = f"{shown} and {n_more} more" if n_more > 0 else shown or "none; no article has a category"
        problem_of = bad_body if place == "body" else bad_parameter
        raise problem_of([Fault(place, parameter, error.name, allowed)]) from None
