"""Web sites asked politely: one request at a time, again where that may help, waiting as long as they say."""

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

MAX_ANSWER_BYTES = 64 << 20
MAX_WAIT_SECONDS = 600.0  # a site that wants more is asked another day
_FAILING = frozenset({429, 500, 502, 503, 504})
_USER_AGENT = "recommender-import"
_SHOWN_CHARS = 200


class SiteError(CorpusError):
    """A site that does not answer as it should; `status` is HTTP's, 0 without an answer.

    `is_failing` tells that the site seems to be the cause, not the question: asking for less, or later, may
    help.
    """

    def __init__(self, message: str, status: int = 0, wait_seconds: float = 0.0, answer: Any = None) -> None:
        super().__init__(message)
        self.status, self.wait_seconds, self.answer = status, wait_seconds, answer
        self.is_failing = status in _FAILING or not status


@dataclass(frozen=True, slots=True)
class SiteResponse:
    """What a site answered: all of it, after all redirections."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """Return the JSON that was answered. Raises SiteError for anything else."""
        try:
            return json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            shown = self.body[:_SHOWN_CHARS].decode(errors="replace")
            raise SiteError(f"{self.url} answers no JSON, it begins with {shown!r}", self.status) from None


class Remote:
    """Asks sites, and asks again, ever later, where they have no time, fail or break off."""

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
            verify=_authorities(),
        )
        self._again = stamina.RetryingCaller(
            attempts=attempts,
            timeout=None,
            wait_initial=wait_seconds,
            wait_max=60.0,
            wait_jitter=wait_seconds,
        ).on(_wait)

    def get(self, url: str, parameters: Mapping[str, str] | None = None) -> SiteResponse:
        """Return what a GET answers. Raises SiteError, for every status from 400 on, too."""
        return self.send("GET", url, parameters)

    def send(
        self, method: str, url: str, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> SiteResponse:
        """Return what a request answers, its body sent as JSON. Raises SiteError."""
        return self._again(self.ask_once, method, url, parameters, body)

    def ask_once(
        self, method: str, url: str, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> SiteResponse:
        """Return what a request answers, without asking again. Raises SiteError."""
        asked = url
        try:
            # httpx would drop the parameters that the address has for an empty mapping.
            address = httpx.URL(url).copy_merge_params(parameters or {})
            asked = str(address)
            with self._client.stream(method, address, json=body) as answer:
                read = SiteResponse(str(answer.url), answer.status_code, answer.headers, _all_of(answer))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise SiteError(f"{asked} cannot be asked: {error}", _BAD_ADDRESS) from error
        except httpx.HTTPError as error:
            told = str(error) or type(error).__name__
            raise SiteError(f"{asked} does not answer: {told}") from error
        if read.status >= _REFUSED:
            raise _refusal(asked, read)
        return read

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Return whom to trust; to read that takes longer than to ask a site nearby."""
    return httpx.create_ssl_context()


_REFUSED = 400
_BAD_ADDRESS = 400  # nothing that waiting would cure


def _wait(error: Exception) -> bool | float:
    """Return whether to ask again, or in how many seconds."""
    if not isinstance(error, SiteError) or not error.is_failing or error.wait_seconds > MAX_WAIT_SECONDS:
        return False
    return error.wait_seconds or True


def _all_of(answer: httpx.Response) -> bytes:
    read = bytearray()
    for chunk in answer.iter_bytes():
        read += chunk
        if len(read) > MAX_ANSWER_BYTES:
            raise SiteError(
                f"{answer.url} answers more than {MAX_ANSWER_BYTES >> 20} MiB", answer.status_code
            )
    return bytes(read)


def _refusal(asked: str, read: SiteResponse) -> SiteError:
    """Return the error that an answer of this status is, with what the site says of it."""
    try:
        answer = json.loads(read.body)
    except (ValueError, RecursionError):
        answer = None
    found = answer if isinstance(answer, dict) else {}
    said = found.get("message") or found.get("detail") or ""
    wait = _retry_after(read.headers.get("Retry-After", "")) if read.status in _FAILING else 0.0
    later = f"; it asks to wait {wait:,.0f} seconds" if wait else ""
    # What a site says goes to a terminal, so it is quoted.
    told = f"{asked} answers {read.status}{f' ({str(said)[:_SHOWN_CHARS]!r})' if said else ''}{later}"
    return SiteError(told, read.status, wait, answer)


def _retry_after(text: str) -> float:
    """Return the seconds in a Retry-After header, 0 where it says nothing that can be read."""
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
