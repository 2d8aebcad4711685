"""The start page: what runs here, where to go from here, and how old the model is."""

from datetime import datetime
from typing import Any

from flask import Flask, Response, render_template

from recommender.serving.http.problems import Problem
from recommender.serving.http.responses import iso
from recommender.serving.worker.context import Context

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


class StartRoutes:
    """The route of the page at `/`."""

    def __init__(self, context: Context, *, has_admin: bool) -> None:
        self._context, self._has_admin = context, has_admin

    def add_to(self, app: Flask) -> None:
        """Add the route, unless Jetpack's calls may have any path, including `/`."""
        if "jetpack" not in self._context.settings.drop_in:
            app.add_url_rule("/", endpoint="demo_start", view_func=self.page)

    def page(self) -> Response:
        """Respond with the page, also if no model is open."""
        page = render_template(
            "start.html", site=self._context.settings.site_name, has_admin=self._has_admin, **self._facts()
        )
        return Response(page, headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY})

    def _facts(self) -> dict[str, Any]:
        try:
            view = self._context.view()
        except Problem as problem:
            return {"problem": problem.detail, "degraded": self._context.degraded}
        status = view.model_status
        trained_at = status.manifest.trained_at
        return {
            "articles": int(view.related.public(view.now).sum()),
            "version": status.manifest.version,
            "trained_at": iso(trained_at.replace(microsecond=0)),
            "age": age(trained_at, view.now),
            "stale": status.stale,
            "degraded": status.degraded,
        }


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, such as "3 hours ago", in the largest unit that fits."""
    seconds = int((now - moment).total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {unit}{'' if count == 1 else 's'} ago"
    return "less than a minute ago"
