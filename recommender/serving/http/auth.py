"""Who asks: keys and their scopes, addresses behind trusted proxies, and how often each may ask."""

import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, get_args

from flask import g, has_request_context, request

from recommender.serving.http.problems import Fault, Problem
from recommender.serving.http.rate_limit import Rate, RateLimiter
from recommender.settings import Settings

_log = logging.getLogger(__name__)

Scope = Literal["articles", "rules", "events", "read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(r"\[(.*)\](?::\d*)?|([\d.]+):\d*")
_LOCAL = tuple(
    ip_network(each)
    for each in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
_SUBSCRIBER_BITS = 64  # of an IPv6 address: one subscriber has all that follow


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the name of a key, if one was given, and an address.

    Of an IPv6 address it is the network of 64 bits that one subscriber has. Never log or store it. It
    `is_local` where it is of this machine or its network, and no proxy is declared: then one may stand there,
    and all readers behind it.
    """

    address: str
    key: str | None = None
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    digest: bytes
    scopes: frozenset[str]


class Access:
    """Tells who sends the request at hand. Each method raises Problem for those who may not.

    Whoever may is the `caller` of the request's context from then on.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = tuple(_read_key(word) for word in (*settings.write_keys, *settings.read_keys))
        self._trusted = settings.trusted_proxies
        self._has_told = False  # of a proxy that is not believed
        self._per_key = RateLimiter(Rate.read(settings.key_limit))
        self._per_address = RateLimiter(Rate.read(settings.address_limit))
        self._guesses = RateLimiter(Rate.read(settings.address_limit))
        self._events_per_address = RateLimiter(Rate.read(settings.address_event_limit))
        self._reads_per_address = RateLimiter(Rate.read(settings.address_read_limit))
        self._scoring = RateLimiter(Rate.read(settings.scoring_limit))
        self.is_closed = bool(settings.read_keys)

    def require(self, *scopes: Scope) -> Caller:
        """Return the caller, whose key has one of these scopes; what it sends counts against its limit."""
        if not any(key.scopes.intersection(scopes) for key in self._keys):
            command = f"recommender key NAME --scopes {scopes[0]}"
            raise Problem("key-not-allowed", f"no key is set for this; `{command}` makes one, and says where")
        given = _bearer()
        if given is None:
            raise Problem(
                "key-missing",
                f"this needs a key with the scope {' or '.join(scopes)}",
                (Fault("header", "Authorization", None, "Bearer and a key"),),
                {"WWW-Authenticate": "Bearer"},
            )
        return self._of_key(given, scopes)

    def admit(self, scope: Scope) -> Caller:
        """Return the caller, with or without a key; one that is given must have the scope."""
        given = _bearer()
        if given is not None:
            return self._of_key(given, (scope,))
        caller: Caller = self._caller()
        self._count(self._per_address, "requests of this address", caller.address)
        g.caller = caller
        return caller

    def read(self) -> None:
        """Let the caller read, with a key where reading needs one; what it reads counts against a limit."""
        if self.is_closed:
            self.require("read")
        else:
            self.visit()

    def visit(self) -> None:
        """Count what a reader who needs no key asks for; a known key counts in place of the address."""
        given = _bearer()
        key = None if given is None else self._find(given)
        caller = g.caller = self._caller() if key is None else replace(self._caller(), key=key.name)
        if key is not None:
            self._count(self._per_key, "requests with this key", key.name)
        elif not caller.is_local:
            self._count(self._reads_per_address, "requests of this address", caller.address)

    def spend_scoring(self) -> None:
        """Count a list for which the whole corpus is scored against what its reader may ask for."""
        if not has_request_context():
            return
        caller: Caller = g.get("caller") or self._caller()
        if caller.key is not None:
            self._count(self._scoring, "lists with this key that are not at hand", f"key {caller.key}")
        elif not caller.is_local:
            self._count(self._scoring, "lists of this address that are not at hand", caller.address)

    def _of_key(self, given: str, scopes: Sequence[Scope]) -> Caller:
        """Return the caller of a key. The problems do not show what was given, for it may be a key."""
        caller, key = self._caller(), self._find(given)
        if key is None:
            self._count(self._guesses, "keys of this address that are none", caller.address)
            fault = Fault("header", "Authorization", "not shown", "Bearer and a key of this service")
            raise Problem("key-not-allowed", "this service does not know the key", (fault,))
        self._count(self._per_key, "requests with this key", key.name)
        if not key.scopes.intersection(scopes):
            told = f"the key {key.name} has not the scope {' or '.join(scopes)}"
            raise Problem("key-not-allowed", told)
        g.caller = caller = replace(caller, key=key.name)
        return caller

    def _find(self, given: str) -> _Key | None:
        digest = sha256(given.encode(errors="replace")).digest()
        found = None
        for key in self._keys:  # all of them, so that time tells nothing
            if compare_digest(key.digest, digest):
                found = key
        return found

    def spend(self, caller: Caller, events: int) -> None:
        """Count the events of a caller without a key against what its address may send."""
        if caller.key is None:
            self._count(self._events_per_address, "events of this address", caller.address, events)

    def _count(self, allowances: RateLimiter, what: str, name: str, cost: int = 1) -> None:
        wait = allowances.wait(name, cost)
        if wait:
            rate = allowances.rate
            told = f"{what}: {rate.amount} in {rate.seconds} s are allowed; wait {wait} s"
            raise Problem("rate-limited", told, headers={"Retry-After": str(wait)})

    def _caller(self) -> Caller:
        peer, forwarded = request.environ.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
        address = client_address(peer, forwarded, self._trusted)
        is_local = not self._trusted and _is_local(peer)
        if is_local and forwarded and not self._has_told:
            self._has_told = True
            _log.warning(
                "a proxy in this network tells of its clients, and is not believed: name it in "
                "RECOMMENDER_TRUSTED_PROXIES, or all readers have one address"
            )
        return Caller(address, is_local=is_local)


def _bearer() -> str | None:
    """Return what the request gives for a key; other ways of authorization are not ours."""
    bearer = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    return bearer[1] if bearer else None


def client_address(peer: str, forwarded: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the address of the client: the peer, or what trusted proxies say of it in X-Forwarded-For.

    The header is read from the right, where each proxy adds the address that it heard from, for as long as
    that one is trusted, too: whatever a client writes there itself stands further to the left.
    """
    address = _read_address(peer)
    hops = forwarded.split(",") if forwarded else []
    while hops and address is not None and any(address in network for network in trusted):
        heard = _read_address(hops.pop().strip())
        if heard is None:
            break
        address = heard
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _SUBSCRIBER_BITS), strict=False))
    return "" if address is None else str(address)


def new_key(name: str, scopes: Sequence[Scope]) -> tuple[str, str]:
    """Return a new key, and what a service that knows it holds in its settings: `name:sha256:scopes`.

    Raises ValueError for a name of other than 1 to 64 letters, digits, dots, dashes and underscores.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a key; allowed: 1 to 64 of A-Z a-z 0-9 . _ -")
    key = secrets.token_urlsafe(32)
    return key, f"{name}:{sha256(key.encode()).hexdigest()}:{'+'.join(scopes)}"


def _read_key(word: str) -> _Key:
    name, digest, scopes = word.split(":")
    return _Key(name, bytes.fromhex(digest), frozenset(scopes.split("+")))


@lru_cache(maxsize=4096)
def _is_local(peer: str) -> bool:
    address = _read_address(peer)
    return address is None or any(address in network for network in _LOCAL)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, which may carry a port and brackets; None for anything else."""
    port = _PORT.fullmatch(text)
    try:
        address = ip_address((port[1] or port[2]) if port else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
