"""Lookup of categories by name or slug."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property, lru_cache

import numpy as np

from recommender.serving.index.documents import Documents

_CACHED_MASKS = 64


class UnknownCategoryError(LookupError):
    """No article has a category with this name; `known` lists all category names."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no category is called {name[:100]!r}")
        self.name = name
        self.known = known


class Categories:
    """The categories of a snapshot's articles, primary categories included."""

    def __init__(self, articles: Documents) -> None:
        self._articles = articles
        self._rows_of = lru_cache(maxsize=_CACHED_MASKS)(self._find_rows)

    @cached_property
    def names(self) -> list[str]:
        """The names of all categories in alphabetical order."""
        return sorted({*self._articles.categories.names, *self._articles.category.names}, key=str.casefold)

    @cached_property
    def by_size(self) -> list[str]:
        """The names of the primary categories, the largest first."""
        column = self._articles.category
        counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.names))
        return [column.names[int(code)] for code in np.argsort(-counts, kind="stable")]

    def named(self, wanted: str) -> list[str]:
        """Return the categories with this name or slug, ignoring case. Raises UnknownCategoryError."""
        names = self._names_of.get(key(wanted))
        if not names:
            raise UnknownCategoryError(wanted, self.names)
        return names

    def rows(self, wanted: Iterable[str]) -> np.ndarray:
        """Return the mask (n,) bool of the articles in any category with one of these names or slugs."""
        mask = np.zeros(len(self._articles), dtype=bool)
        for category in {category: None for name in wanted for category in self.named(name)}:
            mask |= self._rows_of(category)
        return mask

    @cached_property
    def _names_of(self) -> dict[str, list[str]]:
        names_of: dict[str, list[str]] = {}
        for name in self.names:
            for name_key in keys(name):
                names_of.setdefault(name_key, []).append(name)
        return names_of

    def _find_rows(self, name: str) -> np.ndarray:
        column, primary = self._articles.categories, self._articles.category
        mask = np.zeros(len(self._articles), dtype=bool)
        if (code := column.names.find(name)) is not None:
            mask |= column.rows_with([code])
        if (code := primary.names.find(name)) is not None:
            mask |= primary.codes == code
        return mask


def keys(name: str) -> set[str]:
    """Return the keys by which a category with this name is found: those of its name and its slug."""
    return {key(name), slug(name)} - {""}


@lru_cache(maxsize=1024)
def slug(name: str) -> str:
    """Return the name as it is written in URLs: lower case, without accents, hyphens between words."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return "-".join(_WORDS.findall(_APOSTROPHES.sub("", key(plain))))


_WORDS = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile("['\u2019]")


def key(name: str) -> str:
    """Return the form of a name or slug in which names are compared, ignoring case."""
    return unicodedata.normalize("NFC", name).casefold()
