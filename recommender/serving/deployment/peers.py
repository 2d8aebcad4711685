"""Checks of the programs that serving talks to: the database, the shared cache, and the service itself."""

import json
import os
from contextlib import closing
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from recommender.artifact import ArtifactError, current_version
from recommender.serving.cache.purging import PurgeError, shared_cache_at
from recommender.serving.deployment.check import Check, error, ok, warning
from recommender.serving.store import DatabaseFacts, Store, StoreDownError, StoreError
from recommender.settings import Settings

_OTHER_KEY = "recommender-doctor"  # a surrogate key that no response has
_OFF_SECONDS = 2.0
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 1 << 20
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared, not bound


def database_check(settings: Settings) -> tuple[Check, DatabaseFacts | None]:
    """Return whether serving could read, migrate and write the database, and facts about it."""
    name = "database"
    try:
        with closing(Store.of(settings)) as store:
            facts = store.facts()
    except StoreDownError as fault:
        advice = "start it; check RECOMMENDER_DATABASE_URL, the rights of its user, and the space on its disk"
        return error(name, f"it cannot be used now: {fault}", advice), None
    except StoreError as fault:
        return error(name, str(fault), "follow the message"), None
    if not facts.version:
        folder = Path(facts.name).absolute().parent
        if facts.now is None and not os.access(folder, os.W_OK | os.X_OK):
            advice = "create the folder, or change its rights or RECOMMENDER_DATABASE_URL"
            return error(name, f"{facts.name} cannot be created", advice), facts
        return ok(name, f"{facts.name} is empty; the service will create its tables"), facts
    finding = f"{facts.name} can be read and written; its version is {facts.version}"
    if facts.version < facts.newest:
        finding += f", and the service will update it to {facts.newest}"
    return ok(name, finding), facts


def clock_check(facts: DatabaseFacts | None, now: datetime) -> Check | None:
    """Return whether the clocks of this machine and of the database agree; None if it has no other clock."""
    if facts is None or facts.now is None:
        return None
    seconds = (now - facts.now).total_seconds()
    finding = f"{abs(seconds):.1f} s {'behind' if seconds < 0 else 'ahead of'} the database"
    if abs(seconds) <= _OFF_SECONDS:
        return ok("clock", finding)
    return warning("clock", finding, "synchronize both clocks, for example with chrony")


def purge_check(settings: Settings) -> Check | None:
    """Return whether the shared cache accepts purges, by one that removes nothing; None without a cache."""
    if settings.purge_url is None:
        return None
    name, parts = "purge URL", urlsplit(settings.purge_url)
    try:
        shared_cache_at(settings.purge_url, settings.purge_header).purge([_OTHER_KEY])
    except PurgeError as fault:
        advice = "check RECOMMENDER_PURGE_URL and RECOMMENDER_PURGE_HEADER, and that the cache is running"
        return error(name, f"the shared cache cannot be purged: {fault}", advice)
    if parts.scheme == "file" and not os.access(unquote(parts.path), os.W_OK | os.X_OK):
        advice = "run the service in the group that owns the folder"
        return error(name, f"files in {unquote(parts.path)} cannot be deleted", advice)
    return ok(name, "the shared cache accepted a purge of nothing")


def service_check(settings: Settings) -> Check:
    """Return what responds at the address of the service, and whether it serves the current model."""
    name, host = "service", _ANY_ADDRESS.get(settings.host, settings.host)
    where = f"{host}:{settings.port}"
    try:
        status, body = _readiness(host, settings.port)
    except ConnectionRefusedError:
        return ok(name, f"not running at {where}")
    except (OSError, HTTPException, ValueError) as fault:
        advice = "stop the other program, or restart the service; see RECOMMENDER_HOST and RECOMMENDER_PORT"
        return error(name, f"no valid response from {where}: {fault or type(fault).__name__}", advice)
    if status != HTTPStatus.OK:
        return error(name, f"not ready: {str(body.get('detail'))[:200]}", "follow the message; see its log")
    if degraded := body.get("degraded"):
        finding = f"degraded: {', '.join(map(str, degraded))}"
        return warning(name, finding, "see `degraded` in the guide, page Troubleshooting, and its log")
    try:
        current = current_version(settings.models_dir)
    except ArtifactError:
        current = ""
    version = body["model"]["version"]
    if version != current:
        finding = f"it serves {version}, the folder's current version is {current or 'unknown'}"
        return warning(name, finding, "wait a minute; then see its log, and its RECOMMENDER_MODELS_DIR")
    return ok(name, f"ready at {where} with the current model")


def _readiness(host: str, port: int) -> tuple[int, dict[str, Any]]:
    """Return the status and body of `/readyz`. Raises OSError, HTTPException or ValueError."""
    connection = HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        response = connection.getresponse()
        body = json.loads(response.read(_MAX_BYTES))
    finally:
        connection.close()
    is_ours = isinstance(body, dict) and (
        response.status != HTTPStatus.OK or isinstance(body.get("model"), dict)
    )
    if not is_ours or "version" not in body.get("model", {"version": ""}):
        raise ValueError("another program responds there")
    return response.status, body
