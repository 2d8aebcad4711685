"""For operators: whether the process answers, and whether it has a model to answer from."""

from flask import Flask, Response

from recommender.serving.answers import to_bytes
from recommender.serving.desk import Desk


class Ops:
    """The calls of load balancers and monitors."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/healthz", endpoint="healthz", view_func=self.health)
        app.add_url_rule("/readyz", endpoint="readyz", view_func=self.readiness)

    def health(self) -> Response:
        """Answer 200: the process runs."""
        return _answer({"status": "ok"})

    def readiness(self) -> Response:
        """Answer 200 with something to answer from, and a problem with the reason otherwise.

        `unknown_terms` is the mean share of the terms of live articles that the model does not know.
        """
        standing, edition = self._desk.standing(), self._desk.related.edition
        live = {"articles": edition.live_shown, "unknown_terms": edition.unknown_share}
        live |= {"version": self._desk.live.state.version, "withdrawn": len(edition.withdrawn)}
        degraded = list(standing.degraded)
        return _answer({"status": "ready", "model": standing.as_json(), "degraded": degraded, "live": live})


def _answer(body: dict[str, object]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(to_bytes(body), headers=headers, content_type="application/json")
