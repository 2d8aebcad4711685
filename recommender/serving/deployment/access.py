"""Checks of who may do what: the user, unused variables, keys and proxies."""

import os
from collections import Counter
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network

from recommender.serving.deployment.check import Check, error, ok, warning
from recommender.settings import Settings, unknown_variables

_MOST_ADDRESSES = {4: 1 << 16, 6: 1 << 96}  # in a public network of proxies
_EMPTY = sha256(b"").hexdigest()


def variables_check() -> Check:
    """Return whether every variable that looks like a setting is one."""
    unknown = unknown_variables()
    if not unknown:
        return ok("settings", "all are valid")
    name, reason = next(iter(unknown.items()))
    advice = "correct or remove: " + ", ".join(sorted(unknown))
    return warning("settings", f"{name} has no effect: {reason}", advice)


def user_check() -> Check | None:
    """Return a warning if the checks run as root, for whom the rights of files do not count."""
    if os.geteuid() != 0:
        return None
    advice = "run this command, and the service, as a user made for it"
    return warning("user", "root may read and write everything, so rights were not checked", advice)


def keys_check(settings: Settings) -> Check:
    """Return whether there are keys to write with, and whether they are safe."""
    keys = [word.split(":") for word in (*settings.write_keys, *settings.read_keys)]
    empty = [name for name, digest, _ in keys if digest == _EMPTY]
    if empty:
        return error("keys", f"{empty[0]} is the digest of an empty key", "replace it: recommender key NAME")
    shared = [digest for digest, count in Counter(digest for _, digest, _ in keys).items() if count > 1]
    if shared:
        names = ", ".join(sorted({name for name, digest, _ in keys if digest == shared[0]}))
        return error("keys", f"the same key is set twice: {names}", "give each client its own key")
    if not settings.write_keys:
        advice = "create one: recommender key cms; set RECOMMENDER_WRITE_KEYS"
        return warning("keys", "no key: articles, rules and dated events are refused", advice)
    scopes = sorted({scope for _, _, joined in keys for scope in joined.split("+")})
    if settings.read_keys and settings.demo:
        advice = "set RECOMMENDER_DEMO=false, unless everyone may read the articles"
        return warning("keys", "reading needs a key, but the demo shows articles without one", advice)
    return ok("keys", f"{len(keys)} keys with the scopes {', '.join(scopes)}")


def proxies_check(settings: Settings) -> Check:
    """Return whether proxies are declared, and not so many that readers could choose their address."""
    wide = [network for network in settings.trusted_proxies if _is_wide(network)]
    if wide:
        finding = f"{wide[0]} trusts addresses that anyone may have, who could then choose another address"
        return error("proxies", finding, "name only the proxies in RECOMMENDER_TRUSTED_PROXIES")
    if not settings.trusted_proxies:
        advice = "if there is a proxy in front, set RECOMMENDER_TRUSTED_PROXIES to its address"
        return warning("proxies", "none is declared, so all readers behind one share its address", advice)
    return ok("proxies", f"trusted: {', '.join(map(str, settings.trusted_proxies))}")


def _is_wide(network: IPv4Network | IPv6Network) -> bool:
    return not network.is_private and network.num_addresses > _MOST_ADDRESSES[network.version]
