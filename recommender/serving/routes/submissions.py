"""Articles that the CMS adds, corrects and withdraws while the service runs."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from flask import Flask, Response, request

from recommender.article import Article
from recommender.fields import COLUMNS, RefusedError, RowReader, is_missing
from recommender.given_vectors import GivenVector, VectorError
from recommender.model import NO_MOMENT, from_microseconds, microseconds
from recommender.serving.http.article_schemas import check_types
from recommender.serving.http.auth import Access
from recommender.serving.http.concurrency import ConcurrencyLimit
from recommender.serving.http.parameters import ArticleAddress, id_with_slash
from recommender.serving.http.problems import Fault, Problem, bad_body, store_down
from recommender.serving.http.requests import (
    check_path_id,
    json_object,
    read_parameters,
    refuse_parameters,
)
from recommender.serving.http.responses import to_bytes
from recommender.serving.index.fold_in import fold_in
from recommender.serving.store import ArticleRow, Outcome, StoreDownError
from recommender.serving.worker.context import Context
from recommender.visibility import why_hidden

MAX_ARTICLES = 500  # of a batch
FOLD_IN_LIMIT = 2, 4, 0.5  # at once, waiting, and seconds: each fold-in scores the whole corpus
_FOLD_IN_SECONDS = 0.5  # of a request; `ModelSwitch` folds in the rest
_PUBLIC = "'publish', or 'future' with a published_at; to remove an article, use DELETE"


class SubmissionRoutes:
    """The routes that change articles; all need a key with the scope `articles`."""

    def __init__(self, context: Context, access: Access) -> None:
        self._context, self._access = context, access
        self.fold_in_limit = ConcurrencyLimit(*FOLD_IN_LIMIT)

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        for method, view in (("PUT", self.put), ("DELETE", self.withdraw)):
            name = method.lower()
            app.add_url_rule("/v1/article", endpoint=f"{name}_article", view_func=view, methods=[method])
            path = "/v1/articles/<tail:tail>"
            app.add_url_rule(path, endpoint=f"{name}_by_path", view_func=view, methods=[method])
        app.add_url_rule("/v1/articles", endpoint="put_many", view_func=self.put_many, methods=["POST"])

    def put(self, tail: str | None = None) -> Response:
        """Add or replace one article, unless the known version is newer."""
        self._access.require_key("articles")
        article_id = self._id(tail)
        values = json_object("articles", self._context.settings.max_body_bytes)
        if str(values.setdefault("id", article_id)) != article_id:
            fault = Fault("body", "id", str(values["id"]), "the id in the URL, or no id")
            raise bad_body([fault])
        if "url" in request.args:
            values.setdefault("url", self._url(article_id))  # so that the same URL finds the article again
        try:
            submission = self._read(values | {"id": article_id})
        except RefusedError as error:
            raise bad_body([_fault(error, values)]) from None
        known = (
            self._context.related.articles.find(article_id) is not None if self._context.is_open else False
        )
        outcomes, version = self._store([submission])
        applied = outcomes[0] != "older"
        status = 201 if outcomes[0] == "created" and not known else 200
        return _json({"id": article_id, "live_version": version, "applied": applied}, status)

    def put_many(self) -> Response:
        """Add or replace up to 500 articles in one transaction; invalid articles are rejected by index."""
        self._access.require_key("articles")
        refuse_parameters()
        entries = _entries(json_object("articles", self._context.settings.max_batch_bytes))
        submissions: dict[int, _Submission] = {}
        rejected: list[dict[str, Any]] = []
        for index, values in enumerate(entries):
            try:
                submissions[index] = self._read(values)
            except RefusedError as error:
                article_id = values.get("id") if isinstance(values, dict) else None
                shown_id = str(article_id)[:100] if isinstance(article_id, str | int) else None
                rejected.append({"index": index, "id": shown_id, "reason": str(error)})
        outcomes, _ = self._store(list(submissions.values()))
        for (index, submission), outcome in zip(submissions.items(), outcomes, strict=True):
            if outcome == "older":
                reason = "older: the known version has a later updated_at, or the article was withdrawn"
                rejected.append({"index": index, "id": submission.article.id, "reason": reason})
        rejected.sort(key=lambda rejection: rejection["index"])
        accepted = sum(outcome in {"created", "updated"} for outcome in outcomes)
        unchanged = outcomes.count("unchanged")
        return _json({"accepted": accepted, "unchanged": unchanged, "rejected": rejected})

    def withdraw(self, tail: str | None = None) -> Response:
        """Withdraw an article, known or not, so that no response contains it."""
        self._access.require_key("articles")
        article_id = self._id(tail)
        withdrawn_at = max(microseconds(self._context.now), self._known_update(article_id))
        try:
            self._context.store.withdraw(article_id, withdrawn_at)
        except StoreDownError as error:
            raise store_down(str(error)) from None
        self._context.follower.refresh()
        return Response(status=204)

    def _read(self, values: Any) -> "_Submission":
        """Return the article in a JSON object. Raises RefusedError as `_read` does, and for its vector."""
        submission, snapshot = _read(values, self._context.now), self._context.state.snapshot
        if snapshot is not None and submission.article.vector is not None:
            try:
                GivenVector.of(submission.article.vector, snapshot.manifest.adapted.vector_length)
            except VectorError as error:
                raise RefusedError("vector: another length", str(error), submission.article.id) from None
        return submission

    def _id(self, tail: str | None) -> str:
        """Return the article id in the path or query, or that of the article with the URL in the query."""
        if tail is not None:
            if "/" in tail:
                raise id_with_slash(tail)
            return check_path_id(tail)
        by, value = read_parameters(ArticleAddress).id_or_url()
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

    def _store(self, submissions: list["_Submission"]) -> tuple[list[Outcome], int]:
        """Write what is newer than the known versions; return each outcome, and the version of the store."""
        try:
            undated = [submission.article.id for submission in submissions if not submission.is_dated]
            stored_of = self._context.store.articles_by_id(undated) if undated else {}
            ends = monotonic() + _FOLD_IN_SECONDS
            rows = [
                self._row(submission, stored_of.get(submission.article.id), ends)
                for submission in submissions
            ]
            outcomes, version = self._context.store.put_articles([row for row in rows if row is not None])
        except StoreDownError as error:
            raise store_down(str(error)) from None
        self._context.follower.refresh()
        remaining = iter(outcomes)
        return ["older" if row is None else next(remaining) for row in rows], version

    def _row(self, submission: "_Submission", stored: ArticleRow | None, ends: float) -> ArticleRow | None:
        """Return the row to store, None if the known version is newer; fold it in unless the time `ends`.

        An article without `updated_at` gets the current time. It replaces any known version except a
        withdrawal, because it may have been sent before the withdrawal. An article that has the `updated_at`
        of the model's version but different content counts as newer: it was corrected without a new date.
        """
        article = submission.article
        updated, known = microseconds(article.updated_at), self._known_update(article.id)
        if not submission.is_dated:
            is_withdrawn = article.id in self._context.state.withdrawn
            if is_withdrawn or (stored is not None and stored.withdrawn):
                return None
            latest = max(known, NO_MOMENT if stored is None else stored.updated)
            is_unchanged = stored is not None and stored.payload == _payload(article, stored.updated)
            updated = latest if is_unchanged else max(updated, latest + 1)
        elif updated < known:
            return None
        elif updated == known and self._differs(article):
            updated += 1
        row = ArticleRow(article.id, updated, withdrawn=False, payload=_payload(article, updated))
        snapshot = self._context.state.snapshot
        if snapshot is None or monotonic() >= ends:
            return row
        try:
            with self.fold_in_limit.slot():
                embedding = fold_in(snapshot.model, article).to_bytes()
        except Problem:  # there are too many at the same time
            return row
        return replace(row, model_version=snapshot.manifest.version, embedding=embedding)

    def _differs(self, article: Article) -> bool:
        """Return whether the model's version of the article is different and was not withdrawn."""
        state = self._context.state
        if state.snapshot is None or article.id in state.withdrawn:
            return False
        articles = state.snapshot.model.articles
        row = articles.ids.find(article.id)
        return row is not None and article != articles.article(row)

    def _known_update(self, article_id: str) -> int:
        """Return the `updated_at` of the model's version in microseconds."""
        snapshot = self._context.state.snapshot
        row = None if snapshot is None else snapshot.model.articles.ids.find(article_id)
        return NO_MOMENT if snapshot is None or row is None else int(snapshot.model.articles.updated[row])


@dataclass(frozen=True)
class _Submission:
    """An article from the CMS, and whether it came with an `updated_at`."""

    article: Article
    is_dated: bool


def _read(values: Any, now: datetime) -> _Submission:
    """Return the article in a JSON object. Raises RefusedError for a wrong value and for a draft."""
    if not isinstance(values, dict):
        raise RefusedError("wrong type", "an article must be a JSON object")
    check_types(values)
    is_dated = not is_missing(values.get("published_at"))
    visibility = {name: values.get(name) for name in ("post_password", "status")}
    if kind := why_hidden(visibility, is_dated=is_dated):
        name = "post_password" if kind == "password" else "status"
        raise RefusedError(f"{name}: not public", f"{kind}; allowed: {_PUBLIC}")
    article, refused = RowReader(UTC, now).article(values)
    if refused:
        raise refused[0]
    return _Submission(replace(article, updated_at=article.updated_at or now), article.updated_at is not None)


def _entries(values: dict[str, Any]) -> list[Any]:
    """Return the list of articles in a batch. Raises Problem for any other body."""
    entries = values.get("articles")
    if not isinstance(entries, list) or len(entries) > MAX_ARTICLES:
        shown = f"a list of {len(entries)}" if isinstance(entries, list) else _shown(entries)
        raise bad_body([Fault("body", "articles", shown, f"a list of up to {MAX_ARTICLES} articles")])
    if extra := [name for name in values if name != "articles"]:
        raise bad_body([Fault("body", name, _shown(values[name]), "only `articles`") for name in extra[:10]])
    return entries


def _shown(value: object) -> str | None:
    return value if isinstance(value, str) else None if value is None else str(to_bytes(value), "utf-8")


def _fault(error: RefusedError, values: dict[str, Any]) -> Fault:
    name = error.reason.split(":")[0]
    name = name if name in COLUMNS or name in values else "article"
    return Fault("body", name, _shown(values.get(name)), str(error))


def _payload(article: Article, updated: int) -> bytes:
    return replace(article, updated_at=from_microseconds(updated)).to_json().encode()


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(to_bytes(content), status, {"Cache-Control": "no-store"}, content_type="application/json")
