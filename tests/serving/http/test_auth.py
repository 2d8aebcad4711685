"""API keys and their scopes, client addresses behind proxies, and rate limits."""

from hashlib import sha256
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from recommender.serving.http.auth import Access, Caller, Scope, client_address, new_key
from recommender.serving.http.problems import Problem
from recommender.settings import Settings

KEY, SETTING = new_key("cms", ["articles", "events"])
READ_KEY, READ_SETTING = new_key("desk", ["read"])
PROXIES = tuple(ip_network(network) for network in ("10.0.0.0/8", "fd00::/8"))


def access_with(**settings: Any) -> Access:
    return Access(Settings.read(**{"write_keys": SETTING, "read_keys": READ_SETTING} | settings))


def caller(access: Access, *scopes: Scope, key: str | None = None, anonymous: bool = False) -> Caller:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    with Flask("test").test_request_context(headers=headers, environ_base=environ):
        return access.allow_anonymous(scopes[0]) if anonymous else access.require_key(*scopes)


def refusal(access: Access, *scopes: Scope, key: str | None = None, anonymous: bool = False) -> Problem:
    with pytest.raises(Problem) as refused:
        caller(access, *scopes, key=key, anonymous=anonymous)
    return refused.value


def test_a_key_with_the_scope_is_accepted() -> None:
    assert caller(access_with(), "articles", key=KEY) == Caller("192.0.2.1", "cms")
    assert caller(access_with(), "rules", "read", key=READ_KEY) == Caller("192.0.2.1", "desk")


def test_a_missing_key_is_refused_with_401() -> None:
    problem = refusal(access_with(), "articles")

    assert (problem.kind, problem.status) == ("key-missing", 401)
    assert problem.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    "key",
    ["", "x", KEY[:-1], KEY + "x", KEY.swapcase(), SETTING.split(":")[1], "\udcff", "cms"],
    ids=["none", "letter", "cut", "longer", "other case", "digest", "not UTF-8", "name"],
)
def test_an_invalid_key_is_refused(key: str) -> None:
    assert refusal(access_with(), "articles", key=key).status in {401, 403}
    if key:
        assert refusal(access_with(), "events", key=key, anonymous=True).kind == "key-not-allowed"


def test_a_key_without_the_scope_is_refused() -> None:
    assert refusal(access_with(), "rules", key=KEY).kind == "key-not-allowed"
    assert refusal(access_with(), "articles", key=READ_KEY).kind == "key-not-allowed"


def test_without_configured_keys_every_key_is_refused_and_the_detail_says_how_to_create_one() -> None:
    problem = refusal(access_with(write_keys=""), "articles", key=KEY)

    assert (problem.kind, problem.status) == ("key-not-allowed", 403)
    assert "recommender key NAME --scopes articles" in problem.detail


def test_a_problem_does_not_show_the_key() -> None:
    for key in (KEY, "another"):
        problem = refusal(access_with(), "rules", "read", key=key)

        assert key not in str(problem.as_json("-"))


def test_two_keys_with_the_same_name_are_both_accepted_for_rotation() -> None:
    new, setting = new_key("cms", ["articles"])
    both = access_with(write_keys=f"{SETTING} {setting}")

    assert caller(both, "articles", key=new) == caller(both, "articles", key=KEY)


def test_an_event_needs_no_key() -> None:
    assert caller(access_with(write_keys=""), "events", anonymous=True) == Caller("192.0.2.1", None)
    assert caller(access_with(), "events", key=KEY, anonymous=True).key == "cms"


def test_an_address_in_a_private_network_is_local_until_a_proxy_is_declared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def caller_from(peer: str, forwarded: str = "", **settings: Any) -> Caller:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        with Flask("test").test_request_context(headers=headers, environ_base={"REMOTE_ADDR": peer}):
            return access_with(**settings).allow_anonymous("events")

    assert [caller_from(peer).is_local for peer in ("127.0.0.1", "172.17.0.1", "::1", "fd00::7")] == [
        True
    ] * 4
    assert not caller_from("198.51.100.7").is_local
    assert not caplog.records
    assert caller_from("127.0.0.1", "198.51.100.7").is_local
    assert "RECOMMENDER_TRUSTED_PROXIES" in caplog.text
    assert not caller_from("127.0.0.1", trusted_proxies="10.0.0.1").is_local
    assert "198.51.100.7" not in caplog.text


def test_an_address_with_too_many_requests_gets_429_and_retry_after() -> None:
    limited = access_with(address_limit="2/hour")
    for _ in range(2):
        caller(limited, "events", anonymous=True)

    problem = refusal(limited, "events", anonymous=True)

    assert (problem.kind, problem.status) == ("rate-limited", 429)
    assert int(problem.headers["Retry-After"]) in range(1700, 1801)
    assert "192.0.2.1" not in str(problem.as_json("-"))
    assert caller(limited, "events", key=KEY, anonymous=True).key == "cms"


def test_a_key_with_too_many_requests_gets_429() -> None:
    limited = access_with(key_limit="2/hour")
    for _ in range(2):
        caller(limited, "articles", key=KEY)

    assert refusal(limited, "articles", key=KEY).kind == "rate-limited"
    assert caller(limited, "events", anonymous=True).key is None


def test_events_are_limited_per_address_but_not_per_key() -> None:
    limited = access_with(address_event_limit="100/hour")
    limited.count_events(Caller("192.0.2.1"), 90)
    limited.count_events(Caller("192.0.2.1", "cms"), 1000)
    limited.count_events(Caller("192.0.2.2"), 1000)

    with pytest.raises(Problem) as refused:
        limited.count_events(Caller("192.0.2.1"), 11)

    assert int(refused.value.headers["Retry-After"]) in range(1, 37)


def test_invalid_keys_are_limited_per_address() -> None:
    limited = access_with(address_limit="2/hour")

    kinds = [refusal(limited, "articles", key="guess").kind for _ in range(3)]

    assert kinds == ["key-not-allowed", "key-not-allowed", "rate-limited"]
    assert caller(limited, "articles", key=KEY).key == "cms"
    assert caller(limited, "events", anonymous=True).key is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # an untrusted peer may send any header
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        (
            "10.0.0.1",
            "6.6.6.6, 198.51.100.7",
            "198.51.100.7",
        ),  # the entry that the client forged is on the left
        ("10.0.0.1", "6.6.6.6,198.51.100.7,10.2.3.4", "198.51.100.7"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, unknown", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6,", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("fd00::1", "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:aaaa::1", "", "2001:db8:1:2::/64"),
        ("10.0.0.1", "1.2.3.4.5", "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_trusted_proxies_report_the_address_of_the_client(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@given(st.text(), st.from_regex(r"(\d{1,3}\.){3}\d{1,3}", fullmatch=True))
def test_a_forged_header_does_not_change_the_address_that_a_trusted_proxy_reports(
    header: str, added: str
) -> None:
    plain = client_address("10.0.0.1", added, PROXIES)
    if plain not in {"10.0.0.1", added} or added.startswith("10."):
        return

    assert client_address("10.0.0.1", f"{header},{added}", PROXIES) == plain


def test_only_the_digest_of_a_key_is_configured() -> None:
    key, setting = new_key("cms", ["events", "read"])

    assert setting == f"cms:{sha256(key.encode()).hexdigest()}:events+read"
    assert Settings.read(write_keys=setting).write_keys == (setting,)
    assert len(key) > 40
    with pytest.raises(ValueError, match="'a b' is not a valid key name"):
        new_key("a b", ["events"])


def test_settings_show_no_key() -> None:
    assert SETTING not in repr(Settings.read(write_keys=SETTING))
