"""The titles and bodies of a corpus as UTF-8 in flat blocks, so that compiled kernels can read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.article import Article
from recommender.training.kernels import Int64s, Uint8s, inner, kernel, run_all

_BLOCK_BYTES = 4_000_000


@dataclass(frozen=True)
class TextBlock:
    """The texts of consecutive articles: title, body, title, body and so on."""

    utf8: np.ndarray  # (bytes,) uint8; lone surrogates are encoded like other characters
    bounds: np.ndarray  # (2 articles + 1,) int64; text i is utf8[bounds[i]:bounds[i + 1]]

    def __len__(self) -> int:
        """Return the number of articles."""
        return len(self.bounds) // 2


@dataclass(frozen=True)
class Texts:
    """The texts of a corpus, in blocks of a few megabytes."""

    blocks: list[TextBlock]  # at least one

    @classmethod
    def of(cls, articles: Sequence[Article]) -> "Texts":
        """Encode the titles and bodies of the articles."""
        return cls(list(_blocks(articles)))

    def __len__(self) -> int:
        """Return the number of articles."""
        return sum(map(len, self.blocks))

    @property
    def first_rows(self) -> np.ndarray:
        """The row of each block's first article, and the number of articles at the end, (blocks + 1,)."""
        return np.cumsum([0, *map(len, self.blocks)])

    def bodies(self) -> list[str]:
        """Return the bodies as strings."""
        return [
            block.utf8[start:end].tobytes().decode(errors="surrogatepass")
            for block in self.blocks
            for start, end in zip(block.bounds[1::2].tolist(), block.bounds[2::2].tolist(), strict=True)
        ]

    def characters(self, at_most: int, threads: int) -> int:
        """Return the number of characters in all bodies, of which each counts for `at_most` or less."""
        return sum(
            run_all([(_characters, block.utf8, block.bounds, at_most) for block in self.blocks], threads)
        )

    def first_bodies(self, threads: int) -> np.ndarray:
        """Return which bodies are not empty and not equal to that of an earlier article, (n,) bool.

        Bodies are compared by 64-bit hashes: among a million, two different ones have equal hashes with a
        probability of 3 in 100 million.
        """
        hashes = np.concatenate(
            list(run_all([(_body_hashes, block.utf8, block.bounds) for block in self.blocks], threads))
        )
        _, firsts = np.unique(hashes, return_index=True)
        is_first = np.zeros(len(hashes), dtype=bool)
        is_first[firsts] = True
        return np.asarray(is_first & self._filled)

    def repeated_bodies(self, threads: int) -> np.ndarray:
        """Return which articles have the same body, not empty, as an earlier one, (n,) bool."""
        return np.asarray(self._filled & ~self.first_bodies(threads))

    @property
    def _filled(self) -> np.ndarray:
        return np.concatenate([np.diff(block.bounds)[1::2] > 0 for block in self.blocks])


def _blocks(articles: Sequence[Article]) -> Iterator[TextBlock]:
    texts: list[bytes] = []
    size = 0
    for article in articles:
        for text in (article.title, article.body):
            texts.append(text.encode(errors="surrogatepass"))
            size += len(texts[-1])
        if size >= _BLOCK_BYTES:
            yield text_block(texts)
            texts, size = [], 0
    if texts or not articles:
        yield text_block(texts)


def text_block(texts: Sequence[bytes]) -> TextBlock:
    """Return texts in UTF-8 as one block."""
    bounds = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(list(map(len, texts)), out=bounds[1:])
    # A bytearray, because kernels are compiled separately for arrays that cannot be written.
    return TextBlock(np.frombuffer(bytearray().join(texts), dtype=np.uint8), bounds)


@inner
def code_point(utf8: np.ndarray, at: int) -> tuple[int, int]:
    """Return the code point that begins at a byte, and its length in bytes."""
    first = int(utf8[at])
    if first < 0x80:  # noqa: PLR2004 the first byte says how many follow, here and below
        return first, 1
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4  # noqa: PLR2004
    code = first & (0x7F >> length)
    for offset in range(1, length):
        code = code << 6 | int(utf8[at + offset]) & 0x3F
    return code, length


@kernel
def _characters(utf8: Uint8s, bounds: Int64s, at_most: int) -> int:
    """Return the number of characters in the bodies, of which each counts for `at_most` or less."""
    total = 0
    for body in range(1, len(bounds) - 1, 2):
        characters = 0
        for at in range(np.uint64(bounds[body]), np.uint64(bounds[body + 1])):
            characters += (utf8[at] & 0xC0) != 0x80  # noqa: PLR2004 no byte that continues a character
        total += min(characters, at_most)
    return total


@kernel
def _body_hashes(utf8: Uint8s, bounds: Int64s) -> np.ndarray:
    """Return a hash of each body, (articles,) uint64: FNV-1a, of every fourth byte in turn."""
    hashes = np.empty(len(bounds) // 2, dtype=np.uint64)
    prime = np.uint64(1099511628211)
    for body in range(1, len(bounds) - 1, 2):
        at, end = bounds[body], bounds[body + 1]
        a = b = c = d = np.uint64(14695981039346656037) ^ np.uint64(end - at)
        while at + 4 <= end:  # four independent products take the time of one
            a = (a ^ np.uint64(utf8[at])) * prime
            b = (b ^ np.uint64(utf8[at + 1])) * prime
            c = (c ^ np.uint64(utf8[at + 2])) * prime
            d = (d ^ np.uint64(utf8[at + 3])) * prime
            at += 4
        while at < end:
            a = (a ^ np.uint64(utf8[at])) * prime
            at += 1
        for part in (b, c, d):
            a = (a ^ part) * prime
            a ^= a >> np.uint64(29)
        hashes[body // 2] = a
    return hashes
