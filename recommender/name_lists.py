"""Lists that were written into one text: JSON, Python or PostgreSQL arrays."""

import ast
import html
import json
import re
from typing import Any

MAX_CHARS = 65_536  # of a list


def listed(text: str) -> list[Any] | None:
    """Return the items of a list in a text, or None if the text is not exactly one list.

    A list is a JSON array of texts, objects and null; a list, tuple or set of texts and None as Python or
    NumPy prints it; or a PostgreSQL array of one dimension. The text may be escaped as HTML. A text that
    only begins with a bracket is not a list. Neither is a list with other items, such as `[2026]`.
    """
    text = text.strip()
    if text[:1] + text[-1:] not in {"[]", "()", "{}"} or len(text) > MAX_CHARS:
        return None
    items = _items(text)
    return _items(html.unescape(text)) if items is None and "&" in text else items


def _items(text: str) -> list[Any] | None:
    items = _json_items(text) if text.startswith("[") else None
    items = _python_items(text) if items is None else items
    return _postgresql_items(text) if items is None and text.startswith("{") else items


def _json_items(text: str) -> list[Any] | None:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return items if all(item is None or isinstance(item, str | dict) for item in items) else None


def _python_items(text: str) -> list[str | None] | None:
    content = text[1:-1].strip()
    if not _PYTHON_LIST.fullmatch(content):
        return None
    try:
        return [_python_item(item) for item in _PYTHON_ITEM.findall(content)]
    except (ValueError, SyntaxError):  # such as \U00110000, beyond the last character
        return None


def _python_item(item: str) -> str | None:
    return None if item in {"None", "nan"} else str(ast.literal_eval(item))


def _postgresql_items(text: str) -> list[str | None] | None:
    content = text[1:-1].strip()
    if not _POSTGRESQL_LIST.fullmatch(content):
        return None
    return [_postgresql_item(item.strip()) for item in _POSTGRESQL_ITEM.findall(content)]


def _postgresql_item(item: str) -> str | None:
    if item.startswith('"'):
        return re.sub(r"\\(.)", r"\1", item[1:-1], flags=re.DOTALL)
    return None if item.upper() == "NULL" else item


# Only the escapes that Python itself writes. Quantifiers are possessive: a long text is read once.
_ESCAPE = r"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_PYTHON_TEXT = rf"u?(?:'(?:[^'\\\n]|{_ESCAPE})*+'|\"(?:[^\"\\\n]|{_ESCAPE})*+\")|None|nan"
_PYTHON_ITEM = re.compile(_PYTHON_TEXT)
_PYTHON_LIST = re.compile(rf"(?:(?:{_PYTHON_TEXT})(?:\s*+,\s*+|\s++|$))*+")  # NumPy writes no commas
_POSTGRESQL_TEXT = r"""\s*+(?:"(?:[^"\\]|\\.)*+"|[^\s,{}"\\'][^,{}"\\]*+)\s*+"""
_POSTGRESQL_ITEM = re.compile(_POSTGRESQL_TEXT, re.DOTALL)
_POSTGRESQL_LIST = re.compile(rf"{_POSTGRESQL_TEXT}(?:,{_POSTGRESQL_TEXT})*+", re.DOTALL)
