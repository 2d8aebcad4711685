"""Related lists in the JSON formats that other services document."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from recommender.artifact import publish
from recommender.serving.app import create_app
from recommender.serving.http.auth import new_key
from recommender.settings import Settings, SettingsError
from tests.support.newsroom import NOW, build_model, newsroom

STORY = "https://www.courier.example/storm-8/"
# The field names and types that the documentation of each service promises to clients.
WORDPRESS_POST = {
    "id": int,
    "date": str,
    "slug": str,
    "type": str,
    "link": str,
    "title": {"rendered": str},
    "excerpt": {"rendered": str, "protected": bool},
    "author": int,
    "featured_media": int,
    "score": float,
}
JETPACK = {
    "version": str,
    "show_thumbnails": bool,
    "show_date": bool,
    "show_context": bool,
    "layout": str,
    "headline": str,
    "items": list,
}
JETPACK_ITEM = {
    "id": int,
    "url": str,
    "url_meta": {"origin": int, "position": int},
    "title": str,
    "date": str,
    "format": bool,
    "excerpt": str,
    "rel": str,
    "context": str,
    "img": {"alt_text": str, "src": str, "width": int, "height": int},
    "classes": list,
}
PARSELY = {"data": list, "meta": dict, "links": dict, "success": bool}
PARSELY_POST = {
    "title": str,
    "url": str,
    "link": str,
    "author": str,
    "authors": list,
    "section": str,
    "tags": list,
    "pub_date": str,
    "image_url": str,
    "thumb_url_medium": str,
    "metadata": str,
    "full_content_word_count": int,
}
GORSE_SCORE = {"Id": str, "Score": float}


def shape(value: Any) -> Any:
    """Return the names of an object with the types of their values."""
    return (
        {name: shape(item) for name, item in value.items()}
        if isinstance(value, dict) and value
        else type(value)
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose articles have decimal ids, as in WordPress."""
    folder = tmp_path_factory.mktemp("models")
    articles = [
        replace(
            article,
            id=str(100 + number),
            url=f"https://www.courier.example/storm-{number}/",
            title=f"{article.title} & more",
            image_url=f"https://www.courier.example/{number}.jpg",
            tags=("Weather",),
            authors=("Ana Reyes", "B. Oduya"),
        )
        for number, article in enumerate(newsroom())
    ]
    publish(build_model(articles), folder, now=NOW)
    return folder


def serving(models: Path, drop_in: str, **options: Any) -> FlaskClient:
    settings = Settings.read(models_dir=models, drop_in=drop_in, live_poll_seconds=0, **options)
    return create_app(settings, clock=lambda: NOW).test_client()


@pytest.fixture(scope="module")
def client(models: Path) -> FlaskClient:
    return serving(models, "yarpp jetpack parsely gorse")


def ours(client: FlaskClient, query: str = "id=108&limit=9") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"/v1/related?{query}").get_json()["items"]
    return items


PATHS = {
    "yarpp": "/wp-json/yarpp/v1/related/108",
    "jetpack": "/storm-8/?relatedposts=1",
    "parsely": "/v2/related?url=https://www.courier.example/storm-8/",
    "gorse": "/api/item/108/neighbors",
}


@pytest.mark.parametrize("name", PATHS)
def test_an_endpoint_exists_only_if_the_setting_names_its_service(models: Path, name: str) -> None:
    others = " ".join(service for service in PATHS if service != name)

    assert serving(models, others).get(PATHS[name]).status_code == 404
    assert serving(models, name).get(PATHS[name]).status_code == 200


def test_an_unknown_service_is_rejected() -> None:
    with pytest.raises(SettingsError, match="allowed: yarpp, jetpack, parsely, gorse"):
        Settings.read(drop_in="outbrain")


def test_yarpp_returns_wordpress_posts_with_a_score(client: FlaskClient) -> None:
    posts = client.get("/wp-json/yarpp/v1/related/108?limit=4").get_json()

    assert [shape(post) for post in posts] == [WORDPRESS_POST] * 4
    assert [str(post["id"]) for post in posts] == [item["id"] for item in ours(client)[:4]]
    first = posts[0]
    assert first["title"]["rendered"] == "Storm inquiry opens &amp; more"
    assert first["slug"] == "storm-13"
    assert first["date"] == "2026-03-01T12:00:20"
    assert first["score"] == ours(client)[0]["score"]


def test_yarpp_returns_only_the_requested_fields_and_embeds(client: FlaskClient) -> None:
    target = "/wp-json/yarpp/v1/related/108?limit=1&context=view&_fields=id,title,_embedded&_embed=1"

    post = client.get(target).get_json()[0]

    assert set(post) == {"id", "title", "_embedded"}
    embedded = post["_embedded"]
    assert embedded["wp:featuredmedia"][0]["source_url"] == "https://www.courier.example/13.jpg"
    terms = [(term["taxonomy"], term["slug"]) for terms in embedded["wp:term"] for term in terms]
    assert terms == [("category", "environment"), ("post_tag", "weather")]


def test_yarpp_returns_404_for_an_unknown_post(client: FlaskClient) -> None:
    response = client.get("/wp-json/yarpp/v1/related/4711")

    assert response.status_code == 404
    assert response.get_json()["code"] == "rest_post_invalid_id"
    assert response.headers["Cache-Control"] == "no-store"


def test_jetpack_responds_at_the_url_of_the_post(client: FlaskClient) -> None:
    response = client.get("/storm-8/?relatedposts=1", headers={"Host": "www.courier.example"}).get_json()

    assert shape(response) == JETPACK
    assert [shape(item) for item in response["items"]] == [JETPACK_ITEM] * 3
    assert [str(item["id"]) for item in response["items"]] == [item["id"] for item in ours(client)[:3]]
    first = response["items"][0]
    assert first["url_meta"] == {"origin": 108, "position": 0}
    assert first["date"] == "March 1, 2026"
    assert first["context"] == 'In "Environment"'
    assert first["excerpt"].startswith("The storm surge flooded the marsh")


def test_jetpack_excludes_posts_that_the_page_shows_already(client: FlaskClient) -> None:
    target = f"/?relatedposts=1&url={quote(STORY)}&relatedposts_exclude=113,109"

    response = client.get(target).get_json()

    expected = ours(client, "id=108&limit=3&exclude=113&exclude=109")
    assert [str(item["id"]) for item in response["items"]] == [item["id"] for item in expected]


@pytest.mark.parametrize("path", ["/storm-8/", "/v1/nothing", "/feed/"])
def test_jetpack_requires_the_parameter_relatedposts(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response.get_json()["type"] == "not-found"


@pytest.mark.parametrize("version", ["v1", "v1.1"])
@pytest.mark.parametrize("body", [{"data": {"size": "4", "filter[and]": "x"}}, {"json": {"size": 4}}])
def test_jetpack_gets_ids_and_scores_at_the_path_of_wordpress_com(
    client: FlaskClient, version: str, body: dict[str, Any]
) -> None:
    address = f"/rest/{version}/sites/82974409/posts/108/related"

    response = client.post(address, **body).get_json()

    scores = [item["score"] or 0.0 for item in ours(client)[:4]]
    assert shape(response) == {"total": int, "max_score": float, "hits": list}
    assert response["max_score"] == max(scores)
    assert response["hits"] == [
        {"_score": score, "fields": {"post_id": int(item["id"]), "blog_id": 82974409}}
        for score, item in zip(scores, ours(client)[:4], strict=True)
    ]
    assert client.post(f"{address}/", **body).get_json() == response


def test_endpoints_of_other_services_require_a_key_if_reading_does(models: Path) -> None:
    settings = Settings.read(
        models_dir=models, drop_in="yarpp jetpack", read_keys=new_key("site", ["read"])[1]
    )
    client = create_app(settings, clock=lambda: NOW).test_client()

    assert client.get("/wp-json/yarpp/v1/related/108").status_code == 401
    assert client.post("/rest/v1.1/sites/1/posts/108/related").status_code == 401
    for path in ("/storm-8/", "/demo/storm", "/docs/storm"):  # a post may have any path
        assert client.get(f"{path}?relatedposts=1&url={STORY}").status_code == 401


def test_jetpack_gets_no_hits_for_an_unknown_post_and_an_error_for_an_invalid_size(
    client: FlaskClient,
) -> None:
    address = "/rest/v1.1/sites/example.org/posts/4711/related"

    assert client.post(address).get_json() == {"total": 0, "max_score": 0.0, "hits": []}
    assert client.post(address, json={"size": "many"}).status_code == 400
    assert client.post(address, data=b"{", content_type="application/json").status_code == 400
    assert client.post(address, data={"size": "5" * 2_000_000}).status_code == 413


def test_jetpack_returns_an_empty_list_for_an_unknown_post(client: FlaskClient) -> None:
    response = client.get("/?relatedposts=1&url=https://www.courier.example/lost/")

    assert (response.status_code, response.get_json()["items"]) == (200, [])
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/v2/related", "/related"])
def test_parsely_returns_posts_in_its_envelope(client: FlaskClient, path: str) -> None:
    target = f"{path}?apikey=courier.example&limit=4&boost=views&url=https://www.courier.example/storm-8/"

    response = client.get(target).get_json()

    assert shape(response) == PARSELY | {"meta": dict, "links": dict}
    assert [shape(post) for post in response["data"]] == [PARSELY_POST] * 4
    assert [post["url"] for post in response["data"]] == [item["url"] for item in ours(client)[:4]]
    first = response["data"][0]
    assert (first["author"], first["authors"]) == ("Ana Reyes, B. Oduya", ["Ana Reyes", "B. Oduya"])
    assert first["pub_date"] == "2026-03-01T12:00:20"


def test_parsely_pages_filters_and_sorts(client: FlaskClient) -> None:
    target = "/v2/related?url=https://www.courier.example/storm-8/&limit=2"

    def urls(more: str) -> list[str]:
        return [post["url"] for post in client.get(target + more).get_json()["data"]]

    expected = [item["url"] for item in ours(client)]
    assert urls("&page=2") == expected[2:4]
    assert urls("&section=Politics") == [
        item["url"] for item in ours(client, "id=108&limit=2&category=Politics")
    ]
    assert urls("&section=Sport") == []
    assert urls("&pub_date_start=7d") == [
        item["url"] for item in ours(client, "id=108&limit=2&max_age_days=7")
    ]
    assert urls("&pub_date_end=2026-02-10") == [
        item["url"] for item in ours(client, "id=108&limit=2&published_before=2026-02-10")
    ]
    newest_first = client.get(target + "&sort=pub_date").get_json()["data"]
    dates = [post["pub_date"] for post in newest_first]
    assert dates == sorted(dates, reverse=True)


def test_parsely_returns_the_newest_articles_for_an_unknown_url(client: FlaskClient) -> None:
    posts = client.get("/v2/related?uuid=somebody&limit=2").get_json()["data"]

    newest = client.get("/v1/articles?limit=2").get_json()["items"]
    assert [post["url"] for post in posts] == [item["url"] for item in newest]


def test_gorse_returns_ids_and_scores(client: FlaskClient) -> None:
    scores = client.get("/api/item/108/neighbors?n=3", headers={"X-API-Key": "any"}).get_json()

    assert [shape(score) for score in scores] == [GORSE_SCORE] * 3
    assert scores == [{"Id": item["id"], "Score": item["score"] or 0.0} for item in ours(client)[:3]]


def test_gorse_supports_an_offset_and_a_category(client: FlaskClient) -> None:
    second_page = client.get("/api/item/108/neighbors?n=2&offset=2").get_json()
    political = client.get("/api/item/108/neighbors/Politics?n=2").get_json()

    assert [score["Id"] for score in second_page] == [item["id"] for item in ours(client)[2:4]]
    expected = ours(client, "id=108&limit=2&category=Politics")
    assert [score["Id"] for score in political] == [item["id"] for item in expected]


@pytest.mark.parametrize("item", ["4711", "..", "108/neighbors/Sport"])
def test_gorse_returns_no_neighbors_of_an_unknown_item(client: FlaskClient, item: str) -> None:
    path = f"/api/item/{item}" if "/" in item else f"/api/item/{item}/neighbors"

    response = client.get(path)

    assert (response.status_code, response.get_json()) == (200, [])
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "address",
    [
        "/wp-json/yarpp/v1/related/108?limit=21",
        "/storm-8/?relatedposts=1&size=0",
        "/v2/related?limit=many",
        "/v2/related?pub_date_start=soon",
        "/api/item/108/neighbors?n=-1",
    ],
)
def test_an_invalid_number_or_date_is_rejected(client: FlaskClient, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 400
    assert response.get_json()["type"] == "bad-parameter"


@pytest.mark.parametrize("address", PATHS.values())
def test_a_response_is_cached_like_a_related_list(client: FlaskClient, address: str) -> None:
    first = client.get(address, headers={"Host": "www.courier.example"})

    assert "s-maxage" in first.headers["Cache-Control"]
    headers = {"Host": "www.courier.example", "If-None-Match": first.headers["ETag"]}
    assert client.get(address, headers=headers).status_code == 304


@pytest.mark.parametrize(
    "address",
    [
        "/api/item/%00/neighbors",
        "/api/item/a/related/neighbors?n=50&offset=1000",
        "/wp-json/yarpp/v1/related/%2F?_fields=,,&_embed",
        "/%E6%97%A5?relatedposts=1&relatedposts_exclude=,108,",
        "/?relatedposts=1&url=http://[",
        "/?relatedposts=1&url=http://x:y/z",
        "/?relatedposts&url=javascript:alert(1)",
        "/v2/related?url=//&page=1000&limit=50",
        "/v2/related?pub_date_start=99999d&url=%F0%9F%97%9E",
        "/v2/related?section=" + "x" * 200,
    ],
)
def test_unusual_requests_get_a_json_response(client: FlaskClient, address: str) -> None:
    for host in ("www.courier.example", "[::1", "a b", ""):
        response = client.get(address, headers={"Host": host})

        assert response.status_code in {200, 400, 404}, (host, response.text)
        assert response.is_json


ALL_LISTS = [
    "/wp-json/yarpp/v1/related/108?limit=20",
    "/?relatedposts=1&size=20&url=https://www.courier.example/storm-8/",
    "/v2/related?limit=50&url=https://www.courier.example/storm-8/",
    "/v2/related?limit=50&url=https://www.courier.example/unheard",
    "/v2/related?limit=50&section=Environment&url=https://www.courier.example/storm-8/",
    "/api/item/108/neighbors?n=50",
    "/api/item/108/neighbors/economy-business?n=50",
    "/rest/v1.1/sites/7/posts/108/related",
]
ENVIRONMENT = {"109", "110", "112", "113"}  # and 108, the article itself
BUSINESS = {"100", "101", "102"}


def listed(client: FlaskClient, address: str) -> set[str]:
    """Return the ids of the articles in a response, which names them by id or by URL."""
    response = client.post(address, json={"size": 20}) if "/rest/" in address else client.get(address)
    assert response.status_code == 200, response.text
    ids = re.findall(r'"(?:id|Id|post_id)":"?(1[0-9][0-9])\b', response.text)
    return {*ids, *(str(100 + int(n)) for n in re.findall(r"/storm-([0-9]+)/", response.text))} - {"108"}


@pytest.mark.parametrize(
    ("setting", "hidden"),
    [
        ("environment", ENVIRONMENT),
        ('"ECONOMY & BUSINESS"', BUSINESS),
        ('environment, "Economy & Business" environment', ENVIRONMENT | BUSINESS),
        ("gardening", set()),
        (" ".join(f"paid-{number}" for number in range(200)) + " Environment", ENVIRONMENT),
    ],
)
def test_no_drop_in_response_contains_an_excluded_category(
    models: Path, client: FlaskClient, setting: str, hidden: set[str]
) -> None:
    with_setting = serving(models, "yarpp jetpack parsely gorse", drop_in_exclude_category=setting)

    for address in ALL_LISTS:
        before = listed(client, address)
        assert before
        assert listed(with_setting, address) == before - hidden
    assert with_setting.get("/v1/related?id=108").json == client.get("/v1/related?id=108").json


def test_a_category_of_the_setting_is_hidden_as_soon_as_an_article_has_it(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, word = new_key("cms", ["articles"])
    with_setting = serving(
        models,
        "gorse parsely",
        drop_in_exclude_category="Sponsored",
        write_keys=word,
        database_url=f"sqlite:///{tmp_path / 'live.db'}",
        state_file=tmp_path / "state.json",
    )
    listed(with_setting, ALL_LISTS[5])
    listed(with_setting, ALL_LISTS[5])
    article = {
        "title": "Storm sale",
        "categories": ["sponsored"],
        "url": "https://www.courier.example/storm-99/",
    }

    put = with_setting.put("/v1/articles/199", json=article, headers={"Authorization": f"Bearer {key}"})

    assert put.status_code == 201
    assert "199" in with_setting.get("/v1/related?id=108&limit=50").text
    assert not any("199" in listed(with_setting, address) for address in (ALL_LISTS[2], ALL_LISTS[5]))
    assert caplog.text.count("no article has the category 'Sponsored' yet") == 1
