"""Markdown files with front matter, as of Hugo, Jekyll or Eleventy: public posts as rows of our columns.

The id is `id` in the front matter, or else the path in the folder without its suffix. Drafts, and files with
a future date or a past `expiryDate`, are skipped. A file that cannot be parsed is refused, because it may be
a draft.
"""

import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from recommender.article import InvalidArticleError
from recommender.dates import DateReader
from recommender.fields import RefusedError, is_missing
from recommender.training.formats.files import (
    RawRow,
    SourceOptions,
    is_regular,
    limits,
    linked_folders,
    markdown_files,
    opened,
    suffix_of,
)
from recommender.training.formats.tables import name_in, row_of
from recommender.visibility import column_name, verdict, word_of

MAX_FRONT_MATTER_CHARS = 65_536
MAX_BODY_BYTES = 4 << 20  # some texts take the parser 20 seconds per MiB
TEMPLATE_FOLDERS = frozenset({"_includes", "_layouts", "_sass", "_site", "_templates", "archetypes"})

Content = tuple[Mapping[str, Any], str, bool]  # the front matter, the text after it, if there is front matter
Defaults = Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]


def markdown_rows(path: Path, options: SourceOptions, defaults: Defaults) -> Iterator[RawRow]:
    """Yield the posts in a Markdown file, or in a folder and its subfolders, numbered in the order of paths.

    Skipped are drafts, posts that are scheduled or expired, pages and templates. A file that is not UTF-8, or
    whose front matter cannot be parsed, is refused with its name. `defaults` returns the front matter of a
    file with what the site sets outside it.
    """
    files = list(markdown_files(path)) if path.is_dir() else [path]
    folder = path if path.is_dir() else path.parent
    posts = without_url = 0
    for number, file in enumerate(files, 1):
        name = file.relative_to(folder).as_posix()
        try:
            if kind := _kind_of_path(file, name):
                yield RawRow(number, skipped=kind)
                continue
            front, text, is_post = front_matter(text_of(file))
            row = _row(number, name, (defaults(file, front), text, is_post), options)
        except RefusedError as error:
            row = RawRow(
                number, refused=RefusedError(error.reason, f"{name}: {error.detail}", error.article_id)
            )
        posts += bool(row.values)
        without_url += bool(row.values) and not row.values.get("url")
        yield row
    for link in linked_folders(path) if path.is_dir() else ():
        yield RawRow(0, note=f"the folder {link} is a link and was not read; pass the folder it points to")
    if without_url:
        note = (
            f"{without_url:,} of {posts:,} files have no URL; it is read from `permalink` or `url` in "
            "the front matter, with the address given by --site"
        )
        yield RawRow(0, note=note)


def markdown_html(text: str) -> str:
    """Return the HTML of a Markdown text; HTML in it is preserved."""
    return str(_parser().render(text[:MAX_BODY_BYTES]))


def text_of(file: Path) -> str:
    """Return the text of a file in UTF-8. Raises RefusedError for other bytes."""
    if not is_regular(file):
        raise RefusedError("not a regular file", "it may be a pipe, or was deleted")
    with opened(file) as stream:
        content = stream.read(limits().row_bytes + 1)
        limits().check_row(file, "the file", len(content))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1} is {content[error.start]:#04x}; save the file as UTF-8"
        raise RefusedError("not UTF-8", detail) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def front_matter(text: str) -> Content:
    """Return the front matter, the text after it, and whether there is any; RefusedError if it is broken."""
    if fence := _FENCE.match(text):
        end = _ENDS[fence[1]].search(text, fence.end())
        if end is None:
            raise RefusedError(_BROKEN, f"it begins with {fence[1]} and never ends")
        source, rest = text[fence.end() : end.start()], text[end.end() :]
        kind = fence[2] or ("toml" if fence[1] == "+++" else "yaml")
    elif _JSON_START.match(text):
        try:
            _, length = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError) as error:
            raise RefusedError(_BROKEN, f"not JSON: {error}") from None
        source, rest, kind = text[:length], text[length:], "json"
    else:
        return {}, text, False
    return parsed(source, kind), rest, True


def parsed(source: str, kind: str) -> Mapping[str, Any]:
    """Return the keys in a text of YAML, TOML or JSON. Raises RefusedError if it cannot be parsed."""
    if len(source) > MAX_FRONT_MATTER_CHARS:
        raise RefusedError(_BROKEN, f"it has {len(source):,} characters")
    parse: Any = {"toml": tomllib.loads, "json": json.loads}.get(kind, _yaml)
    try:
        values = parse(source)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise RefusedError(
            _BROKEN, f"not {kind.upper()}: {' '.join(str(error).replace(_YAML_SOURCE, '').split())}"
        ) from None
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise RefusedError(_BROKEN, f"it has no keys: {str(values)[:40]!r}")
    taxonomies = values.get("taxonomies")  # Zola
    return {
        str(key): value
        for key, value in {**values, **(taxonomies if isinstance(taxonomies, Mapping) else {})}.items()
    }


class _StringLoader(yaml.BaseLoader):
    """Reads YAML as text, lists and mappings; dates and flags are read elsewhere.

    Aliases are refused, because a few lines with aliases can mean billions of values, and so are repeated
    keys, because the parser would keep only one of two values of `draft`.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node; raise an error for an alias."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not supported", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 the library's
        """Return a mapping; raise an error if it repeats a key."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
            problem = f"the key {repeated[0]!r} is repeated"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        """Return the text, or None for a plain `null`."""
        value = super().construct_scalar(node)
        return None if node.style is None and value in {"", "~", "null", "Null", "NULL"} else value


_BROKEN = "broken front matter"
_YAML_SOURCE = 'in "<unicode string>", '  # before the line in messages
_FENCE = re.compile(r"(---|\+\+\+)[ \t]*(yaml|toml|json)?[ \t]*\n")
_ENDS = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*$\n?", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*$\n?", re.MULTILINE),
}
_JSON_START = re.compile(r'\{\s*"')
# Each stops at the next opening, so that a text of openings takes linear time.
_TEMPLATE_TAGS = re.compile(
    r"\{%-?\s*comment\s*-?%\}(?:(?!\{%-?\s*comment\b).)*?\{%-?\s*endcomment\s*-?%\}"
    r"|\{\{(?:(?!\{\{).)*?\}\}\}?|\{%(?:(?!\{%).)*?%\}|\{#(?:(?!\{#)[^}])*+\}|\{:(?!:)[^{}\n]*\}|\{::[^{}\n]*\}"
    r"|\[\^[\w-]+\]:?",
    re.DOTALL,
)
_LINE_OF_TAGS = re.compile(r"^[ \t]*\0[ \t\0]*$", re.MULTILINE)
_MDX_CODE = re.compile(r"^(?:import|export)\s[^\n]*$", re.MULTILINE)
_DATED_NAME = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})[-_ ]")
_SHORT_OFFSET = re.compile(r"(:\d\d(?:\.\d+)?\s*[-+])(\d(?::\d\d)?)$")
_LANGUAGE = re.compile(r"\.([a-z]{2})(?:[-_][A-Za-z]{2})?$")
_README = frozenset({"readme", "changelog", "contributing", "license", "code_of_conduct", "security"})
# Keys of front matter, without case and punctuation, by our columns; the first that is set is used.
_NAMES = {
    "title": "title headline".split(),
    "published_at": "date publishdate publisheddate publishedat pubdate datepublished published".split(),
    "updated_at": "lastmod updatedat updated modified lastmodifiedat lastmodified updateddate".split(),
    "lang": "lang language locale".split(),
    "image_url": "image images featuredimage featureimage coverimage heroimage cover thumbnail hero".split(),
    "url": "permalink url slug".split(),
}
_LISTS = {
    "categories": "category categories section".split(),
    "tags": "tag tags".split(),
    "authors": "author authors".split(),
}
_USED = frozenset(name for names in (*_NAMES.values(), *_LISTS.values()) for name in names) | {
    *("taxonomies", "expirydate", "draft", "build", "headless", "layout"),
}


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def _kind_of_path(file: Path, name: str) -> str:
    if "_drafts" in file.absolute().parts[:-1]:
        return "draft"
    if TEMPLATE_FOLDERS.intersection(name.split("/")[:-1]):
        return "template"
    return "section page" if Path(name).name.startswith("_index.") else ""


def _row(number: int, name: str, content: Content, options: SourceOptions) -> RawRow:
    original, text, has_front_matter = content
    front = {column_name(key): value for key, value in reversed(list(original.items()))}
    stem = name[: -len(_full_suffix(name))]
    if not has_front_matter and Path(stem).name.lower() in _README:
        return RawRow(number, skipped="readme")
    article_id = unicodedata.normalize("NFC", stem.removesuffix("/index"))
    if kind := _why_hidden(front, options, stem):
        return RawRow(number, skipped=kind)
    if len(text.encode()) > MAX_BODY_BYTES:
        raise RefusedError("too large", f"a Markdown text may have {MAX_BODY_BYTES >> 20} MiB")
    heading, body = _html(text, is_mdx=suffix_of(Path(name)) == ".mdx", has_title=bool(front.get("title")))
    values = {
        **{ours: _first(front, names) for ours, names in _NAMES.items()},
        **{ours: _list(front, names, stem) for ours, names in _LISTS.items()},
        "id": article_id if is_missing(front.get("id")) else front["id"],
        "body": body,
        "type": front.get("type") or "post",
        "url": _url(front, options),
        "image_url": _image(front, options),
    }
    values["title"] = values["title"] or heading
    values["published_at"], values["updated_at"] = _published(front, stem), _padded(values["updated_at"])
    values["lang"] = values["lang"] or (match[1] if (match := _LANGUAGE.search(stem)) else None)
    # `category` is part of the categories, which are read as a list.
    record = {key: value for key, value in original.items() if key != "category"} | values
    row = row_of(number, record, options)
    return replace(row, unknown=tuple(key for key in row.unknown if column_name(key) not in _USED))


def _full_suffix(name: str) -> str:
    packed = next((ending for ending in (".gz", ".zst") if name.lower().endswith(ending)), "")
    return Path(name[: len(name) - len(packed)]).suffix + packed


def _yaml(source: str) -> Any:
    source = "\n".join(line.rstrip(" \t") for line in source.split("\n"))  # PyYAML refuses tabs there
    return yaml.load(source, _StringLoader)  # noqa: S506 it constructs only text, lists and mappings


def _why_hidden(front: Mapping[str, Any], options: SourceOptions, stem: str) -> str:
    """Return why the generator of the site would not publish a post; other columns are compared later."""
    _check_flags(front, options)
    kind = str(front.get("type") or front.get("layout") or "post").lower()
    build = front.get("build")
    if kind == "page" and kind not in options.types:
        return "page"
    if word_of(front.get("headless")) == "true":
        return "headless"
    if isinstance(build, Mapping) and {word_of(build.get("render")), word_of(build.get("list"))} & _NEVER:
        return "not rendered"
    if word_of(front.get("permalink")) == "false":  # Eleventy
        return "permalink: false"
    return _why_untimely(front, options, stem)


def _check_flags(front: Mapping[str, Any], options: SourceOptions) -> None:
    """Raise RefusedError if the front matter does not say clearly whether a post is public."""
    for name in ("draft", "published"):
        value = front.get(name)
        is_decided = is_missing(value) or name in options.decisions.ignored
        is_decided = is_decided or verdict(name, value, options.decisions).is_decided
        if not is_decided and not (name == "published" and _is_date(value)):
            raise RefusedError(f"{name}: neither true nor false", f"{name} is {str(value)[:40]!r}")


def _why_untimely(front: Mapping[str, Any], options: SourceOptions, stem: str) -> str:
    now = options.now or datetime.now(UTC)
    dates = {name: front.get(name) for name in ("publishdate", "expirydate")}
    dates["date"] = _published(front, stem)
    reader = DateReader(now, options.timezone, options.date_formats)
    for name, value in dates.items():
        if is_missing(value):
            continue
        try:
            moment = reader.read(_padded(value))
        except InvalidArticleError as error:
            if name == "date":
                continue  # the row is refused later, if its column does not prove the order of day and month
            raise RefusedError(f"{name}: impossible date", str(error)) from None
        if (moment <= now) is (name == "expirydate"):
            return "expired" if name == "expirydate" else "future date"
    return ""


_NEVER = frozenset({"never", "false"})


def _published(front: Mapping[str, Any], stem: str) -> Any:
    """Return the publication date in the front matter, or else in the name of the file or its folder."""
    for name in _NAMES["published_at"]:
        value = front.get(name)
        if not is_missing(value) and (name != "published" or _is_date(value)):
            return _padded(value)
    named = next(filter(None, map(_DATED_NAME.match, reversed(stem.split("/")))), None)
    return named[1] if named else None


def _padded(value: Any) -> Any:
    """Return a date of YAML with two digits in its offset, which may be `-4` there."""
    return _SHORT_OFFSET.sub(r"\g<1>0\2", value) if isinstance(value, str) else value


def _is_date(value: Any) -> bool:
    return sum(letter.isdigit() for letter in str(value)) >= len("2024")


def _first(front: Mapping[str, Any], names: Sequence[str]) -> Any:
    value = next((front[name] for name in names if not is_missing(front.get(name))), None)
    return str(value) if isinstance(value, int | float) else value


def _list(front: Mapping[str, Any], keys: Sequence[str], stem: str) -> list[Any]:
    """Return the names in the first key that is set.

    A text is one name in the singular, and in the plural a list separated by commas, or by spaces in Jekyll.
    """
    for key in keys:
        value = front.get(key)
        if isinstance(value, list):
            return [name_in(item) for item in value]
        if isinstance(value, Mapping):
            return [name_in(value)]
        if isinstance(value, str) and value.strip():
            if not key.endswith("s") or key == "section":
                return [value]
            is_jekyll = key != "authors" and _DATED_NAME.match(stem.rpartition("/")[2])
            return value.split(",") if "," in value or not is_jekyll else value.split()
    return []


def _url(front: Mapping[str, Any], options: SourceOptions) -> str | None:
    """Return the first complete address or path; a slug alone does not say where the page is."""
    for name in _NAMES["url"]:
        value = front.get(name)
        address = value.strip() if isinstance(value, str) else ""
        if not re.search(r"[{}]|/:|\s", address) and (url := options.address(address)):
            return url
    return None


def _image(front: Mapping[str, Any], options: SourceOptions) -> str | None:
    for name in _NAMES["image_url"]:
        value = front.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, Mapping):
            value = next(
                (value[key] for key in ("url", "src", "image", "path", "file") if key in value), None
            )
        if isinstance(value, str) and (url := options.address(value.strip())) and "{" not in url:
            return url
    return None


def _html(text: str, *, is_mdx: bool, has_title: bool) -> tuple[str, str]:
    """Return the first heading, unless there is a title, and the rest as HTML."""
    text = _without_tags(_MDX_CODE.sub("", text) if is_mdx else text)
    parser = _parser()
    tokens = parser.parse(text)
    heading = ""
    starts = [place for place, token in enumerate(tokens) if token.type == "heading_open"]
    if starts and not has_title:
        start = starts[0]
        inline: list[Token] = tokens[start + 1].children or []
        heading = str(parser.renderer.render(inline, parser.options, {}))
        del tokens[start : start + 3]
    return heading, str(parser.renderer.render(tokens, parser.options, {}))


def _without_tags(text: str) -> str:
    """Remove template tags. A line of tags becomes a comment: a blank line would end a block of HTML."""
    marked = _TEMPLATE_TAGS.sub("\0", text.replace("\0", ""))
    return _LINE_OF_TAGS.sub("<!-- -->", marked).replace("\0", "")
