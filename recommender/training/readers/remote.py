"""Fetch from web sites politely: one request at a time, with retries that respect `Retry-After`."""

import functools
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import stamina

from recommender.training.readers.files import CorpusError

MAX_RESPONSE_BYTES = 64 << 20
MAX_WAIT_SECONDS = 600.0  # if a site requires a longer wait, the import stops
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
    ) -> None:
        own = {"User-Agent": _USER_AGENT, **(headers or {})}
        self._client = httpx.Client(
            timeout=timeout_seconds,
            auth=login,
            headers=own,
            follow_redirects=True,
            max_redirects=5,
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
            with self._client.stream(method, parsed, json=body) as stream:
                response = SiteResponse(
                    str(stream.url), stream.status_code, stream.headers, _read_body(stream)
                )
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

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


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
