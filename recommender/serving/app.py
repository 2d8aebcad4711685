"""The Flask application: its routes, and what applies to every response."""

import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from flask import Flask, Response, g, request
from threadpoolctl import threadpool_limits
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Rule

from recommender.serving.admin.pages import AdminRoutes
from recommender.serving.cache.caching import ResponseCache
from recommender.serving.cache.finished import FinishedResponses
from recommender.serving.cache.purging import Purger, shared_cache_at
from recommender.serving.compat.drop_in import DropInRoutes
from recommender.serving.http import compression
from recommender.serving.http.auth import Access
from recommender.serving.http.concurrency import ComputingLimit, ConcurrencyLimit
from recommender.serving.http.cors import ReadPolicy, ScoringLimit
from recommender.serving.http.parameters import utf8
from recommender.serving.http.problems import Problem
from recommender.serving.http.requests import request_id_of
from recommender.serving.http.responses import to_bytes
from recommender.serving.http.uploads import UploadLimit
from recommender.serving.openapi.docs import DocsRoutes
from recommender.serving.routes.articles import ArticleRoutes
from recommender.serving.routes.events import EventRoutes
from recommender.serving.routes.health import HealthRoutes
from recommender.serving.routes.metrics import PARTS, MetricsRoutes, MetricsUpdates
from recommender.serving.routes.page import PageRoutes
from recommender.serving.routes.related import RelatedRoutes
from recommender.serving.routes.rules import RuleRoutes
from recommender.serving.routes.search import SearchRoutes
from recommender.serving.routes.submissions import SubmissionRoutes
from recommender.serving.routes.topics import TopicRoutes
from recommender.serving.routes.trending import TrendingRoutes
from recommender.serving.site.demo import DemoRoutes
from recommender.serving.site.start import StartRoutes
from recommender.serving.site.widget import WidgetRoutes
from recommender.serving.telemetry.metrics import Metrics
from recommender.serving.telemetry.tracing import spans_to
from recommender.serving.worker.connections import ConnectionLimit
from recommender.serving.worker.context import Clock, Context, utc_now
from recommender.serving.worker.maintenance import Maintenance
from recommender.settings import Settings

_log = logging.getLogger(__name__)

_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}
_KIND_OF_STATUS = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-type",
}


class _Tail(BaseConverter):
    """The rest of a path unchanged, including slashes and line breaks."""

    regex = "(?s:.*)"
    part_isolating = False
    weight = 300  # is tried after more specific rules


class _Rule(Rule):
    """A URL rule that gets ready to build URLs when the first one is built: few are, and it takes long.

    Without it, half of the time to create the app is spent on that.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002 as in werkzeug
        compiled = cache(partial(super()._compile_builder, append_unknown))

        def build(rule: Rule, *arguments: Any, **values: Any) -> tuple[str, str]:
            return compiled()(rule, *arguments, **values)

        return build


class _Application(Flask):
    """Flask, except that an unexpected error is logged once: with the request's id, by the error handler.

    No view is a coroutine, so Flask need not look for coroutines ten times in each request.
    """

    url_rule_class = _Rule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged."""
        return func

    def log_exception(self, exc_info: Any) -> None:
        """Log nothing."""


def purger_of(context: Context) -> Purger | None:
    """Return the purger of the shared cache in the settings, None if there is no such cache."""
    settings = context.settings
    if not settings.purge_url:
        return None
    shared_cache = shared_cache_at(settings.purge_url, settings.purge_header)
    return Purger(shared_cache, lambda: context.follower.state)


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock = utc_now,
    make_purger: Callable[[Context], Purger | None] = purger_of,
) -> Flask:
    """Return the service as a WSGI application; without `settings`, they are read from the environment.

    Paths are matched unchanged, without redirects or merged slashes. Raises SettingsError.
    """
    settings = settings or Settings.read()
    # The threads that multiply matrices wait for each other in a loop. Next to our own threads, which need
    # the cores, that multiplies the time of a product.
    threadpool_limits(1, user_api="blas")
    app = _bare_app(settings)
    access = Access(settings)
    computing = ComputingLimit(access, settings.computing_seconds)
    scoring = ScoringLimit(access, settings.scoring_at_once, settings.scoring_queue, computing.lent)
    context = Context(settings, clock, scoring.slot)
    purger = make_purger(context)
    if purger is not None:
        context.report_degraded("purge", lambda: purger.is_failing)
    cache, metrics = ResponseCache(settings.cache_bytes, computing, purger), Metrics(PARTS)
    uploads, submissions = UploadLimit(), SubmissionRoutes(context, access)
    _add_routes(app, context, cache, access, metrics, submissions)
    _observe(metrics, context)
    queues = {"light": [computing.light], "heavy": [computing.heavy], "scoring": [scoring.limit]}
    _observe_waits(metrics, queues | {"upload": uploads.limits, "fold_in": [submissions.fold_in_limit]})
    record_span = spans_to(settings.traces_url) if settings.traces_url else None
    metrics_routes, rules = MetricsRoutes(context, metrics, record_span), RuleRoutes(context, access)
    for routes in (metrics_routes, rules, AdminRoutes(context, access, metrics_routes, rules)):
        routes.add_to(app)
    demo = DemoRoutes(context, computing)
    if settings.has_demo:
        demo.add_to(app)
        StartRoutes(context, has_admin=bool(access.keys_with("admin"))).add_to(app)
    app.extensions["recommender"] = context
    if settings.live_poll_seconds:
        context.follower.start()
        Maintenance(context).start()
        ConnectionLimit.of(settings).start()
        MetricsUpdates(metrics_routes).start()
        if purger is not None:
            purger.start()
    app.before_request(_check_path)
    app.after_request(_finish)
    ReadPolicy(access, settings.cors_origins).add_to(app)
    uploads.add_to(app)
    compression.add_to(app)
    _handle_errors(app, demo.problem_page)
    # Flask's documented way to add a WSGI layer, although mypy sees a method.
    app.wsgi_app = FinishedResponses(  # type: ignore[method-assign]
        app.wsgi_app, context, cache, access, metrics.records.add
    )
    return app


def _bare_app(settings: Settings) -> Flask:
    """Return an application without routes that matches paths unchanged."""
    app = _Application(
        __name__,
        static_url_path="/demo/static",
        static_folder="site/static" if settings.has_demo else None,
        template_folder="site/templates",
    )
    # One byte above the limit: werkzeug truncates a body of unknown length instead of refusing it.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 300
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.converters["tail"] = _Tail
    return app


def _observe(metrics: Metrics, context: Context) -> None:
    """Observe what happens below the routes."""
    context.store.on_failure(metrics.count_store_failure)
    context.rank_tracker.on_refresh = metrics.observe_refresh


def _observe_waits(metrics: Metrics, queues: dict[str, list[ConcurrencyLimit]]) -> None:
    """Observe how long requests wait in queues."""
    for queue, limits in queues.items():
        for limit in limits:
            limit.on_wait = metrics.waits_in(queue)


def _add_routes(
    app: Flask,
    context: Context,
    cache: ResponseCache,
    access: Access,
    metrics: Metrics,
    submissions: SubmissionRoutes,
) -> None:
    related = RelatedRoutes(context, cache)
    for routes in (
        related,
        ArticleRoutes(context, cache, related),
        TopicRoutes(context, cache),
        PageRoutes(context, cache),
        SearchRoutes(context, cache),
        TrendingRoutes(context, cache),
        DropInRoutes(context, cache),
        WidgetRoutes(),
        HealthRoutes(context),
        DocsRoutes(),
        submissions,
        EventRoutes(context, access, metrics),
    ):
        routes.add_to(app)


def _check_path() -> None:
    """Set the id of the request, and refuse a path that routing would change."""
    g.request_id = request_id_of(request.environ)
    raw = request.environ.get("PATH_INFO", "")
    utf8(raw, "path", "path")
    if raw.startswith("//"):
        raise Problem("not-found", f"no route matches {request.path[:100]}")


def _finish(response: Response) -> Response:
    headers = response.headers
    present = {name.lower() for name, _ in headers}  # each search in `headers` would read all names
    for name, value in (("X-Request-ID", g.request_id), *_SAFE_HEADERS.items()):
        if name.lower() not in present:
            headers.add(name, value)
    if response.status_code >= 400 or request.method == "POST":  # noqa: PLR2004 the first error status
        response.headers["Cache-Control"] = "no-store"
    return response


def _handle_errors(app: Flask, page: Callable[[Problem], Response]) -> None:
    """Respond to every problem and failure as problem+json, below `/demo` as a page."""

    def respond(problem: Problem) -> Response:
        if (request.endpoint or "").startswith("demo"):
            return page(problem)
        body = to_bytes(problem.as_json(g.request_id))
        headers: dict[str, Any] = dict(problem.headers)
        return Response(body, problem.status, headers, content_type="application/problem+json")

    def respond_to_http_error(error: HTTPException) -> Response:
        return respond(_as_problem(error))

    app.register_error_handler(Problem, respond)
    app.register_error_handler(HTTPException, respond_to_http_error)


def _as_problem(error: HTTPException) -> Problem:
    """Return an error that werkzeug or Flask raised as a Problem."""
    code = error.code or 500
    kind = _KIND_OF_STATUS.get(code, "internal-error" if code >= 500 else "bad-request")  # noqa: PLR2004
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    path = request.path[:100]
    detail = {
        "not-found": f"no route matches {path}",
        "method-not-allowed": f"{path} allows {allowed}, not {request.method[:20]}",
        "too-large": f"the body is larger than {(request.max_content_length or 1) - 1} bytes",
        "bad-request": "the request is incomplete or not valid HTTP",
        "internal-error": "internal error; search the server log for this request_id",
    }.get(kind, error.description or "")
    if kind == "internal-error":
        cause, request_id = getattr(error, "original_exception", None), g.request_id
        _log.error("request %s failed", request_id, exc_info=cause, extra={"request_id": request_id})
    return Problem(kind, detail, headers={"Allow": allowed} if allowed else {})
