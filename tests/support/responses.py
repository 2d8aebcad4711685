"""The keys of responses, and short calls that a test client sends."""

from typing import Any

from flask.testing import FlaskClient

ITEM_KEYS = [
    "id",
    "title",
    "url",
    "category",
    "categories",
    "published_at",
    "image_url",
    "reading_minutes",
    "lang",
    "score",
    "source",
    "trending_rank",
    "also_published_as",
]

EXPLANATION_KEYS = [
    "terms",
    "other_terms",
    "topics",
    "other_topics",
    "vector",
    "feedback",
    "expansion",
    "hub",
    "freshness",
    "boost",
]


def get(client: FlaskClient, path: str) -> Any:
    """Return the JSON of the response to a GET request, which must succeed."""
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.get_json()


def post_text(client: FlaskClient, text: dict[str, Any]) -> Any:
    """Return the list of a text; the request must succeed."""
    response = client.post("/v1/similar", json=text)
    assert response.status_code == 200, response.text
    return response.get_json()


def sum_of_parts(explanation: dict[str, Any]) -> float:
    """Return the sum of all parts of an explained score."""
    named = sum(part["contribution"] for part in explanation["terms"] + explanation["topics"])
    others = sum(explanation[key] for key in EXPLANATION_KEYS if key not in {"terms", "topics"})
    return float(named + others)
