"""Fetch from web sites politely: one request at a time, with retries that respect `Retry-After`."""

import functools
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stamina

from recommender.training.formats.files import CorpusError

MAX_RESPONSE_BYTES = 64 << 20
MAX_WAIT_SECONDS = 600.0  # if a site requires a longer wait, the import stops
Resolve = Callable[[str], Sequence[str]]  # a function from a host to its IP addresses
_MAX_REDIRECTS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_FAILING = frozenset({429, 500, 502, 503, 504})
_USER_AGENT = "recommender-import"
_SHOWN_CHARS = 200


class SiteError(CorpusError):
    """A failed request to a site; `status` is the HTTP status, 0 without a response.

    `is_failing` means that the site is the likely cause, not the request: a smaller or later request may
    succeed.
    """

    def __init__(self, message: str, status: int = 0, wait_seconds: float = 0.0, content: Any = None) -> None:
        super().__init__(message)
        self.status, self.wait_seconds, self.content = status, wait_seconds, content
        self.is_failing = status in _FAILING or not status


@dataclass(frozen=True, slots=True)
class SiteResponse:
    """The complete response of a site, after all redirects."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """Return the body parsed as JSON. Raises SiteError if it is not JSON."""
        try:
            return json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            shown = self.body[:_SHOWN_CHARS].decode(errors="replace")
            raise SiteError(f"{self.url} is not JSON: it begins with {shown!r}", self.status) from None


class Remote:
    """An HTTP client that retries, with growing delays, if a site is busy, fails or drops the connection."""

    def __init__(
        self,
        *,
        attempts: int = 6,
        wait_seconds: float = 1.0,
        timeout_seconds: float = 60.0,
        login: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._resolve = resolve or addresses_of
        self._first_host = ""
        self._may_be_private = True
        own = {"User-Agent": _USER_AGENT, **(headers or {})}
        self._client = httpx.Client(
            timeout=timeout_seconds,
            auth=login,
            headers=own,
            follow_redirects=False,  # each redirect is checked first
            verify=_trusted_certificates(),
        )
        self._retrying = stamina.RetryingCaller(
            attempts=attempts,
            timeout=None,
            wait_initial=wait_seconds,
            wait_max=60.0,
            wait_jitter=wait_seconds,
        ).on(_wait)

    def get(self, url: str, parameters: Mapping[str, str] | None = None) -> SiteResponse:
        """Return the response to a GET. Raises SiteError, also for every status from 400 on."""
        return self.send("GET", url, parameters)

    def send(
        self, method: str, url: str, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> SiteResponse:
        """Return the response to a request; `body` is sent as JSON. Raises SiteError."""
        return self._retrying(self.send_once, method, url, parameters, body)

    def send_once(
        self, method: str, url: str, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> SiteResponse:
        """Return the response to a request, without retries. Raises SiteError."""
        address = url
        try:
            # With an empty mapping, `httpx.Client.stream` would drop the parameters in the address.
            parsed = httpx.URL(url).copy_merge_params(parameters or {})
            address = str(parsed)
            response = self._response_to(self._client.build_request(method, parsed, json=body))
        except (
            httpx.InvalidURL,
            httpx.UnsupportedProtocol,
            httpx.TooManyRedirects,
            UnicodeError,  # characters that no URL can contain
        ) as error:
            raise SiteError(f"{address} cannot be requested: {error}", _BAD_ADDRESS) from error
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            raise SiteError(f"{address} does not respond: {cause}") from error
        if response.status >= _REFUSED:
            raise _error_of(address, response)
        return response

    def _response_to(self, request: httpx.Request) -> SiteResponse:
        """Return the response after all redirects; the login is sent to the first address only."""
        auth: Any = httpx.USE_CLIENT_DEFAULT
        for _ in range(_MAX_REDIRECTS + 1):
            self._check_address(request.url)
            with closing(self._client.send(request, stream=True, auth=auth)) as stream:
                if stream.next_request is None:
                    return SiteResponse(
                        str(stream.url), stream.status_code, stream.headers, _read_body(stream)
                    )
                request, auth = stream.next_request, None
        raise httpx.TooManyRedirects(f"more than {_MAX_REDIRECTS} redirects", request=request)

    def _check_address(self, url: httpx.URL) -> None:
        """Raise SiteError if a public site leads to a private address, by a redirect or a link.

        The first request decides: its address is the user's own, and later ones come from the site.
        """
        addresses = self._resolve(url.host)
        private = next((address for address in addresses if is_private(address)), None)
        if not self._first_host:
            self._first_host, self._may_be_private = url.host, private is not None
        if self._may_be_private:
            return
        if private is not None:
            raise SiteError(
                f"{self._first_host} leads to {str(url)!r}, which has the private address {private}; "
                "if this is correct, import from that address",
                _BAD_ADDRESS,
            )
        if not addresses and url.host != self._first_host:
            raise SiteError(f"{self._first_host} leads to {str(url)!r}, whose host cannot be resolved")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def addresses_of(host: str) -> list[str]:
    """Return the IP addresses of a host, none if it cannot be resolved."""
    try:
        return [str(address[0]) for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def is_private(address: str) -> bool:
    """Return whether an IP address is not public: private, loopback, link-local, shared or reserved.

    An IPv6 address that contains an IPv4 address is private if either is.
    """
    ip = ipaddress.ip_address(address)
    if ip.version == 4:  # noqa: PLR2004 the protocol
        return not ip.is_global
    inner = [ip.ipv4_mapped, ip.sixtofour, ip.teredo and ip.teredo[1]]
    if ip in _NAT64:
        inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    if any(ipv4 is not None and not ipv4.is_global for ipv4 in inner):
        return True
    return not ip.is_global and ip.ipv4_mapped is None


@functools.cache
def _trusted_certificates() -> ssl.SSLContext:
    """Return the trusted certificates, cached because loading them is slower than a local request."""
    return httpx.create_ssl_context()


_REFUSED = 400
_BAD_ADDRESS = 400  # a status that is not retried


def _wait(error: Exception) -> bool | float:
    """Return the seconds to wait before the next attempt; True for the default wait, False for no retry."""
    if not isinstance(error, SiteError) or not error.is_failing or error.wait_seconds > MAX_WAIT_SECONDS:
        return False
    return error.wait_seconds or True


def _read_body(stream: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in stream.iter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise SiteError(f"{stream.url} is larger than {MAX_RESPONSE_BYTES >> 20} MiB", stream.status_code)
    return bytes(body)


def _error_of(address: str, response: SiteResponse) -> SiteError:
    """Return the error for a response with an error status, including the site's own message."""
    try:
        content = json.loads(response.body)
    except (ValueError, RecursionError):
        content = None
    fields = content if isinstance(content, dict) else {}
    detail = fields.get("message") or fields.get("detail") or ""
    wait = _retry_after(response.headers.get("Retry-After", "")) if response.status in _FAILING else 0.0
    later = f"; it requires a wait of {wait:,.0f} seconds" if wait else ""
    # The site's message is shown in a terminal, so it is quoted.
    quoted = f" ({str(detail)[:_SHOWN_CHARS]!r})" if detail else ""
    message = f"{address} returned status {response.status}{quoted}{later}"
    return SiteError(message, response.status, wait, content)


def _retry_after(text: str) -> float:
    """Return the seconds in a Retry-After header, 0 if it cannot be parsed."""
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
