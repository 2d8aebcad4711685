"""Texts are near-duplicates if they share a large part of their words in the same order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.article import Article
from recommender.copies import WordTriples
from recommender.serving.index.fold_in import fold_in
from recommender.serving.index.snapshot import Snapshot
from recommender.training.train import train

WIRE = (
    "The ferry to the northern islands was stopped on Tuesday after inspectors found cracks in two of its "
    "four lifeboats, the harbour office said. About three hundred passengers waited on the quay until a "
    "replacement arrived from the mainland in the evening."
)
# Titles and bodies of two reports on one event, in three languages.
OPPOSED = {
    "en": """\
Mayor plans a bridge in Brackwater
The mayor of Brackwater announced a bridge across the river on Wednesday. It is to cost nine million.
Brackwater council rejects the mayor's bridge
The council of Brackwater rejected the bridge on Friday. The opposition spoke of an expensive toy.""",
    "cs": """\
Starosta plánuje most přes řeku
Starosta ve středu oznámil stavbu mostu přes řeku. Most má stát devět milionů.
Zastupitelé odmítli starostův most
Zastupitelé v pátek odmítli stavbu mostu přes řeku. Opozice mluvila o drahé hračce.""",
    "ja": """\
市長が橋の計画を発表
市長は水曜日、川に橋を架ける計画を発表した。費用は九百万で、二年で完成する予定だ。
市議会が橋の計画を否決
市議会は金曜日、市長の橋の計画を否決した。市長は失望を隠さず、野党は高い玩具だと述べた。""",
}
REPORTS = [
    Article(id=f"{lang} {part}", title=lines[2 * part], body=lines[2 * part + 1])
    for lang, lines in ((lang, text.split("\n")) for lang, text in OPPOSED.items())
    for part in range(2)
]


def same(first: str, second: str, titles: tuple[str, str] = ("One", "Two")) -> bool:
    return WordTriples.of(titles[0], first).is_same_text(WordTriples.of(titles[1], second))


@pytest.mark.parametrize("place", range(0, len(REPORTS), 2))
def test_two_reports_of_one_event_are_not_the_same_text(place: int) -> None:
    one, other = REPORTS[place : place + 2]

    assert not same(one.body, other.body, (one.title, other.title))


@pytest.mark.parametrize(
    "changed",
    [
        WIRE.upper(),
        WIRE.replace(" on Tuesday", ""),
        f"OFFSHORE DESK. {WIRE} Ticket holders get their money back.",
        WIRE[: len(WIRE) // 2],
        WIRE.replace("About three hundred", "Some 300").replace("in the evening", "at seven"),
    ],
)
def test_republished_copy_is_the_same_text(changed: str) -> None:
    assert same(WIRE, changed)
    assert same(changed, WIRE)


def test_two_reports_that_share_the_captions_of_a_gallery_are_not_the_same_text() -> None:
    captions = " ".join(
        f"Photo {number}: the crew mends net {number} on deck {number}." for number in range(9)
    )
    strike = " ".join(f"The strikers asked for {number} hours of rest." for number in range(12))
    storm = " ".join(f"The storm broke {number} masts at night." for number in range(12))

    assert not same(f"{captions} {strike}", f"{captions} {storm}")
    assert same(f"{captions} {strike}", f"{captions} {strike} {storm} {storm}")


def test_short_texts_are_the_same_only_if_their_bodies_are_equal() -> None:
    assert same("The ferry sank in the harbour.", "The ferry sank in the harbour.")
    assert not same("The ferry sank in the harbour.", "The ferry sank in the harbour today.")
    assert same("", "", ("Ferry sinks", "Ferry sinks"))
    assert not same("", "", ("Ferry sinks", "Ferry sinks again"))
    assert not same("", "", ("", ""))


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_comparison_is_symmetric(first: str, second: str) -> None:
    assert same(first, second) == same(second, first)


@pytest.mark.slow
def test_reports_that_share_rare_words_only_with_each_other_are_no_copies_in_any_corpus(
    sample_articles: list[Article],
) -> None:
    for size in (0, 20, 60):
        model = train([*sample_articles[:size], *REPORTS]).model
        rows = [model.articles.ids.find(article.id) for article in REPORTS]
        assert len({model.copies.first[row] for row in rows}) == len(REPORTS)
    snapshot = Snapshot.of(train(sample_articles[:60]).model)
    live = snapshot.with_articles([(article, fold_in(snapshot.model, article)) for article in REPORTS])
    assert len(set(live.copies.first[-len(REPORTS) :].tolist())) == len(REPORTS)
