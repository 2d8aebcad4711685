"""A WordPress REST API whose posts and failures the tests choose."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request, Response

Spoil = Callable[[Request], Response | None]


@dataclass
class FakeWordPress:
    """Posts by id, and the requests received; `spoil` may answer instead of the site."""

    posts: dict[int, dict[str, Any]] = field(default_factory=dict)
    terms: dict[str, dict[int, str]] = field(default_factory=lambda: {"categories": {}, "tags": {}})
    asked: list[Request] = field(default_factory=list)
    spoil: Spoil = lambda _: None
    url: str = ""

    def add(self, post_id: int, **fields: Any) -> None:
        """Add a published post."""
        post = {
            "id": post_id, "type": "post", "status": "publish", "link": f"{self.url}/{post_id}/",
            "date_gmt": "2026-02-01T09:00:00", "modified_gmt": "2026-02-01T10:00:00",
            "title": {"rendered": f"Story {post_id}"}, "categories": [], "tags": [],
            "content": {"rendered": f"<p>What happened, number {post_id}.</p>", "protected": False},
        }  # fmt: skip
        self.posts[post_id] = post | fields

    def queries(self, path: str = "/wp-json/wp/v2/posts") -> list[dict[str, str]]:
        """Return the parameters of the requests for a path, in order."""
        return [request.args.to_dict() for request in self.asked if request.path == path]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer a request."""
        request = Request(environ)
        self.asked.append(request)
        return (self.spoil(request) or self._answer(request))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == "/":
            link = f'<{self.url}/wp-json/>; rel="https://api.w.org/"'
            return Response("<html></html>", headers={"Link": link}, content_type="text/html")
        name, _, post_id = request.path.removeprefix("/wp-json/wp/v2/").partition("/")
        if name in self.terms:
            wanted = map(int, request.args["include"].split(","))
            return _json([{"id": term, "name": self.terms[name][term]} for term in wanted])
        if post_id:
            return self._post(int(post_id))
        posts = sorted(self._wanted(request), key=lambda post: int(post["id"]))
        offset, size = int(request.args.get("offset", 0)), int(request.args["per_page"])
        return _json(posts[offset : offset + size], {"X-WP-Total": str(len(posts))})

    def _post(self, post_id: int) -> Response:
        post = self.posts.get(post_id)
        if post is not None and post["status"] == "publish":
            return _json(post)
        code, status = ("rest_post_invalid_id", 404) if post is None else ("rest_forbidden", 401)
        return _json({"code": code, "message": "no", "data": {"status": status}}, status=status)

    def _wanted(self, request: Request) -> Iterator[dict[str, Any]]:
        given = request.args
        ids = {int(post_id) for post_id in given["include"].split(",")} if "include" in given else None
        for post in self.posts.values():
            since = given.get("modified_after"), given.get("after")
            dates = post["modified_gmt"], post["date_gmt"]
            late = all(s is None or f"{d}Z" > s for s, d in zip(since, dates, strict=True))
            if post["status"] == "publish" and late and (ids is None or int(post["id"]) in ids):
                yield post


def _json(answer: Any, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return Response(json.dumps(answer), status, headers, content_type="application/json")
