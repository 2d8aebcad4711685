"""Articles as the CMS sends them: put, corrected and withdrawn while the service runs."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, request

from recommender.article import Article, InvalidArticleError, check_id
from recommender.fields import COLUMNS, RefusedError, RowReader, not_public
from recommender.model import NO_MOMENT, from_microseconds, microseconds
from recommender.serving.http.article_schemas import check_types
from recommender.serving.http.auth import Access
from recommender.serving.http.bodies import json_object
from recommender.serving.http.concurrency import ConcurrencyLimit
from recommender.serving.http.parameters import (
    ID_ALLOWED,
    ArticleAddress,
    Parameters,
    many_segments,
    read_query,
)
from recommender.serving.http.problems import Fault, Problem, bad_body, bad_parameter, store_down
from recommender.serving.http.responses import to_bytes
from recommender.serving.index.fold_in import fold_in
from recommender.serving.store import ArticleRow, Outcome, StoreDownError
from recommender.serving.worker.context import Context

MAX_ARTICLES = 500  # of a batch
_PLACING = 2, 16, 30.0  # at once, others who wait, and how long: each scores the whole corpus
_PUBLIC = "'publish', or 'future' with a published_at; what is no longer public is withdrawn with DELETE"


class SubmissionRoutes:
    """The calls that change articles; all need a key with the scope `articles`."""

    def __init__(self, context: Context, access: Access) -> None:
        self._context, self._access = context, access
        self._placing = ConcurrencyLimit(*_PLACING)

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        for method, view in (("PUT", self.put), ("DELETE", self.withdraw)):
            name = method.lower()
            app.add_url_rule("/v1/article", endpoint=f"{name}_article", view_func=view, methods=[method])
            path = "/v1/articles/<tail:tail>"
            app.add_url_rule(path, endpoint=f"{name}_by_path", view_func=view, methods=[method])
        app.add_url_rule("/v1/articles", endpoint="put_many", view_func=self.put_many, methods=["POST"])

    def put(self, tail: str | None = None) -> Response:
        """Put one article, unless what is known of it is newer."""
        self._access.require("articles")
        article_id = self._id(tail)
        values = json_object("articles", self._context.settings.max_body_bytes)
        if str(values.setdefault("id", article_id)) != article_id:
            fault = Fault("body", "id", str(values["id"]), "the id of the address, or none")
            raise bad_body([fault])
        if "url" in request.args:
            values.setdefault("url", self._url(article_id))  # else the same address would not find it again
        try:
            sent = _read(values | {"id": article_id}, self._context.clock())
        except RefusedError as error:
            raise bad_body([_fault(error, values)]) from None
        known = (
            self._context.related.articles.find(article_id) is not None if self._context.is_open else False
        )
        outcomes, version = self._store([sent])
        applied = outcomes[0] != "older"
        status = 201 if outcomes[0] == "created" and not known else 200
        return _json({"id": article_id, "live_version": version, "applied": applied}, status)

    def put_many(self) -> Response:
        """Put up to 500 articles in one transaction; those that are none are rejected, each by itself."""
        self._access.require("articles")
        read_query(Parameters, request.environ.get("QUERY_STRING", ""))
        listed = _listed(json_object("articles", self._context.settings.max_batch_bytes))
        sent: dict[int, _Sent] = {}
        rejected: list[dict[str, Any]] = []
        for index, values in enumerate(listed):
            try:
                sent[index] = _read(values, self._context.clock())
            except RefusedError as error:
                article_id = values.get("id") if isinstance(values, dict) else None
                told = str(article_id)[:100] if isinstance(article_id, str | int) else None
                rejected.append({"index": index, "id": told, "reason": str(error)})
        outcomes, _ = self._store(list(sent.values()))
        for (index, each), outcome in zip(sent.items(), outcomes, strict=True):
            if outcome == "older":
                reason = "older: a later updated_at is known, or a withdrawal"
                rejected.append({"index": index, "id": each.article.id, "reason": reason})
        rejected.sort(key=lambda each: each["index"])
        accepted = sum(outcome in {"created", "updated"} for outcome in outcomes)
        unchanged = outcomes.count("unchanged")
        return _json({"accepted": accepted, "unchanged": unchanged, "rejected": rejected})

    def withdraw(self, tail: str | None = None) -> Response:
        """Withdraw an article, known or not: from now on it is nowhere."""
        self._access.require("articles")
        article_id = self._id(tail)
        moment = max(microseconds(self._context.clock()), self._known_moment(article_id))
        try:
            self._context.store.withdraw(article_id, moment)
        except StoreDownError as error:
            raise store_down(str(error)) from None
        self._context.follower.refresh()
        return Response(status=204)

    def _id(self, tail: str | None) -> str:
        """Return the id in the path, or the one that the query names, or that has the URL."""
        if tail is not None:
            if "/" in tail:
                raise many_segments(tail)
            try:
                return check_id(tail)
            except InvalidArticleError:
                raise bad_parameter([Fault("path", "id", tail, ID_ALLOWED)]) from None
        by, value = read_query(ArticleAddress, request.environ.get("QUERY_STRING", "")).only()
        if by == "id":
            return value
        articles = self._context.related.articles
        try:
            row = articles.find_url(value)
        except ValueError:
            row = None
        if row is None:
            fault = Fault("query", "url", value, "the url of a known article")
            raise Problem("unknown-article", f"no article has the url {value[:100]!r}", (fault,))
        return articles.ids[row]

    def _url(self, article_id: str) -> str | None:
        """Return the URL of a known article."""
        articles = self._context.related.articles
        row = articles.find(article_id)
        return None if row is None else articles.urls[row] or None

    def _store(self, sent: list["_Sent"]) -> tuple[list[Outcome], int]:
        """Write what is newer than the model; returns the outcome of each, and the version then."""
        try:
            rows = [self._row(each) for each in sent]
            outcomes, version = self._context.store.put_articles([row for row in rows if row is not None])
        except StoreDownError as error:
            raise store_down(str(error)) from None
        self._context.follower.refresh()
        left = iter(outcomes)
        return ["older" if row is None else next(left) for row in rows], version

    def _row(self, sent: "_Sent") -> ArticleRow | None:
        """Return what the store is to hold of an article, None where it is older than what is known.

        One without a date of change is of now, and newer than what is known, unless that is a withdrawal:
        whether it was sent before or after that nobody can tell. One of the very moment that the model's
        article is of, but not equal to it, is a correction that the date does not tell of, hence newer.
        """
        article = sent.article
        updated, known = microseconds(article.updated_at), self._known_moment(article.id)
        if not sent.is_dated:
            stored = self._context.store.article(article.id)
            if article.id in self._context.follower.state.withdrawn or (
                stored is not None and stored.withdrawn
            ):
                return None
            latest = max(known, NO_MOMENT if stored is None else stored.updated)
            same = stored is not None and stored.payload == _payload(article, stored.updated)
            updated = latest if same else max(updated, latest + 1)
        elif updated < known:
            return None
        elif updated == known and self._differs(article):
            updated += 1
        payload = _payload(article, updated)
        snapshot = self._context.follower.state.snapshot
        if snapshot is None:
            return ArticleRow(article.id, updated, withdrawn=False, payload=payload)
        with self._placing.slot():
            folded_article = fold_in(snapshot.model, article).to_bytes()
        version = snapshot.manifest.version
        return ArticleRow(
            article.id,
            updated,
            withdrawn=False,
            payload=payload,
            model_version=version,
            embedding=folded_article,
        )

    def _differs(self, article: Article) -> bool:
        """Tell whether the article of the model says something else, and was not withdrawn."""
        state = self._context.follower.state
        if state.snapshot is None or article.id in state.withdrawn:
            return False
        articles = state.snapshot.model.articles
        row = articles.ids.find(article.id)
        return row is not None and article != articles.article(row)

    def _known_moment(self, article_id: str) -> int:
        """Return when the model's article was last changed, in microseconds."""
        snapshot = self._context.follower.state.snapshot
        row = None if snapshot is None else snapshot.model.articles.ids.find(article_id)
        return NO_MOMENT if snapshot is None or row is None else int(snapshot.model.articles.updated[row])


@dataclass(frozen=True)
class _Sent:
    """An article as it was sent, and whether it said itself when it was changed."""

    article: Article
    is_dated: bool


def _read(values: Any, now: datetime) -> _Sent:
    """Return the article in an object. Raises RefusedError for any value that is wrong, and for a draft."""
    if not isinstance(values, dict):
        raise RefusedError("wrong type", "an article is a JSON object")
    check_types(values)
    if kind := not_public(values):
        name = "post_password" if kind == "password" else "status"
        raise RefusedError(f"{name}: not public", f"{kind}; allowed: {_PUBLIC}")
    article, refused = RowReader(UTC, now).article(values)
    if refused:
        raise refused[0]
    return _Sent(replace(article, updated_at=article.updated_at or now), article.updated_at is not None)


def _listed(values: dict[str, Any]) -> list[Any]:
    """Return the list in the body of a batch. Raises Problem for any other, and for what stands beside it."""
    listed = values.get("articles")
    if not isinstance(listed, list) or len(listed) > MAX_ARTICLES:
        shown = f"a list of {len(listed)}" if isinstance(listed, list) else _shown(listed)
        raise bad_body([Fault("body", "articles", shown, f"a list of up to {MAX_ARTICLES} articles")])
    if beside := [name for name in values if name != "articles"]:
        raise bad_body([Fault("body", name, _shown(values[name]), "articles alone") for name in beside[:10]])
    return listed


def _shown(value: object) -> str | None:
    return value if isinstance(value, str) else None if value is None else str(to_bytes(value), "utf-8")


def _fault(error: RefusedError, values: dict[str, Any]) -> Fault:
    name = error.reason.split(":")[0]
    name = name if name in COLUMNS or name in values else "article"
    return Fault("body", name, _shown(values.get(name)), str(error))


def _payload(article: Article, updated: int) -> bytes:
    return replace(article, updated_at=from_microseconds(updated)).to_json().encode()


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(to_bytes(answer), status, {"Cache-Control": "no-store"}, content_type="application/json")
