"""A search returns exactly the articles with the typed words, the most likely ones first."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recommender.article import Article
from recommender.model import Model
from recommender.serving.index.categories import UnknownCategoryError
from recommender.serving.lists.query import ANY
from recommender.serving.lists.related import Related
from recommender.serving.rules.active import ActiveRules
from recommender.serving.rules.schema import Block, Boost, read_rule
from recommender.text import typed_words, words
from recommender.training.train import Trained, train
from tests.support.laws import examples
from tests.support.newsroom import build_model
from tests.support.sample import NOW
from tests.support.snapshots import snapshot_with

LATER = NOW + timedelta(days=1)


def put(article_id: str, title: str, body: str = "", *, lang: str = "en", **more: object) -> Article:
    return Article(id=article_id, title=title, body=body, lang=lang, published_at=NOW, **more)  # type: ignore[arg-type]


LIVE = [
    put(
        "L1",
        "Zyxwer storm reaches Quillmouth harbour",
        "The storm reached the harbour at noon.",
        category="Sport",
    ),
    put("L2", "Café Žižka reopens", "A café on the harbour opens again."),
    put("L3", "An embargoed storm", "storm storm storm"),
]
LIVE[2] = replace(LIVE[2], published_at=LATER)


@pytest.fixture(scope="module")
def related(trained: Trained) -> Related:
    return Related(snapshot_with(trained.model, LIVE))


@pytest.fixture(scope="module")
def slow(related: Related) -> "Slow":
    return Slow(related)


def ids(related: Related, text: str, limit: int = 50, now: datetime = NOW, **filters: object) -> list[str]:
    matches = related.search(text, limit, now, **filters)  # type: ignore[arg-type]
    return [related.articles.ids[item.row] for item in matches.items]


class Slow:
    """A search that looks at every article word by word."""

    def __init__(self, related: Related) -> None:
        self.related, self.model = related, related.model
        rules, known_terms = self.model.rules, set(self.model.vocabulary.terms)
        self.articles = [related.articles.article(row) for row in range(len(related.articles))]
        self.public = [
            row
            for row, article in enumerate(self.articles)
            if article.published_at is None or article.published_at <= NOW
        ]
        self.terms = [
            known_terms.intersection(rules.terms(article.title, article.body, article.lang))
            for article in self.articles
        ]
        self.titles = [
            {form for word in words(article.title) for form in (word, plain(word), self.stem(word, article))}
            for article in self.articles
        ]
        self.beginnings = [
            {word[:end] for word in terms | title for end in range(1, len(word) + 1)}
            for terms, title in zip(self.terms, self.titles, strict=True)
        ]

    def stem(self, word: str, article: Article) -> str:
        return self.model.rules.stemmed([word], article.lang or self.model.rules.main_lang)[0]

    def has_word(self, row: int, word: str, *, is_prefix: bool) -> bool:
        terms, title, stem = self.terms[row], self.titles[row], self.stem(word, self.articles[row])
        if {word, stem} & title or stem in terms:
            return True
        if not is_prefix:
            is_term = self.model.vocabulary.terms.find(stem) is not None
            return not is_term and any(term.startswith(f"{stem} ") for term in terms)
        if word in self.beginnings[row]:
            return True
        vocabulary = self.model.vocabulary
        for end in range(3, len(word)):
            at = vocabulary.stems.find(word[:end])
            if word[:end] in terms and at is not None and vocabulary.forms[at].startswith(word[: end + 1]):
                return True
        return False

    def missing(self, row: int, text: str) -> tuple[int, int]:
        """Return how many of the words the article lacks, and how many it has."""
        *before, last = typed_words(text)
        rules = self.model.rules
        stop_words = rules.stop_words.get(self.articles[row].lang or rules.main_lang, frozenset())
        whole_words = [word for word in before if word not in stop_words]
        if last in stop_words and not whole_words:
            whole_words = before
        search_words = [(word, False) for word in whole_words]
        if last not in stop_words or whole_words is before:
            search_words.append((last, True))
        has = [self.has_word(row, word, is_prefix=is_prefix) for word, is_prefix in search_words]
        return has.count(False), has.count(True)

    def matches(self, text: str, admits: Callable[[Article], bool] = lambda _: True) -> set[str]:
        if not typed_words(text):
            return set()
        lacks = {
            row: missing
            for row in self.public
            for missing, n_matches in [self.missing(row, text)]
            if n_matches
        }
        best = [
            row
            for row, missing in lacks.items()
            if missing == min(lacks.values()) and admits(self.articles[row])
        ]
        groups: dict[int, list[int]] = {}
        for row in best:
            groups.setdefault(int(self.related.snapshot.copies.first[row]), []).append(row)
        newest = [min(group, key=self.newest) for group in groups.values()]
        return {self.articles[row].id for row in newest}

    def may_be_corrected(self, typed: Sequence[str], searched: Sequence[str]) -> bool:
        """Return whether no public article has a typed word that was replaced."""
        return all(
            word == other or not self.is_public_word(word, is_prefix=position == len(typed) - 1)
            for position, (word, other) in enumerate(zip(typed, searched, strict=True))
        )

    def is_public_word(self, word: str, *, is_prefix: bool) -> bool:
        return any(self.has_word(row, word, is_prefix=is_prefix) for row in self.public)

    def newest(self, row: int) -> tuple[bool, float, bytes]:
        date = self.articles[row].published_at
        return date is None, 0 if date is None else -date.timestamp(), self.articles[row].id.encode()


def plain(word: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", word) if not unicodedata.combining(char))


@st.composite
def texts(draw: st.DrawFn, articles: Sequence[Article]) -> str:
    article = draw(st.sampled_from(articles))
    known = words(f"{article.title} {article.body}")
    others = st.sampled_from(["the", "who", "of", "qwertz", "storm", "universiti", "said", "u", "2"])
    selection = draw(st.lists(st.sampled_from(known) | others, min_size=1, max_size=4))
    return " ".join(selection)[: -draw(st.integers(0, 3)) or None]


@settings(max_examples=examples(20), deadline=None)
@given(
    st.data(),
    st.integers(1, 50),
    st.sampled_from([None, "Politics"]),
    st.sampled_from([None, "Politics", "Sport"]),
    st.sampled_from([ANY, "en"]),
)
def test_a_search_returns_exactly_what_a_slow_and_obvious_one_does(
    related: Related,
    slow: Slow,
    data: st.DataObject,
    limit: int,
    category: str | None,
    excluded: str | None,
    lang: str,
) -> None:
    text = data.draw(texts(slow.articles))
    filters: dict[str, Any] = {
        "categories": [category] if category else [],
        "exclude_categories": [excluded] if excluded else [],
        "lang": lang,
    }
    matches = related.search(text, limit, NOW, **filters)
    expected = slow.matches(
        " ".join(matches.words),
        lambda article: (
            (category is None or category in {article.category, *article.categories})
            and (excluded is None or excluded not in {article.category, *article.categories})
            and lang in {ANY, article.lang}
        ),
    )

    assert slow.may_be_corrected(typed_words(text), matches.words)
    assert matches.eligible == len(expected)
    assert len(matches.items) == min(limit, len(expected))
    shown = [related.articles.ids[item.row] for item in matches.items]
    assert set(shown) <= expected
    assert shown == ids(related, text, **filters)[:limit]
    scores = [item.score or 0 for item in matches.items]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


@given(st.data())
def test_every_beginning_of_a_title_finds_its_article(
    related: Related, slow: Slow, data: st.DataObject
) -> None:
    article = data.draw(
        st.sampled_from([article for article in slow.articles if article.published_at != LATER])
    )
    beginning = article.title[: data.draw(st.integers(1, len(article.title)))]
    assume(typed_words(beginning))  # a title may begin with a quotation mark, which is not a word
    row = related.articles.find(article.id)
    assert row is not None

    rows = {item.row for item in related.search(beginning, len(slow.articles), NOW).items}

    assert {row, *related.snapshot.copies.of(row)} & rows


def test_every_beginning_of_a_word_matches_at_least_as_many_articles_as_the_word(related: Related) -> None:
    for word in ("harbour", "universities", "elections"):
        whole = set(ids(related, word))
        for end in range(1, len(word)):
            assert related.search(word[:end], 50, NOW).eligible >= len(whole), word[:end]


def test_a_new_name_is_found_by_the_title_before_the_model_knows_it(related: Related) -> None:
    assert related.model.vocabulary.terms.find("zyxwer") is None
    assert ids(related, "zyx") == ids(related, "storm ZYXWER") == ["L1"]


def test_accents_may_be_left_out_of_words_of_titles(related: Related) -> None:
    assert ids(related, "zizka") == ids(related, "Žižka") == ["L2"]


def test_an_article_under_embargo_is_not_found(related: Related) -> None:
    assert "L3" not in ids(related, "embargoed storm")
    assert ids(related, "embargoed storm", now=LATER)[0] == "L3"


BLOCK = Block(id="b", kind="block", articles=("L1",), reason="r", author="a")


def test_withdrawn_and_hidden_articles_are_not_found(related: Related) -> None:
    assert ids(Related(related.snapshot, ActiveRules((BLOCK,))), "zyxwer") == []
    assert ids(Related(related.snapshot.without_withdrawn({"L1": 0})), "zyxwer") == []


def test_an_article_blocked_in_a_category_is_not_found_there(related: Related) -> None:
    in_category = read_rule(BLOCK.as_json() | {"for_category": "Sport"}, "b")
    blocked = Related(related.snapshot, ActiveRules((in_category,)))

    assert ids(related, "zyxwer", categories=["sport"]) == ["L1"]
    assert ids(blocked, "zyxwer", categories=["sport"]) == []
    assert ids(blocked, "zyxwer") == ["L1"]


def test_a_category_without_articles_is_rejected(related: Related) -> None:
    with pytest.raises(UnknownCategoryError):
        related.search("storm", 9, NOW, categories=["Astrology"])


def test_an_earlier_snapshot_does_not_find_later_articles(trained: Trained) -> None:
    before = snapshot_with(trained.model, LIVE[:1])
    after = before.with_articles([(LIVE[1], snapshot_with(trained.model, LIVE[1:2]).folded[0])])

    assert ids(Related(after), "zizka") == ["L2"]
    assert ids(Related(before), "zizka") == []
    assert ids(Related(before), "zyxwer") == ["L1"]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Storm in t", ["storm", "in", "t"]),
        ("vitamin d deficiency", ["vitamin", "deficiency"]),
        ("g", ["g"]),
        ("東京 g", ["東京", "g"]),
        ("京", ["京"]),
        ("-- ", []),
    ],
)
def test_the_last_word_typed_may_be_a_single_letter(text: str, typed: list[str]) -> None:
    assert typed_words(text) == typed


def test_a_text_without_words_finds_nothing(related: Related) -> None:
    matches = related.search(" ?! ", 9, NOW)

    assert (matches.eligible, matches.items) == (0, ())


def test_if_no_article_has_all_words_those_with_the_most_are_found(related: Related) -> None:
    assert ids(related, "zyxwer qwertzuiop storm") == ["L1"]


@pytest.mark.parametrize(
    ("typed", "corrected"),
    [
        ("zyxwre", "zyxwer"),
        ("quillmuoth stor", "quillmouth stor"),
        ("zizkka", "zizka"),
        ("quilmou", "quillmouth"),
    ],
)
def test_a_word_that_no_article_has_is_taken_for_a_typo(related: Related, typed: str, corrected: str) -> None:
    assert ids(related, typed) == ids(related, corrected)
    assert related.search(typed, 9, NOW).corrected_query == corrected


@pytest.mark.parametrize("typed", ["storm", "zyx", "20265", "embargeod", "the"])
def test_other_words_are_searched_as_typed(related: Related, typed: str) -> None:
    assert related.search(typed, 9, NOW).corrected_query is None


def test_a_word_of_an_article_under_embargo_is_never_suggested(related: Related) -> None:
    assert ids(related, "embargoed", now=LATER) == ["L3"]
    assert related.search("embargeod", 9, LATER).corrected_query == "embargoed"
    assert related.search("embargeod", 9, NOW).corrected_query is None


@pytest.fixture(scope="module")
def mixed() -> Related:
    """A newsroom with articles in three languages."""
    return Related(small_model([
        put("en1", "War in the north", "The war goes on in the north, and ships wait."),
        put("en2", "Ships wait for the war to end", "Ships wait in the harbour."),
        put("en3", "Harbour news", "Once there was a war. " + "Ships wait in the harbour. " * 9),
        put("de1", "Der Hafen war leer", "Der Hafen war leer, und die Schiffe warteten.", lang="de"),
        put("de2", "Die Häfen im Norden", "Die Häfen im Norden sind voller Schiffe.", lang="de"),
        put("ja1", "東京都で地震", "東京都で地震がありました。", lang="ja"),
        put("ja2", "京都の祭り", "京都で祭りがありました。", lang="ja"),
    ]))  # fmt: skip


def small_model(articles: Sequence[Article]) -> Model:
    return train(list(articles), now=NOW).model


def test_articles_with_the_words_in_the_title_come_first(mixed: Related) -> None:
    assert set(ids(mixed, "war", lang="en")[:2]) == {"en1", "en2"}
    assert ids(mixed, "war", lang="en")[2:] == ["en3"]
    assert ids(mixed, "ships wait", lang="en")[0] == "en2"


def test_the_word_itself_comes_before_words_that_begin_with_it() -> None:
    rest = "Nothing of the kind was heard in the council chamber that day."
    titles = ["Barley harvest fails in the north", "Bar closes early in the south", "No drought here"]
    related = Related(small_model([put(f"{at}", title, rest) for at, title in enumerate(titles)]))

    assert ids(related, "bar") == ["1", "0"]
    assert (ids(related, "barl"), ids(related, "bar clo")) == (["0"], ["1"])


def test_stop_words_count_if_nothing_else_was_typed() -> None:
    titles = ["The Who reunite", "Who pays for storms", "A storm of protest", "Snow"]
    related = Related(small_model([put(f"{at}", title) for at, title in enumerate(titles)]))

    assert ids(related, "the who") == ["0"]
    assert set(ids(related, "the storms of")) == {"1", "2"}
    assert ids(related, "of") == ["2"]


def test_all_forms_of_a_word_are_found_if_terms_are_not_stemmed() -> None:
    articles = [
        put("1", "Elections in May"),
        put("2", "Night falls", "They voted in the election."),
        put("3", "An election is held", "Snow on election day."),
        put("4", "Snow"),
    ]
    model = build_model(articles)
    recipe = model.manifest.recipe
    stemmed = recipe.model_copy(update={"terms": recipe.terms.model_copy(update={"stems": True})})
    adapted = model.manifest.adapted.model_copy(update={"unstemmed": ["en"]})
    manifest = model.manifest.model_copy(update={"recipe": stemmed, "adapted": adapted})
    related = Related(replace(model, manifest=manifest))

    assert ids(related, "elections") == ["1", "3", "2"]
    assert ids(related, "elections snow") == ["3"]
    assert set(ids(related, "elected")) == {"1", "2", "3"}


def test_all_forms_of_a_word_are_found() -> None:
    articles = [
        put("1", "Election night"),
        put("2", "Night falls", "They voted in the election."),
        put("3", "Snow"),
        put("4", "Elections tonight"),
    ]
    related = Related(small_model(articles))

    assert ids(related, "elections") == ["4", "1", "2"]
    assert set(ids(related, "elections night")) == {"1", "2"}


@pytest.mark.parametrize(
    ("lang", "expected"), [("zh-Hans", {"s", "old"}), ("zh-Hant", {"t", "old"}), ("zh", {"s", "t", "old"})]
)
def test_an_article_of_an_old_model_is_in_lists_of_both_written_forms(lang: str, expected: set[str]) -> None:
    related = Related(
        small_model(
            [
                put("s", "港口", "电车线路", lang="zh-Hans"),
                put("t", "港口", "春季開始工程", lang="zh-Hant"),
                put("old", "港口", "博物馆", lang="zh"),
                put("en", "港口", "Harbour", lang="en"),
            ]
        )
    )

    assert set(ids(related, "港口", lang=lang)) == expected


def test_of_two_equal_matches_the_newer_comes_first() -> None:
    old = replace(put("1", "Storm in the north", "Rain"), published_at=NOW - timedelta(days=900))
    related = Related(small_model([old, put("2", "Storm in the south", "Rain"), put("3", "Else", "Nothing")]))

    assert ids(related, "storm") == ["2", "1"]


def test_boosts_apply_to_matches(mixed: Related) -> None:
    second = ids(mixed, "war", lang="en")[1]
    boosted = ActiveRules(
        (Boost(id="b", kind="boost", articles=(second,), factor=1.5, reason="r", author="a"),)
    )

    assert ids(Related(mixed.snapshot, boosted), "war", lang="en")[0] == second


def test_an_article_is_searched_in_its_own_language(mixed: Related) -> None:
    assert set(ids(mixed, "der hafen")) == {"de1", "de2"}  # a stop word, and the plural of the other
    assert ids(mixed, "war im norden") == ["de2"]  # in German it is a stop word


def test_scripts_without_spaces_are_searched_by_pairs(mixed: Related) -> None:
    assert ids(mixed, "東京") == ["ja1"]
    assert ids(mixed, "東京都") == ["ja1"]
    assert ids(mixed, "京都の") == ["ja2"]
    assert set(ids(mixed, "京")) == {"ja1", "ja2"}
