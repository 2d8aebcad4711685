"""Finished responses: what applies to every response applies to those that are served before Flask, too."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import EnvironBuilder

from recommender.serving.http.auth import new_key
from recommender.serving.http.concurrency import ComputingLimit
from tests.support.service import ServiceUnderTest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEY, KEY_SETTING = new_key("cms", ["articles", "rules"])
READ_KEY, READ_SETTING = new_key("desk", ["read"])
LIST, PAGE = "/v1/related?id=9", "/v1/page/9"
READER = {"REMOTE_ADDR": "198.51.100.7"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class CountedService(ServiceUnderTest):
    """A service that counts the requests that Flask gets."""

    def __init__(self, models_dir: Path, **settings: Any) -> None:
        super().__init__(models_dir, write_keys=KEY_SETTING, **settings)
        self.by_flask = 0
        layer: Any = self.app.wsgi_app
        flask: WSGIApplication = layer.app

        def counting(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            self.by_flask += 1
            return flask(environ, start_response)

        layer.app = counting


Create = Callable[..., CountedService]


@pytest.fixture
def service_with(models_dir: Path) -> Iterator[Create]:
    with ExitStack() as stack:

        def create(**settings: Any) -> CountedService:
            service = CountedService(models_dir, **settings)
            stack.callback(service.close)
            return service

        yield create


@pytest.fixture
def service(service_with: Create) -> CountedService:
    return service_with()


def test_a_cached_response_is_served_without_flask(service: CountedService) -> None:
    for target in (LIST, PAGE, "/v1/trending", "/v1/search?q=storm", "/v1/articles", "/v1/topics"):
        first, service.by_flask = service.client.get(target), 0

        second = service.client.get(target)

        assert (second.status, second.data, service.by_flask) == ("200 OK", first.data, 0), target


def test_a_response_without_a_body_is_not_stored_for_those_who_get_one(service: CountedService) -> None:
    for method, headers in (("HEAD", {}), ("GET", {"If-Match": '"other"'}), ("OPTIONS", {})):
        service.client.open(LIST, method=method, headers=headers)

        response = service.client.get(LIST)

        assert (response.status_code, response.get_json()["article_id"]) == (200, "9"), method


def test_a_client_that_has_the_response_gets_304_without_flask(service: CountedService) -> None:
    etag = service.client.get(PAGE).headers["ETag"]
    service.by_flask = 0

    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = service.client.get(PAGE, headers={"If-None-Match": condition})

        assert (response.status_code, response.data) == (304, b"")
        assert "Content-Type" not in response.headers
    assert service.client.get(PAGE, headers={"If-None-Match": '"other"'}).status_code == 200
    assert service.by_flask == 0


def test_a_client_that_has_the_response_needs_no_flask_even_if_nobody_else_asks(
    service: CountedService,
) -> None:
    headers = {"If-None-Match": "*"}
    service.client.get(PAGE, headers=headers)
    service.by_flask = 0

    assert service.client.get(PAGE, headers=headers).status_code == 304
    assert service.by_flask == 0
    assert service.client.get(PAGE).get_json()["article"]["id"] == "9"


def test_compressed_and_plain_responses_are_kept_apart(service: CountedService) -> None:
    plain = service.client.get(PAGE)
    service.client.get(PAGE, headers={"Accept-Encoding": "br, gzip"})
    service.by_flask = 0

    again = service.client.get(PAGE)
    compressed = service.client.get(PAGE, headers={"Accept-Encoding": "gzip"})

    assert service.by_flask == 0
    assert again.data == gzip.decompress(compressed.data) == plain.data
    assert (again.headers.get("Content-Encoding"), compressed.headers["Content-Encoding"]) == (None, "gzip")
    assert service.client.get(PAGE, headers={"Accept-Encoding": "gzip;q=0"}).data == plain.data


def test_origins_are_kept_apart_where_only_some_are_allowed(service_with: Create) -> None:
    site, other = "https://www.courier.example", "https://elsewhere.example"
    service = service_with(cors_origins=site)
    for _ in range(2):
        for origin, allowed in ((site, site), (other, None), (None, None)):
            headers = {"Origin": origin} if origin else {}

            response = service.client.get(LIST, headers=headers)

            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in response.headers["Vary"]
    assert service.by_flask == 2


def test_head_and_options_and_conditional_changes_are_left_to_flask(service: CountedService) -> None:
    whole = service.client.get(LIST)

    head, options = service.client.head(LIST), service.client.options(LIST)
    failed = service.client.get(LIST, headers={"If-Match": '"other"'})

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole.data))
    assert options.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert failed.status_code == 412


def test_each_response_has_its_own_request_id_or_that_of_the_client(service: CountedService) -> None:
    responses = [service.client.get(LIST) for _ in range(3)]
    named = service.client.get(LIST, headers={"X-Request-ID": "cms-17"})
    unsafe = service.client.get(LIST, headers={"X-Request-ID": "<b>"})

    ids = [response.headers.get_all("X-Request-ID") for response in (*responses, named, unsafe)]
    assert [len(values) for values in ids] == [1] * 5
    assert len({values[0] for values in ids}) == 5
    assert ids[3] == ["cms-17"]
    assert len(ids[4][0]) == 32


def test_responses_are_counted(service: CountedService) -> None:
    for condition in ("", "", "", "*", "*"):
        service.client.get(LIST, headers={"If-None-Match": condition} if condition else {})

    families = text_string_to_metric_families(service.client.get("/metrics").text)
    counts = {
        tuple(sample.labels[name] for name in ("call", "status", "origin")): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "recommender_answers_total"
    }
    assert counts == {
        ("related", "200", "computed"): 1,
        ("related", "200", "finished"): 2,
        ("related", "304", "finished"): 2,
    }
    assert service.by_flask == 2  # the first request, and that of the metrics


def test_security_and_cache_headers_are_those_of_flask(service: CountedService) -> None:
    headers = {"X-Request-ID": "same", "Accept-Encoding": "gzip"}
    first, second = (service.client.get(PAGE, headers=headers) for _ in range(2))

    assert service.by_flask == 1
    assert set(second.headers) == {header for header in first.headers if header[0] != "Date"}
    assert second.headers["X-Content-Type-Options"] == "nosniff"


def test_an_address_is_limited(service_with: Create) -> None:
    service = service_with(address_read_limit="5/hour")

    responses = [service.client.get(LIST, environ_overrides=READER) for _ in range(7)]

    assert [response.status_code for response in responses] == [200] * 5 + [429] * 2
    assert responses[-1].get_json()["type"] == "rate-limited"
    assert int(responses[-1].headers["Retry-After"]) >= 1
    assert service.client.get(LIST, environ_overrides={"REMOTE_ADDR": "198.51.100.8"}).status_code == 200


def test_each_address_behind_a_declared_proxy_is_limited(service_with: Create) -> None:
    service = service_with(address_read_limit="3/hour", trusted_proxies="127.0.0.1")

    statuses = [
        service.client.get(LIST, headers={"X-Forwarded-For": f"198.51.100.{number % 4}"}).status_code
        for number in range(16)
    ]

    assert statuses == [200] * 12 + [429] * 4


def test_reading_needs_a_key_if_keys_are_configured(service_with: Create) -> None:
    service = service_with(read_keys=READ_SETTING)
    allowed = [service.client.get(LIST, headers=bearer(READ_KEY)) for _ in range(2)]
    service.by_flask = 0

    refused = [service.client.get(LIST, headers=headers) for headers in ({}, bearer("no"), bearer(KEY))]

    assert [response.status_code for response in refused] == [401, 403, 403]
    assert all(b'"items"' not in response.data for response in refused)
    assert [response.headers["Cache-Control"] for response in allowed] == ["private, no-cache"] * 2
    assert "Authorization" in allowed[1].headers["Vary"]


def test_a_refused_request_is_counted_once(service_with: Create) -> None:
    service = service_with(read_keys=READ_SETTING, address_limit="2/hour")
    service.client.get(LIST, headers=bearer(READ_KEY))

    refused = [service.client.get(LIST, headers=bearer("no")).status_code for _ in range(3)]

    assert refused == [403, 403, 429]


def test_a_cached_response_waits_for_no_computing(service: CountedService) -> None:
    service.client.get(LIST)
    layer: Any = service.app.wsgi_app
    computing: ComputingLimit = layer._cache.computing

    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(computing.turn(1))

        assert service.client.get(LIST).status_code == 200


def test_a_withdrawn_article_is_gone_at_once(service: CountedService) -> None:
    listed = service.client.get(LIST).get_json()["items"][0]["id"]
    targets = (LIST, PAGE, f"/v1/page/{listed}", f"/v1/related?id={listed}")
    for target in (*targets, *targets):
        service.client.get(target)

    assert service.client.delete(f"/v1/articles/{listed}", headers=bearer(KEY)).status_code == 204

    responses = [service.client.get(target) for target in targets]
    assert [response.status_code for response in responses] == [200, 200, 410, 410]
    assert all(f'"id":"{listed}"' not in response.text for response in responses[:2])


def test_a_change_that_leaves_a_list_as_it_is_leaves_its_finished_response(service: CountedService) -> None:
    target, other = "/v1/related?id=9&limit=2", {"title": "Zzyzx", "body": "qwertz asdfgh", "lang": "en"}
    service.client.put("/v1/article?id=other", json=other, headers=bearer(KEY))
    before = service.client.get(target)

    answer = service.client.put("/v1/article?id=other", json=other | {"title": "Asdfgh"}, headers=bearer(KEY))
    # The first list after a change prepares the next ones.
    assert service.client.get("/v1/related?id=8").status_code == 200
    service.by_flask = 0
    after = service.client.get(target)

    assert answer.get_json()["applied"]
    assert (after.status_code, after.data, service.by_flask) == (200, before.data, 0)


@pytest.mark.parametrize("limit", [2, 5])  # the shorter one is too short to compress
@pytest.mark.parametrize("accepting", [{}, {"Accept-Encoding": "gzip"}])
def test_a_list_with_another_date_and_count_is_served_without_flask(
    service: CountedService, limit: int, accepting: dict[str, str]
) -> None:
    target, same = f"/v1/related?id=9&limit={limit}", f"/v1/related?limit={limit}&id=9"
    before = service.client.get(target, headers=accepting)
    other = {"title": "Zzyzx", "body": "qwertz asdfgh", "lang": "en", "published_at": service.now.isoformat()}
    assert service.client.put("/v1/article?id=other", json=other, headers=bearer(KEY)).status_code == 201
    assert service.client.get("/v1/related?id=8").status_code == 200  # prepares the next ones
    service.by_flask = 0

    after, again = (service.client.get(target, headers=accepting) for _ in range(2))
    known = service.client.get(target, headers=accepting | {"If-None-Match": after.headers["ETag"]})
    outdated = service.client.get(target, headers=accepting | {"If-None-Match": before.headers["ETag"]})

    assert service.by_flask == 0
    assert after.headers.get("Content-Encoding") == ("gzip" if accepting and limit == 5 else None)
    assert (known.status_code, outdated.status_code) == (304, 200)
    by_flask = service.client.get(same, headers=accepting)
    assert service.by_flask == 1
    assert after.data == again.data == outdated.data == by_flask.data != before.data
    assert known.headers["ETag"] == by_flask.headers["ETag"]
    differing = dict.fromkeys(("X-Request-ID", "Date"))
    assert dict(after.headers) | differing == dict(by_flask.headers) | differing
    assert service.client.get(target).data == service.client.get(same).data


def test_flask_finds_out_what_a_change_concerns_because_that_takes_time(service: CountedService) -> None:
    for _ in range(2):
        service.client.get(LIST)
    other = {"title": "Zzyzx", "body": "qwertz asdfgh", "lang": "en"}
    service.client.put("/v1/article?id=other", json=other, headers=bearer(KEY))
    context = service.app.extensions["recommender"]
    context.view()
    layer: Any = service.app.wsgi_app
    environ = EnvironBuilder(LIST, headers=[("Host", "localhost")]).get_environ()

    assert context.view_at_once() is not None
    with ThreadPoolExecutor(1) as pool, layer._cache._generations._lock:  # another request is finding out
        assert pool.submit(layer.answer, environ).result(5) is None

    assert service.client.get(LIST).status_code == 200
    assert layer.answer(environ) is not None


def test_nothing_is_served_while_withdrawals_are_unknown(service: CountedService) -> None:
    follower = service.app.extensions["recommender"].follower
    for _ in range(2):
        assert service.client.get(LIST).status_code == 200

    follower.state = replace(follower.state, is_known=False)

    refused = service.client.get(LIST)
    assert (refused.status_code, refused.get_json()["type"]) == (503, "store-down")


def test_ranks_of_the_last_minute_are_not_served(service: CountedService) -> None:
    first = service.client.get(PAGE)
    service.now += timedelta(minutes=1)

    second = service.client.get(PAGE)

    assert first.get_json()["trending"]["as_of"] < second.get_json()["trending"]["as_of"]


def test_what_may_appear_at_any_moment_is_not_kept(service: CountedService) -> None:
    targets = ("/v1/related?id=new&unknown=fallback", "/v1/related?id=new", "/v1/related/batch?id=9&id=new")
    for target in targets:
        for _ in range(2):
            assert service.client.get(target).headers["Cache-Control"] == "no-store"

    assert service.by_flask == 2 * len(targets)


def test_a_full_cache_forgets_finished_responses(service_with: Create) -> None:
    service = service_with(cache_bytes=20_000)
    for limit in (1, 2, 3, 4, 5, 6, 7, 8, 9, 1):
        assert service.client.get(f"/v1/related?id=9&limit={limit}").get_json()["requested"] == limit

    assert service.by_flask == 10


def test_the_path_and_query_are_compared_unchanged(service: CountedService) -> None:
    plain = service.client.get("/v1/related?id=9&limit=3")
    for target in ("/v1/related?limit=3&id=9", "/v1/related?id=%39&limit=3", "/v1/related?id=9&limit=2"):
        service.client.get(target)

    again = service.client.get("/v1/related?id=9&limit=3")

    assert service.by_flask == 4
    assert again.data == plain.data
