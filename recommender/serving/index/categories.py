"""Categories by the names that editors and addresses give them."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property, lru_cache

import numpy as np

from recommender.serving.index.documents import Documents

_CACHED_MASKS = 64


class UnknownCategoryError(LookupError):
    """No article carries a category of this name; `known` lists those that some article carries."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no category is called {name[:100]!r}")
        self.name = name
        self.known = known


class Categories:
    """The categories of an edition's articles, primary and other ones alike."""

    def __init__(self, articles: Documents) -> None:
        self._articles = articles
        self._rows_of = lru_cache(maxsize=_CACHED_MASKS)(self._find_rows)

    @cached_property
    def names(self) -> list[str]:
        """The names of all categories in alphabetical order."""
        return sorted({*self._articles.categories.names, *self._articles.category.names}, key=str.casefold)

    @cached_property
    def by_size(self) -> list[str]:
        """The names of the primary categories, the most used first."""
        column = self._articles.category
        counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.names))
        return [column.names[int(code)] for code in np.argsort(-counts, kind="stable")]

    def named(self, wanted: str) -> list[str]:
        """Return the categories with this name or slug, ignoring case. Raises UnknownCategoryError."""
        found = self._by_key.get(key(wanted))
        if not found:
            raise UnknownCategoryError(wanted, self.names)
        return found

    def rows(self, wanted: Iterable[str]) -> np.ndarray:
        """Return a mask over the rows, (n,) bool: the articles with any of these names or slugs."""
        mask = np.zeros(len(self._articles), dtype=bool)
        for name in wanted:
            for exact in self.named(name):
                mask |= self._rows_of(exact)
        return mask

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        by_key: dict[str, list[str]] = {}
        for name in self.names:
            for each in keys(name):
                by_key.setdefault(each, []).append(name)
        return by_key

    def _find_rows(self, name: str) -> np.ndarray:
        column, primary = self._articles.categories, self._articles.category
        mask = np.zeros(len(self._articles), dtype=bool)
        if (code := column.names.find(name)) is not None:
            mask |= column.rows_with([code])
        if (code := primary.names.find(name)) is not None:
            mask |= primary.codes == code
        return mask


def keys(name: str) -> set[str]:
    """Return what a category of this name answers to, in the spelling of `key`: its name and its slug."""
    return {key(name), slug(name)} - {""}


def slug(name: str) -> str:
    """Return the name as addresses carry it: lower case, without accents, hyphens between words."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return "-".join(_WORDS.findall(_APOSTROPHES.sub("", key(plain))))


_WORDS = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile("['\u2019]")


def key(name: str) -> str:
    """Return a name, or a slug, as names are compared: case does not count."""
    return unicodedata.normalize("NFC", name).casefold()
