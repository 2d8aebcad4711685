"""Health checks: whether the process runs, and whether a model is open."""

from typing import Any

from flask import Flask, Response

from recommender.serving.http.responses import to_bytes
from recommender.serving.worker.context import Context


class HealthRoutes:
    """The routes of load balancers and monitors."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/healthz", endpoint="healthz", view_func=self.health)
        app.add_url_rule("/readyz", endpoint="readyz", view_func=self.readiness)

    def health(self) -> Response:
        """Respond with 200, because the process runs. `live` is null if no model is open."""
        return _response({"status": "ok", "live": self._live()})

    def readiness(self) -> Response:
        """Respond with 200 if a model is open, otherwise with the reason as a problem."""
        model, degraded = self._context.model_status().as_json(), list(self._context.degraded)
        return _response({"status": "ready", "model": model, "degraded": degraded, "live": self._live()})

    def _live(self) -> dict[str, Any] | None:
        """Return the changes since the training; `unknown_terms` is the mean share of unknown terms."""
        state = self._context.state
        if state.snapshot is None:
            return None
        return {
            "version": state.version,
            "articles": state.snapshot.live_shown,
            "withdrawn": len(state.withdrawn),
            "unknown_terms": state.snapshot.unknown_share,
        }


def _response(body: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(to_bytes(body), headers=headers, content_type="application/json")
