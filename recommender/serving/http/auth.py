"""Identify callers by API key or address, check scopes, and limit rates."""

import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from hmac import compare_digest
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, get_args
from wsgiref.types import WSGIEnvironment

from flask import g, has_request_context, request

from recommender.serving.http.problems import Fault, Problem
from recommender.serving.http.rate_limit import Rate, RateLimiter
from recommender.settings import Settings

_log = logging.getLogger(__name__)

Scope = Literal["articles", "rules", "events", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(r"\[(.*)\](?::\d*)?|([\d.]+):\d*")
_LOCAL = tuple(
    ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
_MAX_CALLERS = 4096  # in memory, so that their addresses need not be parsed again
_SUBSCRIBER_BITS = 64  # a subscriber has all IPv6 addresses with the same first 64 bits


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: its address, and the name of its API key if it has one.

    An IPv6 address is shortened to the subscriber's network of 64 bits. Never log or store an address.
    `is_local`: the address is in a private network and no proxy is declared, so it may belong to a proxy that
    all readers share.
    """

    address: str
    key: str | None = None
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """An API key in the settings, which have only its digest."""

    name: str
    digest: bytes
    scopes: frozenset[str]


class Access:
    """Identifies the caller of the current request, and checks what the caller may do.

    Each method raises Problem if the caller may not. Otherwise the caller is stored as `g.caller`, except by
    `reader`, which needs no request of Flask.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = tuple(_read_key(word) for word in (*settings.write_keys, *settings.read_keys))
        self._caller_behind = lru_cache(_MAX_CALLERS)(partial(_caller_behind, settings.trusted_proxies))
        self._has_warned = False  # about a proxy that is not declared
        self._requests_per_key = RateLimiter(Rate.read(settings.key_limit))
        self._requests_per_address = RateLimiter(Rate.read(settings.address_limit))
        self._invalid_keys_per_address = RateLimiter(Rate.read(settings.address_limit))
        self._events_per_address = RateLimiter(Rate.read(settings.address_event_limit))
        self._reads_per_address = RateLimiter(Rate.read(settings.address_read_limit))
        self._scoring_per_caller = RateLimiter(Rate.read(settings.scoring_limit))
        self._computing_per_caller = RateLimiter(Rate.read(settings.computing_limit))
        self.needs_read_key = bool(settings.read_keys)

    def require_key(self, *scopes: Scope) -> Caller:
        """Return the caller, whose key must have one of these scopes; count the request."""
        g.caller = caller = self._require_key(request.environ, scopes)
        return caller

    def keys_with(self, scope: Scope) -> tuple[Key, ...]:
        """Return the keys in the settings that have a scope."""
        return tuple(key for key in self._keys if scope in key.scopes)

    def sign_in(self, token: str, scope: Scope) -> Key:
        """Return the key that somebody entered in a form, which must have the scope; count the request."""
        self._check_configured((scope,))
        return self._checked_key(request.environ, token, (scope,))

    def use(self, key: Key) -> None:
        """Count a request of somebody who signed in with this key."""
        self._spend(self._requests_per_key, "requests with this key", key.name)
        g.caller = replace(self._caller(request.environ), key=key.name)

    def allow_anonymous(self, scope: Scope) -> Caller:
        """Return the caller, with or without a key; a key must have the scope; count the request."""
        token = _bearer_token(request.environ)
        if token is not None:
            g.caller = caller = self._caller_with_key(request.environ, token, (scope,))
            return caller
        caller = self._caller(request.environ)
        self._spend(self._requests_per_address, "requests from this address", caller.address)
        g.caller = caller
        return caller

    def authorize_read(self) -> None:
        """Check the caller's key if reading needs one, and count the request."""
        g.caller = self.reader(request.environ)

    def limit_reads(self) -> None:
        """Count a read that needs no key: for the key if it is valid, otherwise for the address."""
        g.caller = self._limited_reader(request.environ)

    def reader(self, environ: WSGIEnvironment) -> Caller:
        """Return the caller of a request that reads, whose key is checked if one is needed; count it."""
        if self.needs_read_key:
            return self._require_key(environ, ("read",))
        return self._limited_reader(environ)

    def _limited_reader(self, environ: WSGIEnvironment) -> Caller:
        token, caller = _bearer_token(environ), self._caller(environ)
        key = None if token is None else self._find_key(token)
        if key is not None:
            self._spend(self._requests_per_key, "requests with this key", key.name)
            return replace(caller, key=key.name)
        if not caller.is_local:
            self._spend(self._reads_per_address, "requests from this address", caller.address)
        return caller

    def _require_key(self, environ: WSGIEnvironment, scopes: Sequence[Scope]) -> Caller:
        self._check_configured(scopes)
        token = _bearer_token(environ)
        if token is None:
            required = " or ".join(scopes)
            raise Problem(
                "key-missing",
                f"this request needs an API key with the scope {required}; send `Authorization: Bearer KEY`",
                (Fault("header", "Authorization", None, "Bearer KEY"),),
                {"WWW-Authenticate": "Bearer"},
            )
        return self._caller_with_key(environ, token, scopes)

    def _check_configured(self, scopes: Sequence[Scope]) -> None:
        """Raise Problem if no key in the settings has one of these scopes."""
        if not any(key.scopes.intersection(scopes) for key in self._keys):
            required, command = " or ".join(scopes), f"recommender key NAME --scopes {scopes[0]}"
            detail = f"no API key with the scope {required} is configured; to create one, run `{command}`"
            raise Problem("key-not-allowed", detail)

    def count_scoring(self) -> None:
        """Count a list that needs the scores of the whole corpus, if it is requested through HTTP."""
        self._spend_allowance(self._scoring_per_caller, "lists {} that score all articles")

    def count_computing(self, cost: int) -> None:
        """Count the cost of a response that is not cached, if it is requested through HTTP."""
        self._spend_allowance(self._computing_per_caller, "costly requests {}", cost)

    def queue_name(self) -> str | None:
        """Return the name under which the caller's waiting requests are counted; None if they are not.

        They are not counted for an address in a private network while no proxy is declared.
        """
        if not has_request_context():
            return None
        caller: Caller = g.get("caller") or self._caller(request.environ)
        if caller.key is not None:
            return f"key {caller.key}"
        return None if caller.is_local else caller.address

    def _spend_allowance(self, limiter: RateLimiter, counted: str, cost: int = 1) -> None:
        """Count a cost against a limit per key or address; `{}` in `counted` becomes `with this key`."""
        name = self.queue_name()
        if name is not None:
            of_caller = "with this key" if name.startswith("key ") else "from this address"
            self._spend(limiter, counted.format(of_caller), name, cost)

    def count_events(self, caller: Caller, events: int) -> None:
        """Count the events of a caller without a key."""
        if caller.key is None:
            self._spend(self._events_per_address, "events from this address", caller.address, events)

    def _caller_with_key(self, environ: WSGIEnvironment, token: str, scopes: Sequence[Scope]) -> Caller:
        key = self._checked_key(environ, token, scopes)
        return replace(self._caller(environ), key=key.name)

    def _checked_key(self, environ: WSGIEnvironment, token: str, scopes: Sequence[Scope]) -> Key:
        """Return the key with one of these scopes. The problems do not show the token: it may be a key."""
        key = self._find_key(token)
        if key is None:
            address = self._caller(environ).address
            self._spend(self._invalid_keys_per_address, "invalid API keys from this address", address)
            fault = Fault("header", "Authorization", "not shown", "Bearer KEY, with a key of this service")
            raise Problem("key-not-allowed", "the API key is not valid for this service", (fault,))
        self._spend(self._requests_per_key, "requests with this key", key.name)
        if not key.scopes.intersection(scopes):
            detail = f"the API key {key.name} does not have the scope {' or '.join(scopes)}"
            raise Problem("key-not-allowed", detail)
        return key

    def _find_key(self, token: str) -> Key | None:
        digest = sha256(token.encode(errors="replace")).digest()
        match = None
        for key in self._keys:  # compare all, so that the time reveals nothing
            if compare_digest(key.digest, digest):
                match = key
        return match

    def _spend(self, limiter: RateLimiter, counted: str, name: str, cost: int = 1) -> None:
        """Count `cost` against a rate limit. Raises Problem if it is exceeded; `counted` names the unit."""
        seconds = limiter.spend(name, cost)
        if seconds:
            rate = limiter.rate
            detail = (
                f"too many {counted}: at most {rate.amount} in {rate.seconds} s; try again in {seconds} s"
            )
            raise Problem("rate-limited", detail, headers={"Retry-After": str(seconds)})

    def _caller(self, environ: WSGIEnvironment) -> Caller:
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        caller = self._caller_behind(peer, forwarded)
        if caller.is_local and forwarded and not self._has_warned:
            self._has_warned = True
            _log.warning(
                "ignoring X-Forwarded-For from a proxy in a private network, so all its readers share one "
                "address: set RECOMMENDER_TRUSTED_PROXIES to the proxy's address"
            )
        return caller


def _bearer_token(environ: WSGIEnvironment) -> str | None:
    """Return the bearer token of the request; other authorization schemes are ignored."""
    authorization = environ.get("HTTP_AUTHORIZATION")
    bearer = _BEARER.fullmatch(authorization) if authorization else None
    return bearer[1] if bearer else None


def _caller_behind(
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...], peer: str, forwarded: str
) -> Caller:
    address = client_address(peer, forwarded, trusted_proxies)
    return Caller(address, is_local=not trusted_proxies and _is_local(peer))


def client_address(peer: str, forwarded: str, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the address of the client: the peer, or the address that trusted proxies report for it.

    Each proxy appends the address that it received the request from to X-Forwarded-For. So the header is read
    from the right, up to the first address that is not trusted. Entries that a client forges are left of it.
    """
    address = _read_address(peer)
    hops = forwarded.split(",") if forwarded else []
    while hops and address is not None and any(address in network for network in trusted_proxies):
        hop = _read_address(hops.pop().strip())
        if hop is None:
            break
        address = hop
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _SUBSCRIBER_BITS), strict=False))
    return "" if address is None else str(address)


def new_key(name: str, scopes: Sequence[Scope]) -> tuple[str, str]:
    """Return a new key, and the entry for the settings of the service: `name:sha256:scopes`.

    Raises ValueError unless the name is 1 to 64 letters, digits, dots, dashes and underscores.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid key name; allowed: 1 to 64 of A-Z a-z 0-9 . _ -")
    key = secrets.token_urlsafe(32)
    return key, f"{name}:{sha256(key.encode()).hexdigest()}:{'+'.join(scopes)}"


def _read_key(word: str) -> Key:
    name, digest, scopes = word.split(":")
    return Key(name, bytes.fromhex(digest), frozenset(scopes.split("+")))


def _is_local(peer: str) -> bool:
    address = _read_address(peer)
    return address is None or any(address in network for network in _LOCAL)


def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, with or without a port and brackets; None for anything else."""
    port = _PORT.fullmatch(text)
    try:
        address = ip_address((port[1] or port[2]) if port else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
