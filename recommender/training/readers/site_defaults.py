"""Visibility that a site sets outside its Markdown posts: in its configuration, section pages or data files.

Read are `defaults` of Jekyll, `cascade` of Hugo, and data files of Eleventy, in the folder of the posts, in
its subfolders, and in the folders above it up to that of the site's configuration. Defaults for a folder are
applied. Others may hide a post too: they stop the run, unless the post itself has the key.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recommender.fields import RefusedError, is_missing
from recommender.training.formats.files import (
    CorpusError,
    SourceOptions,
    folders_in,
    is_regular,
    limits,
    opened,
)
from recommender.training.formats.markdown import TEMPLATE_FOLDERS, Defaults, front_matter, parsed
from recommender.visibility import column_name, verdict, word_of


def site_defaults(path: Path, options: SourceOptions) -> Defaults:
    """Return a function of a post's file and front matter that adds the visibility that its site sets.

    The keys of a post win, then those of the nearest folder. `path` is a Markdown file or a folder. The
    function raises CorpusError if it is not certain whether a file hides the post, and the post lacks the
    key; the message has the file, the key and the cure.
    """
    root = path if path.is_dir() else path.parent
    folder = root.resolve()
    found = _Found(root, folder, options)
    below = folders_in(folder) if path.is_dir() else [(folder, _names_in(folder))]
    for parent, names in [*_folders_above(folder), *below]:
        if not TEMPLATE_FOLDERS.intersection(parent.parts[len(folder.parts) :]):
            found.read_folder(parent, names)
    return found.added


class _Found:
    """The keys about visibility that are set for each folder or file."""

    def __init__(self, root: Path, folder: Path, options: SourceOptions) -> None:
        self._root, self._folder = root, folder  # the same folder, as the user names it and resolved
        self._options = options
        self._values_of: dict[Path, dict[str, tuple[str, Any]]] = {}  # by resolved folder or file
        self._uncertain_of: dict[Path, dict[str, tuple[str, Path]]] = {}  # the key, and the file that sets it

    def added(self, file: Path, front: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the front matter of a file with the defaults for it."""
        if not self._values_of and not self._uncertain_of:
            return front
        resolved = self._folder / file.relative_to(self._root)
        own = {column_name(key) for key, value in front.items() if not is_missing(value)}
        defaults: dict[str, tuple[str, Any]] = {}
        for scope in [*reversed(resolved.parents), resolved]:
            defaults |= self._values_of.get(scope, {})
            for name, (key, origin) in self._uncertain_of.get(scope, {}).items():
                if name not in own:
                    raise _refused(origin, key, file)
        # An empty key of the post, such as `draft:`, decides nothing.
        stated = {
            key: front[key] for key in front if column_name(key) in own or column_name(key) not in defaults
        }
        return stated | dict(pair for name, pair in defaults.items() if name not in own)

    def read_folder(self, folder: Path, names: Sequence[str]) -> None:
        """Read the files of a folder that may set defaults; the last one wins."""
        # Other folders contain the settings of Hugo for one environment, or in parts.
        is_site = folder.parent.name != "config"
        site = folder if is_site else folder.parent.parent
        for name in names:
            if _JEKYLL_CONFIG.fullmatch(name):
                self._read_jekyll(folder / name, is_used=Path(name).stem == "_config")
            elif name in _HUGO_CONFIGS or (name.startswith("cascade.") and not is_site):
                self._read_cascade(folder / name, site, is_certain=is_site)
        for name in names:
            if name.startswith("_index."):
                self._read_cascade(folder / name, folder, is_certain=name.count(".") == 1)
        present = frozenset(names)
        # Eleventy prefers `posts.11tydata.json` to `posts.json`.
        for name in sorted(names, key=lambda name: ".11tydata." in name):
            if match := _DATA_FILE.fullmatch(name):
                self._read_data(folder / name, match["stem"], present)

    def _read_jekyll(self, file: Path, *, is_used: bool) -> None:
        config = self._parsed(file, "defaults", file.parent)
        is_moved = any(_of(config, name) for name in ("source", "collectionsdir"))
        for entry in _listed(_of(config, "defaults")):
            scope = _of(entry, "scope")
            path, kind = str(_of(scope, "path") or "").strip("/"), word_of(_of(scope, "type"))
            is_certain = is_used and not kind and not (path and is_moved) and not _PATTERN.search(path)
            if kind != "drafts":  # they are skipped by the name of their folder
                covered = file.parent / path if is_certain else file.parent
                self._add(file, covered, _of(entry, "values"), is_certain=is_certain)

    def _read_cascade(self, file: Path, scope: Path, *, is_certain: bool) -> None:
        is_part = file.name.startswith("cascade.")
        values = self._parsed(file, "" if is_part else "cascade", scope)
        entries = _listed(values if is_part else _of(values, "cascade"))
        for entry in entries:
            is_simple = len(entries) == 1 and _of(entry, "target") is None
            self._add(file, scope, entry, is_certain=is_certain and is_simple)
        for language in _items(_of(values, "languages")).values():
            for entry in _listed(_of(language, "cascade")):
                self._add(file, scope, entry, is_certain=False)

    def _read_data(self, file: Path, stem: str, names: frozenset[str]) -> None:
        """Read the data of a folder, which has the same name, or of one post."""
        posts = [f"{stem}{suffix}" for suffix in (".md", ".markdown", ".mdx") if f"{stem}{suffix}" in names]
        scopes = [file.parent] if stem == file.parent.name else [file.parent / post for post in posts]
        if not scopes or not is_regular(file):
            return
        for scope in scopes:
            if file.suffix not in _KIND_OF_SUFFIX:
                self._add_words(file, scope, _text(file))
                continue
            data = self._parsed(file, "", scope)
            self._add(file, scope, data, is_certain=True)
            self._add(file, scope, _of(data, "eleventycomputed"), is_certain=False)

    def _add(self, file: Path, scope: Path, values: Any, *, is_certain: bool) -> None:
        for key, value in _items(values).items():
            if is_missing(value) or not self._is_about_visibility(key):
                continue
            hides, name = self._may_hide(key, value), column_name(key)
            if is_certain and (hides or name != "permalink"):
                self._values_of.setdefault(scope, {})[name] = (key, value)
            elif hides:
                self._uncertain_of.setdefault(scope, {})[name] = (key, file)

    def _is_about_visibility(self, key: str) -> bool:
        columns, decisions = self._options.columns, self._options.decisions
        if key in columns.values():
            return key in {columns.get("status"), columns.get("post_password")}
        is_more = column_name(key) in _MORE_KEYS and column_name(key) not in decisions.ignored
        return is_more or decisions.is_visibility_column(key)

    def _may_hide(self, key: str, value: Any) -> bool:
        if more := _MORE_KEYS.get(column_name(key)):
            return more(value)
        meaning = verdict(key, value, self._options.decisions)
        return bool(meaning.hidden) or not meaning.is_decided or meaning.needs_date

    def _parsed(self, file: Path, word: str, scope: Path) -> Any:
        """Return the keys in a file; None if it is no regular file, lacks the word, or is a list of JSON.

        If it cannot be parsed, the keys that it mentions are uncertain.
        """
        text = _text(file).strip() if is_regular(file) else ""
        if word not in text.casefold() or not text or (file.suffix == ".json" and text[0] == "["):
            return None
        kind = _KIND_OF_SUFFIX.get(file.suffix)
        try:
            return parsed(text, kind) if kind else front_matter(text)[0]
        except RefusedError:
            self._add_words(file, scope, text)
            return None

    def _add_words(self, file: Path, scope: Path, text: str) -> None:
        """Add the keys that a program, or a broken file, mentions."""
        keys = {word for word in re.findall(r"[A-Za-z][\w-]*", text) if column_name(word) not in _MORE_KEYS}
        keys.update(_HIDING_CODE.findall(text))
        for key in sorted(filter(self._is_about_visibility, keys)):
            self._uncertain_of.setdefault(scope, {})[column_name(key)] = (key, file)


def _folders_above(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders above, from that of the site's configuration; none if there is no configuration."""
    parents = [folder, *folder.parents]
    for place, parent in enumerate(parents):
        settings = parent / "config" / "_default"
        if settings.is_dir() or any(is_regular(parent / name) for name in _CONFIGS):
            if place and settings.is_dir():
                yield from folders_in(settings.parent)
            for above in reversed(parents[1 : place + 1]):
                yield above, _names_in(above)
            return


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 names, not paths
    except OSError as error:
        raise CorpusError(
            f"{folder} cannot be read ({error.strerror}); it may say which posts are public"
        ) from None


def _text(file: Path) -> str:
    with opened(file) as stream:
        content = stream.read(limits().row_bytes + 1)
        limits().check_row(file, "the file", len(content))
    return content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _refused(file: Path, key: str, post: Path) -> CorpusError:
    return CorpusError(
        f"{file} may hide posts such as {post} by {key!r}, but it is not certain which; put {key!r} into the "
        "front matter of these posts, or pass a copy of the public posts in another folder. If the key is "
        f"not about visibility, use --not-visibility {key}"
    )


def _items(values: Any) -> Mapping[str, Any]:
    return {str(key): value for key, value in values.items()} if isinstance(values, Mapping) else {}


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list) else [values]


def _of(values: Any, name: str) -> Any:
    """Return the value of a key in any spelling."""
    return next((value for key, value in _items(values).items() if column_name(key) == name), None)


def _is_never(value: Any) -> bool:
    return bool({word_of(_of(value, "render")), word_of(_of(value, "list"))} & {"never", "false"})


_KIND_OF_SUFFIX = {".toml": "toml", ".json": "json", ".yml": "yaml", ".yaml": "yaml"}
_JEKYLL_CONFIG = re.compile(r"_config\b.*\.(?:ya?ml|toml)|_config_.*\.(?:ya?ml|toml)")
_HUGO_CONFIGS = frozenset(f"{name}{suffix}" for name in ("hugo", "config") for suffix in _KIND_OF_SUFFIX)
_CONFIGS = sorted(
    {"_config.yml", "_config.yaml", "_config.toml", ".eleventy.js", *_HUGO_CONFIGS}
    | {f"eleventy.config.{suffix}" for suffix in ("js", "cjs", "mjs", "ts")}
)
_DATA_FILE = re.compile(r"(?P<stem>.+?)(?:\.11tydata\.(?:[cm]?[jt]s|json|ya?ml|toml)|\.(?:json|ya?ml|toml))")
_PATTERN = re.compile(r"[*?\[{]|\.\.")
_HIDING_CODE = re.compile(r"\b(permalink)[\"']?\s*:\s*false\b")
# Keys that hide a post but are no columns, and which of their values do so.
_MORE_KEYS: Mapping[str, Callable[[Any], bool]] = {
    "build": _is_never,
    "headless": lambda value: word_of(value) == "true",
    "permalink": lambda value: word_of(value) == "false",
    "publishdate": lambda _: True,
    "expirydate": lambda _: True,
}
