"""Text from corpora and sites made safe to print, because control characters can command a terminal."""

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # without tab and newline
_LINE_CONTROLS = re.compile(r"[\t\n]")


def plain(text: str) -> str:
    r"""Return the text with control characters and lone surrogates escaped, such as `\x1b`.

    Tabs and newlines stay.
    """
    return _CONTROLS.sub(_escaped, text)


def one_line(text: str) -> str:
    """Return the text as `plain` does, with tabs and newlines escaped as well."""
    return _LINE_CONTROLS.sub(_escaped, plain(text))


def plain_json(text: str) -> str:
    """Return JSON with control characters in its strings escaped; the values stay equal."""
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 two digits


def without_secrets(setting: str) -> str:
    """Return the text of a setting without digests of keys, credentials in URLs and queries of URLs."""
    for secret in (r"(?<=:)[0-9a-f]{64}(?=:)", r"(?<=://).*(?=@)", r"(?<=\?).*"):
        setting = re.sub(secret, "***", setting)
    return setting
