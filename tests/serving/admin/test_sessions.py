"""Sign-in to the admin page: who gets in, for how long, and what other sites cannot do."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from recommender.serving.http.auth import new_key
from recommender.serving.store import StoreDownError
from tests.support.admin import KEY, SETTING, AdminUnderTest
from tests.support.newsroom import NOW

WRITE_KEY, WRITE_SETTING = new_key("cms", ["articles", "rules", "events", "read"])
PAGES = ("/admin", "/admin/", "/admin/rules", "/admin/search?q=storm", "/admin/article?id=9")
FORMS = ("/admin/article?id=9", "/admin/rules", "/admin/sign-out")


@pytest.fixture
def admin(models_dir: Path) -> AdminUnderTest:
    return AdminUnderTest(models_dir, write_keys=f"{SETTING} {WRITE_SETTING}")


def test_every_page_needs_a_session_also_on_the_own_machine(admin: AdminUnderTest) -> None:
    for path in PAGES:
        anonymous = admin.fresh_client().get(path)  # from 127.0.0.1
        assert (anonymous.status_code, anonymous.headers["Cache-Control"]) == (401, "no-store")
        assert "Storm" not in anonymous.text
        assert admin.fresh_client().get(path, headers=bearer(WRITE_KEY)).status_code == 403
        assert admin.fresh_client().get(path, headers=bearer(KEY)).status_code == 200
    admin.sign_in()
    for path in PAGES:
        page = admin.client.get(path)
        assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
        assert "script-src" not in page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "<script" not in page.text
        assert " style=" not in page.text


def test_another_key_starts_no_session(admin: AdminUnderTest) -> None:
    for key in ("", "guess", WRITE_KEY, SETTING, "\x00é🗞"):
        refused = admin.sign_in(key)
        assert refused.status_code == 403
        assert "Set-Cookie" not in refused.headers
        assert not key or key not in refused.text
    assert admin.client.get("/admin/").status_code == 401


def test_without_a_key_of_the_scope_nobody_gets_in(models_dir: Path) -> None:
    client = AdminUnderTest(models_dir, write_keys=WRITE_SETTING).client

    for response in (
        client.get("/admin/"),
        client.get("/admin/", headers=bearer(WRITE_KEY)),
        client.post("/admin/sign-in", data={"key": WRITE_KEY}),
    ):
        assert response.status_code == 403
        assert "recommender key NAME --scopes admin" in response.text
        assert "<form" not in response.text


def test_the_cookie_is_hidden_from_scripts_and_other_sites(admin: AdminUnderTest) -> None:
    plain = admin.sign_in().headers["Set-Cookie"]
    encrypted = admin.sign_in(headers={"Origin": "https://www.courier.example"}).headers["Set-Cookie"]

    assert KEY not in plain
    assert admin.form_token() not in encrypted
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/admin", "Max-Age=28800"):
        assert attribute in plain
    assert "Secure" in encrypted
    assert "Secure" not in plain


@pytest.mark.parametrize("hours", [8, 12])  # the second is after midnight, when there is another salt
def test_a_session_ends(admin: AdminUnderTest, hours: int) -> None:
    admin.sign_in()
    admin.now = NOW + timedelta(hours=hours) - timedelta(seconds=40)
    before = admin.client.get("/admin/").status_code
    admin.now = NOW + timedelta(hours=hours)

    assert before == (200 if hours == 8 else 401)
    assert admin.client.get("/admin/").status_code == 401


def test_a_session_ends_with_its_key_and_is_valid_in_other_workers(
    admin: AdminUnderTest, models_dir: Path
) -> None:
    _, setting = new_key("desk", ["admin"])  # of the same name
    cookie = admin.cookie_of(admin.sign_in())

    def status(write_keys: str) -> int:
        client = AdminUnderTest(models_dir, write_keys=write_keys).fresh_client(use_cookies=False)
        return client.get("/admin/rules", headers={"Cookie": cookie}).status_code

    assert status(f"{setting} {SETTING}") == 200
    assert status(setting) == 401


def test_an_altered_cookie_is_refused(admin: AdminUnderTest) -> None:
    name, _, value = admin.cookie_of(admin.sign_in()).partition("=")
    ends, nonce, rest = value.split(":")
    altered = ["", "x", value[:-1], f"{value}x", f"{int(ends) + 1}:{nonce}:{rest}", "é", f"{value}.", "a.b"]

    client = admin.fresh_client(use_cookies=False)
    for text in altered:
        assert client.get("/admin/rules", headers={"Cookie": f"{name}={text}"}).status_code == 401, text
    assert client.get("/admin/rules", headers={"Cookie": f"{name}={value}"}).status_code == 200


def test_a_form_needs_the_token_of_its_session(admin: AdminUnderTest) -> None:
    rule = {"rule_id": "x", "action": "block", "reason": "r", "author": "a", "rule": "hush"}
    other = AdminUnderTest(admin.models_dir, write_keys=SETTING)
    other.sign_in()
    assert {admin.client.post(path, data=rule).status_code for path in FORMS} == {401}
    admin.sign_in()
    sent = rule | {"form_token": admin.form_token()}

    for path in FORMS:
        for wrong in ({}, {"form_token": ""}, {"form_token": other.form_token()}, {"form_token": "é"}):
            assert admin.client.post(path, data=rule | wrong).status_code == 403
        cross_site = {"Sec-Fetch-Site": "cross-site"}
        assert admin.client.post(path, data=sent, headers=cross_site).status_code == 403
    assert admin.rules() == []
    assert {admin.client.post(path, data=sent).status_code for path in FORMS} == {303}


def test_another_site_cannot_sign_anybody_in(admin: AdminUnderTest) -> None:
    refused = admin.sign_in(headers={"Sec-Fetch-Site": "cross-site"})

    assert refused.status_code == 403
    assert "Set-Cookie" not in refused.headers


def test_signing_out_ends_the_session(admin: AdminUnderTest) -> None:
    admin.sign_in()
    admin.client.post("/admin/sign-out", data={"form_token": admin.form_token()})

    assert admin.client.get("/admin/").status_code == 401


def test_without_the_database_a_new_session_is_refused_and_a_running_one_goes_on(
    admin: AdminUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = AdminUnderTest(admin.models_dir, write_keys=SETTING)
    admin.sign_in()

    def fail(*_: Any) -> bytes:
        raise StoreDownError("it is down")

    for each in (admin, fresh):
        monkeypatch.setattr(each.store, "salt", fail)

    assert admin.client.get("/admin/").status_code == 200
    assert fresh.sign_in().status_code == 503


def test_the_style_sheet_needs_no_session(client: FlaskClient) -> None:
    with client.get("/admin/static/admin.css") as response:
        assert response.status_code == 200


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
