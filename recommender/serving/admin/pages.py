"""The pages under `/admin/`: an overview, all rules, and one article with a form for a rule about it.

They need no script, and each is computed from the current state. What depends on the model alone is cached.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from flask import Blueprint, Flask, Response, render_template, request, url_for

from recommender.serving.admin.charts import stacked_bar
from recommender.serving.admin.model_facts import FactsCache
from recommender.serving.admin.overview import Lines, alarms, measures
from recommender.serving.admin.rule_form import DAYS, WEAKER, RuleForm, rule_values, submitted, suggestion
from recommender.serving.admin.rule_views import STATES, effects_on, rule_views, rules_by_state
from recommender.serving.admin.sessions import FORM_TOKEN, SCOPE, Session, Sessions
from recommender.serving.admin.speed import item_sources, route_speeds
from recommender.serving.admin.words import date, duration, percent, utc
from recommender.serving.http.auth import Access
from recommender.serving.http.concurrency import ConcurrencyLimit
from recommender.serving.http.parameters import MAX_QUERY_CHARS
from recommender.serving.http.problems import Problem
from recommender.serving.routes.metrics import MetricsRoutes
from recommender.serving.routes.rules import RuleRoutes
from recommender.serving.site.start import age
from recommender.serving.worker.consistent_view import ConsistentView
from recommender.serving.worker.context import Context

_SIGNED_OUT = frozenset({"key-missing", "key-not-allowed"})
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"Cache-Control": "no-store", "Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin"}
# Readers must not wait for these pages: each worker computes one at a time, and a few wait.
_LIMIT = 1, 4, 10.0
_RULES_ON_OVERVIEW, _RULES_PER_PAGE, _LISTS_SHOWN, _FOUND = 5, 50, 20, 20
_EFFECTS_SHOWN = 50
_ROUTES_SHOWN = 12
_MAX_FORM_BYTES = 64 << 10


class AdminRoutes:
    """The routes under `/admin/`. Every page needs a session or a key with the scope `admin`."""

    def __init__(self, context: Context, access: Access, metrics: MetricsRoutes, rules: RuleRoutes) -> None:
        self._context, self._access, self._metrics, self._rules = context, access, metrics, rules
        self._sessions = Sessions(context, access)
        self._facts = FactsCache()
        self._limit = ConcurrencyLimit(*_LIMIT)

    def add_to(self, app: Flask) -> None:
        """Add the routes, the files and the template filters."""
        pages = Blueprint("admin", __name__, "static", template_folder="templates", url_prefix="/admin")
        for path, name, view, method in (
            ("", "bare", self._signed_in(self.overview), "GET"),
            ("/", "overview", self._signed_in(self.overview), "GET"),
            ("/rules", "rules", self._signed_in(self.all_rules), "GET"),
            ("/rules", "remove_rule", self._signed_in(self.remove_rule), "POST"),
            ("/search", "search", self._signed_in(self.search), "GET"),
            ("/article", "article", self._signed_in(self.article), "GET"),
            ("/article", "add_rule", self._signed_in(self.add_rule), "POST"),
            ("/sign-out", "sign_out", self._signed_in(self.sign_out), "POST"),
            ("/sign-in", "sign_in", self.sign_in, "POST"),
        ):
            pages.add_url_rule(path, name, view, methods=[method])
        pages.register_error_handler(Problem, self.problem_page)
        pages.after_request(_finish)
        for name, function in (("utc", utc), ("date", date), ("duration", duration), ("percent", percent)):
            pages.add_app_template_filter(function, name)
        app.register_blueprint(pages)

    def overview(self, session: Session) -> Response:
        """Show the state of the service and its lists."""
        view, state = self._context.view(), self._context.state
        related, facts = view.related, self._facts.lists(view.related.model)
        copies = self._facts.copies(related.snapshot.copies)
        history = self._facts.history(self._context.settings.models_dir)
        leaderboards, families = self._context.leaderboards(view), list(self._metrics.families())
        lines, counts = Lines(view, self._facts), item_sources(families)
        rules = rules_by_state(state, view.now)
        manifest = related.model.manifest
        orphans, orphan_count = lines.orphans()
        topics, speeds = lines.topics(), route_speeds(families)
        return self._page(
            "overview.html",
            session,
            alarms=list(alarms(view, state)),
            manifest=manifest,
            age=age(manifest.trained_at, view.now),
            articles=int(np.count_nonzero(related.public(view.now))),
            live_count=related.snapshot.live_shown,
            withdrawn=len(state.withdrawn),
            unknown_share=related.snapshot.unknown_share,
            facts=facts,
            most_listed=lines.most_listed(),
            orphans=orphans,
            orphan_count=orphan_count,
            items=sum(count for _, count in counts),
            sources=stacked_bar(counts),
            topics=topics,
            topic_of={topic.number: topic for topic in topics},
            rule_counts={name: len(group) for name, group in rules.items()},
            rules={
                name: rule_views(group[:_RULES_ON_OVERVIEW], related, view.now)
                for name, group in rules.items()
            },
            live=lines.live(),
            trending=lines.trending(leaderboards),
            copies=copies,
            clusters=lines.clusters(copies),
            history=history,
            measures=list(measures(history.versions)),
            speeds=speeds[:_ROUTES_SHOWN],
            other_speeds=speeds[_ROUTES_SHOWN:],
            slowest=max((speed.p99 for speed in speeds if speed.p99 < inf), default=0.0),
        )

    def all_rules(self, session: Session) -> Response:
        """Show the rules in one state, page by page."""
        view = self._context.view()
        groups = rules_by_state(self._context.state, view.now)
        shown = next((name for name in STATES if name == request.args.get("state")), STATES[0])
        pages = max(1, -(-len(groups[shown]) // _RULES_PER_PAGE))
        page = min(max(request.args.get("page", 1, int), 1), pages)
        rules = groups[shown][(page - 1) * _RULES_PER_PAGE : page * _RULES_PER_PAGE]
        return self._page(
            "rules.html",
            session,
            shown=shown,
            rule_counts={name: len(group) for name, group in groups.items()},
            rules=rule_views(rules, view.related, view.now),
            page=page,
            pages=pages,
        )

    def remove_rule(self, session: Session) -> Response:  # noqa: ARG002 the session was checked
        """Remove a rule from the database, and return to the page of its article or to the rules."""
        self._rules.remove(request.form.get("rule", ""))
        article_id = request.form.get("article", "")
        target = url_for("admin.article", id=article_id) if article_id else url_for("admin.rules")
        return _see(target)

    def search(self, session: Session) -> Response:
        """Show the articles that match a search, the one with exactly this id first."""
        view, words = self._context.view(), request.args.get("q", "").strip()[:MAX_QUERY_CHARS]
        rows: list[int] = []
        if words:
            row = view.related.find(words, view.now)
            found = view.related.search(words, _FOUND, view.now).items
            rows = list(dict.fromkeys([*([] if row is None else [row]), *(item.row for item in found)]))
        lines = Lines(view, self._facts)
        return self._page("search.html", session, words=words, found=lines.articles(rows, _FOUND))

    def article(self, session: Session) -> Response:
        """Show an article, the rules about it, and a form for a new one."""
        return self._article_page(session, suggestion(session.name))

    def add_rule(self, session: Session) -> Response:
        """Add the rule in the form, and show it. If that fails, show why, and the form as it was sent."""
        view, form = self._context.view(), submitted(request.form)
        row = self._row(view)
        try:
            values = rule_values(form, view, row)
            rule, _ = self._rules.save(form.rule_id, values)
        except Problem as problem:
            return self._article_page(session, form, problem)
        return _see(url_for("admin.article", id=request.args["id"], saved=rule.id))

    def sign_in(self) -> Response:
        """Start a session with the key in the form."""
        request.max_content_length = _MAX_FORM_BYTES
        response = _see(url_for("admin.overview"))
        self._sessions.start(response, request.form.get("key", "").strip())
        return response

    def sign_out(self, session: Session) -> Response:  # noqa: ARG002 the session was checked
        """End the session."""
        response = _see(url_for("admin.overview"))
        self._sessions.end(response)
        return response

    def problem_page(self, problem: Problem) -> Response:
        """Show why there is no page; without a valid key, with the form to sign in."""
        is_signed_out = problem.kind in _SIGNED_OUT
        page = render_template(
            "admin/sign_in.html" if is_signed_out else "admin/problem.html",
            site=self._context.settings.site_name,
            problem=problem,
            can_sign_in=bool(self._access.keys_with(SCOPE)),
            session=None,
        )
        return Response(page, problem.status, dict(problem.headers))

    def _article_page(self, session: Session, form: RuleForm, problem: Problem | None = None) -> Response:
        view, state = self._context.view(), self._context.state
        row, related = self._row(view), view.related
        lines = Lines(view, self._facts)
        effects = effects_on(related.articles.article(row), state, view.now)
        response = self._page(
            "article.html",
            session,
            line=lines.articles([row], 1)[0],
            copies=lines.articles(related.snapshot.copies.of(row), _LISTS_SHOWN),
            effects=effects[:_EFFECTS_SHOWN],
            more_effects=max(0, len(effects) - _EFFECTS_SHOWN),
            in_lists=lines.articles(lines.lists_with(row), _LISTS_SHOWN),
            mean=self._facts.lists(related.model).mean,
            form=form,
            days=DAYS,
            factor=WEAKER,
            problem=problem,
            saved=next((each.rule for each in effects if each.rule.id == request.args.get("saved")), None),
        )
        response.status_code = 200 if problem is None else problem.status
        return response

    def _row(self, view: ConsistentView) -> int:
        article_id = request.args.get("id", "")
        row = view.related.find(article_id, view.now)
        if row is None:
            raise Problem("unknown-article", f"no public article has the id {article_id[:100]!r}")
        return row

    def _signed_in(self, view: Callable[[Session], Response]) -> Callable[[], Response]:
        """Return a view that needs a session, and for a form a form of this session."""

        def signed_in() -> Response:
            request.max_content_length = _MAX_FORM_BYTES
            session = self._sessions.current()
            if request.method == "POST":
                self._sessions.check_form(session)
            with self._limit.slot():
                return view(session)

        return signed_in

    def _page(self, template: str, session: Session, **values: Any) -> Response:
        settings = self._context.settings
        return Response(
            render_template(
                f"admin/{template}",
                site=settings.site_name,
                has_demo=settings.has_demo,
                now=self._context.now,
                session=session,
                form_token=FORM_TOKEN,
                **values,
            )
        )


def _see(target: str) -> Response:
    """Return a redirect after a form."""
    return Response(status=303, headers={"Location": target})


def _finish(response: Response) -> Response:
    """Keep pages out of caches and frames. The style sheet and the icon are no secret."""
    if request.endpoint != "admin.static":
        response.headers.update(_HEADERS)
    return response
