"""The page of the guide that lists all settings, made from `settings.py`.

`python -m tests.support.settings_page` writes it.
"""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import recommender.settings
from recommender.settings import PREFIX, Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
GROUPS = {
    "Service": (
        "host",
        "port",
        "workers",
        "site_name",
        "demo",
        "search_snippets",
        "access_log",
        "log_format",
        "traces_url",
    ),
    "Model": ("models_dir", "models_url", "verify", "model_retry_seconds", "stale_after_hours"),
    "Live articles and rules": (
        *("database_url", "state_file", "live_poll_seconds", "rules_file"),
        *("max_body_bytes", "max_batch_bytes"),
    ),
    "Keys and origins": ("write_keys", "read_keys", "trusted_proxies", "event_origins", "cors_origins"),
    "Caching": ("cache_bytes", "purge_url", "purge_header"),
    "Events and trending": (
        *("event_weights", "trending_half_lives", "visitor_window_minutes", "source_window_minutes"),
        *("source_cap", "daily_visitor_hash"),
    ),
    "Limits": (
        *("key_limit", "address_limit", "address_event_limit", "address_read_limit", "scoring_limit"),
        *("scoring_at_once", "scoring_queue", "computing_limit", "computing_seconds"),
        "connections_per_address",
    ),
    "Calls of other services": ("drop_in", "drop_in_exclude_category"),
}
_UNITS = ("bytes", "seconds", "minutes", "hours")
_INTRODUCTION = f"""# Settings

Settings are environment variables. A variable that is empty counts as not set.

The settings may also be in a TOML file, in lower case and without `{PREFIX}`. Name the file in
`RECOMMENDER_SETTINGS`. Environment variables override the file. Options of `recommender serve` override both.

```toml
port = 8080
site_name = "The Courier"
event_origins = "https://www.courier.example"
```

If a setting is unknown or its value is invalid, the service does not start, and a message names the allowed
values. Separate the values of a list by spaces.

This page is made from `recommender/settings.py`.
"""


def settings_page() -> str:
    """Return the page in Markdown. Raises KeyError if a setting is in no group or has no docstring."""
    meaning_of = dict(_docstrings())
    ungrouped = set(Settings.model_fields).difference(*GROUPS.values())
    if ungrouped:
        raise KeyError(f"add {', '.join(sorted(ungrouped))} to GROUPS in {__file__}")
    sections = [_INTRODUCTION]
    for title, names in GROUPS.items():
        rows = [_row(name, meaning_of[name]) for name in names]
        head = ["| setting | default | meaning | allowed |", "|---|---|---|---|"]
        sections.append("\n".join([f"## {title}\n", *head, *rows, ""]))
    return "\n".join(sections)


def _row(name: str, meaning: str) -> str:
    field = Settings.model_fields[name]
    unit = next((f" {unit}" for unit in _UNITS if name.endswith(f"_{unit}")), "")
    allowed = str(field.description).replace("|", "\\|")
    return f"| `{PREFIX}{name.upper()}` | {_shown(field.default, unit)} | {meaning} | {allowed} |"


def _shown(default: Any, unit: str) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case int() if default >= 1 << 20:
            return f"`{default}`{unit} ({default >> 20} MiB)"
        case float():
            return f"`{default:g}`{unit}"
    return f"`{default}`{unit}"


def _docstrings() -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of every field of Settings."""
    body = ast.parse(inspect.getsource(recommender.settings)).body
    fields = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == "Settings").body
    for field, docstring in pairwise(fields):
        match field, docstring:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
