"""Who may ask, and how often: keys, scopes, addresses behind proxies."""

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
READING_KEY, READING_SETTING = new_key("desk", ["read"])
PROXIES = tuple(ip_network(each) for each in ("10.0.0.0/8", "fd00::/8"))


def access(**given: Any) -> Access:
    return Access(Settings.read(**{"write_keys": SETTING, "read_keys": READING_SETTING} | given))


def ask(asked: Access, *scopes: Scope, key: str | None = None, admit: bool = False) -> Caller:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    with Flask("test").test_request_context(headers=headers, environ_base=environ):
        return asked.admit(scopes[0]) if admit else asked.require(*scopes)


def refusal(asked: Access, *scopes: Scope, key: str | None = None, admit: bool = False) -> Problem:
    with pytest.raises(Problem) as refused:
        ask(asked, *scopes, key=key, admit=admit)
    return refused.value


def test_a_key_with_the_scope_may() -> None:
    assert ask(access(), "articles", key=KEY) == Caller("192.0.2.1", "cms")
    assert ask(access(), "rules", "read", key=READING_KEY) == Caller("192.0.2.1", "desk")


def test_without_a_key_nothing_that_needs_one_is_done() -> None:
    problem = refusal(access(), "articles")

    assert (problem.kind, problem.status) == ("key-missing", 401)
    assert problem.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    "key",
    ["", "x", KEY[:-1], KEY + "x", KEY.swapcase(), SETTING.split(":")[1], "\udcff", "cms"],
    ids=["none", "letter", "cut", "longer", "other case", "digest", "no text", "name"],
)
def test_another_key_may_not(key: str) -> None:
    assert refusal(access(), "articles", key=key).status in {401, 403}
    if key:
        assert refusal(access(), "events", key=key, admit=True).kind == "key-not-allowed"


def test_a_key_without_the_scope_may_not() -> None:
    assert refusal(access(), "rules", key=KEY).kind == "key-not-allowed"
    assert refusal(access(), "articles", key=READING_KEY).kind == "key-not-allowed"


def test_while_no_key_is_set_nobody_may_and_the_refusal_says_how_to_set_one() -> None:
    problem = refusal(access(write_keys=""), "articles", key=KEY)

    assert (problem.kind, problem.status) == ("key-not-allowed", 403)
    assert "recommender key NAME --scopes articles" in problem.detail


def test_a_refusal_shows_no_key() -> None:
    for key in (KEY, "another"):
        problem = refusal(access(), "rules", "read", key=key)

        assert key not in str(problem.as_json("-"))


def test_two_keys_of_one_name_are_both_let_in_for_rotation() -> None:
    new, setting = new_key("cms", ["articles"])
    both = access(write_keys=f"{SETTING} {setting}")

    assert ask(both, "articles", key=new) == ask(both, "articles", key=KEY)


def test_an_event_needs_no_key() -> None:
    assert ask(access(write_keys=""), "events", admit=True) == Caller("192.0.2.1", None)
    assert ask(access(), "events", key=KEY, admit=True).key == "cms"


def test_an_address_of_this_network_may_be_a_proxy_that_is_not_declared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def caller(peer: str, forwarded: str = "", **given: Any) -> Caller:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        with Flask("test").test_request_context(headers=headers, environ_base={"REMOTE_ADDR": peer}):
            return access(**given).admit("events")

    assert [caller(each).is_local for each in ("127.0.0.1", "172.17.0.1", "::1", "fd00::7")] == [True] * 4
    assert not caller("198.51.100.7").is_local
    assert not caplog.records
    assert caller("127.0.0.1", "198.51.100.7").is_local
    assert "RECOMMENDER_TRUSTED_PROXIES" in caplog.text
    assert not caller("127.0.0.1", trusted_proxies="10.0.0.1").is_local
    assert "198.51.100.7" not in caplog.text


def test_an_address_that_asks_too_often_is_told_to_wait() -> None:
    limited = access(address_limit="2/hour")
    for _ in range(2):
        ask(limited, "events", admit=True)

    problem = refusal(limited, "events", admit=True)

    assert (problem.kind, problem.status) == ("rate-limited", 429)
    assert int(problem.headers["Retry-After"]) in range(1700, 1801)
    assert "192.0.2.1" not in str(problem.as_json("-"))
    assert ask(limited, "events", key=KEY, admit=True).key == "cms"


def test_a_key_that_asks_too_often_is_told_to_wait() -> None:
    limited = access(key_limit="2/hour")
    for _ in range(2):
        ask(limited, "articles", key=KEY)

    assert refusal(limited, "articles", key=KEY).kind == "rate-limited"
    assert ask(limited, "events", admit=True).key is None


def test_the_events_of_an_address_are_counted_and_those_of_a_key_are_not() -> None:
    limited = access(address_event_limit="100/hour")
    limited.spend(Caller("192.0.2.1"), 90)
    limited.spend(Caller("192.0.2.1", "cms"), 1000)
    limited.spend(Caller("192.0.2.2"), 1000)

    with pytest.raises(Problem) as refused:
        limited.spend(Caller("192.0.2.1"), 11)

    assert int(refused.value.headers["Retry-After"]) in range(1, 37)


def test_guesses_of_a_key_are_limited() -> None:
    limited = access(address_limit="2/hour")

    kinds = [refusal(limited, "articles", key="guess").kind for _ in range(3)]

    assert kinds == ["key-not-allowed", "key-not-allowed", "rate-limited"]
    assert ask(limited, "articles", key=KEY).key == "cms"
    assert ask(limited, "events", admit=True).key is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # a peer that nobody trusts says what it likes
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),  # the client's own entry stands to the left
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
def test_an_address_is_what_trusted_proxies_say(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


@given(st.text(), st.from_regex(r"(\d{1,3}\.){3}\d{1,3}", fullmatch=True))
def test_no_header_moves_what_a_trusted_proxy_has_heard(header: str, added: str) -> None:
    plain = client_address("10.0.0.1", added, PROXIES)
    if plain not in {"10.0.0.1", added} or added.startswith("10."):
        return

    assert client_address("10.0.0.1", f"{header},{added}", PROXIES) == plain


def test_a_key_is_known_by_its_digest_alone() -> None:
    key, setting = new_key("cms", ["events", "read"])

    assert setting == f"cms:{sha256(key.encode()).hexdigest()}:events+read"
    assert Settings.read(write_keys=setting).write_keys == (setting,)
    assert len(key) > 40
    with pytest.raises(ValueError, match="no name of a key"):
        new_key("a b", ["events"])


def test_settings_show_no_key() -> None:
    assert SETTING not in repr(Settings.read(write_keys=SETTING))
