"""Sign-in of a person in a browser, with an API key.

After the key was entered, a cookie proves it: it contains the name of the key and when the session ends,
signed with the digest of the key and the store's salt of the day. So all workers accept it, nobody can make
one from the settings alone or the database alone, and it ends if the key is removed from the settings, after
eight hours, and at midnight (UTC), when the salt is replaced.

The cookie is only sent to these pages (`Path`), not to scripts (`HttpOnly`), and not with requests that other
sites cause (`SameSite`). Every form that changes something also contains a token made from the cookie.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from flask import Response, request
from itsdangerous import BadSignature, Signer

from recommender.serving.http.auth import Access, Key, Scope
from recommender.serving.http.problems import Fault, Problem, store_down
from recommender.serving.store import StoreDownError
from recommender.serving.worker.context import Context

SCOPE: Scope = "admin"
FORM_TOKEN = "form_token"  # noqa: S105 the name of a field
_COOKIE, _PATH = "recommender-admin", "/admin"
_LIFETIME = timedelta(hours=8)
_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Session:
    """A person who has signed in; `form_token` belongs into every form. Both are empty for an API client."""

    name: str  # of the key
    cookie: str = ""
    form_token: str = ""


class Sessions:
    """Starts, checks and ends sessions. Each method raises Problem if it cannot."""

    def __init__(self, context: Context, access: Access) -> None:
        self._context, self._access = context, access

    def start(self, response: Response, token: str) -> None:
        """Start a session with the key that a form contained: add the cookie to the response."""
        _refuse_other_sites()
        key = self._access.sign_in(token, SCOPE)
        ends = self._context.now + _LIFETIME
        text = f"{int(ends.timestamp())}:{secrets.token_urlsafe(_NONCE_BYTES)}:{key.name}"
        cookie = self._signer(key, b"session").sign(text).decode()
        # A browser sends the scheme that it uses, also if a proxy in front ends the encryption.
        is_encrypted = request.is_secure or request.headers.get("Origin", "").startswith("https://")
        response.set_cookie(
            _COOKIE,
            cookie,
            max_age=_LIFETIME,
            path=_PATH,
            httponly=True,
            samesite="Strict",
            secure=is_encrypted,
        )

    def current(self) -> Session:
        """Return the session of the current request, and count the request.

        Without a valid cookie, an API key in the header counts. Raises Problem if there is neither.
        """
        cookie = request.cookies.get(_COOKIE)
        key = None if cookie is None else self._key_of(cookie)
        if key is None or cookie is None:
            return Session(self._access.require_key(SCOPE).key or "")
        self._access.use(key)
        return Session(key.name, cookie, self._form_token(key, cookie))

    def check_form(self, session: Session) -> None:
        """Raise Problem unless the form in the current request was made for this session."""
        if not session.cookie:  # a key in the header, which no other site can make a browser send
            return
        _refuse_other_sites()
        given = request.form.get(FORM_TOKEN, "")
        if not secrets.compare_digest(given.encode(), session.form_token.encode()):
            raise Problem("origin-not-allowed", "this form is outdated; load the page again")

    @staticmethod
    def end(response: Response) -> None:
        """Remove the cookie."""
        response.delete_cookie(_COOKIE, path=_PATH, httponly=True, samesite="Strict")

    def _key_of(self, cookie: str) -> Key | None:
        """Return the key that a valid cookie was made with, None for any other cookie."""
        for key, text in self._signed(cookie):
            ends, _, rest = text.partition(":")
            is_over = datetime.fromtimestamp(int(ends), UTC) <= self._context.now
            if not is_over and rest.partition(":")[2] == key.name:
                return key
        return None

    def _signed(self, cookie: str) -> Iterator[tuple[Key, str]]:
        for key in self._access.keys_with(SCOPE):
            try:
                yield key, self._signer(key, b"session").unsign(cookie).decode()
            except BadSignature:
                continue

    def _form_token(self, key: Key, cookie: str) -> str:
        return self._signer(key, b"form").get_signature(cookie).decode()

    def _signer(self, key: Key, purpose: bytes) -> Signer:
        try:
            salt = self._context.daily_salt()
        except StoreDownError as error:
            raise store_down(str(error)) from None
        secret = sha256(b"admin page:" + salt + key.digest).digest()
        return Signer(secret, salt=purpose, key_derivation="hmac", digest_method=sha256)


def _refuse_other_sites() -> None:
    """Raise Problem if a browser says that another site caused the request."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site != "same-origin":
        fault = Fault("header", "Sec-Fetch-Site", site, "same-origin")
        raise Problem("origin-not-allowed", "another site sent this form", (fault,))
