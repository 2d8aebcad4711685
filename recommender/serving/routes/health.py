"""For operators: whether the process answers, and whether it has a model to answer from."""

from typing import Any

from flask import Flask, Response

from recommender.serving.http.responses import to_bytes
from recommender.serving.worker.context import Context


class HealthRoutes:
    """The calls of load balancers and monitors."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/healthz", endpoint="healthz", view_func=self.health)
        app.add_url_rule("/readyz", endpoint="readyz", view_func=self.readiness)

    def health(self) -> Response:
        """Answer 200: the process runs. `live` is null where no model is open."""
        return _answer({"status": "ok", "live": self._live()})

    def readiness(self) -> Response:
        """Answer 200 with something to answer from, and a problem with the reason otherwise."""
        model, degraded = self._context.model_status().as_json(), list(self._context.degraded)
        return _answer({"status": "ready", "model": model, "degraded": degraded, "live": self._live()})

    def _live(self) -> dict[str, Any] | None:
        """Return what came after the model, and the mean share of its terms that the model does not know."""
        state = self._context.follower.state
        if state.snapshot is None:
            return None
        return {
            "version": state.version,
            "articles": state.snapshot.live_shown,
            "withdrawn": len(state.withdrawn),
            "unknown_terms": state.snapshot.unknown_share,
        }


def _answer(body: dict[str, object]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(to_bytes(body), headers=headers, content_type="application/json")
