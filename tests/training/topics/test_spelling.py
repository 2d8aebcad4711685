"""Spelling of terms: as most articles write them, and completed."""

import pytest

from recommender.training.topics.spelling import spelling


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        ("police", "Police said the police were there. Police!", "Police"),
        ("police", "Police said the police were there.", "police"),
        ("bureau investigation", "the Bureau\u00a0of Investigation", "Bureau of Investigation"),
        ("covid 19", "a COVID-19 ward", "COVID-19"),
        ("sex marriage", "a same-sex marriage", "same-sex marriage"),
        ("john hospital", "at St John's Hospital", "John's Hospital"),
        ("tax cuts", "no tax. Cuts hurt", "tax cuts"),
        ("c++", "", "c++"),
        ("island ferry", "An İsland. The Non-Island Ferry", "Non-Island Ferry"),  # longer in lower case
        ("αθηνασ", "Η ΑΘΗΝΑΣ", "ΑΘΗΝΑΣ"),
        ("ferry", "ferryman Ferry", "Ferry"),
        ("汐見 見大", "汐見大橋", "汐見大"),
        ("汐見 大橋", "", "汐見 大橋"),
    ],
)
def test_a_term_is_spelt_as_most_texts_spell_it(term: str, text: str, expected: str) -> None:
    assert spelling(term, [text]) == expected


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        ("israeli prime", "An Israeli Prime Minister left. ", "Israeli Prime Minister"),
        (
            "centers disease",
            "the Centers for Disease Control and Prevention; ",
            "Centers for Disease Control and Prevention",
        ),
        ("hockey league", "The National Hockey League met. ", "National Hockey League"),
        ("rep alexandria", "of Rep. Alexandria Vale, ", "Rep. Alexandria Vale"),
        ("green party", "The Green Partys said no, ", "Green Partys"),
        ("prosecutor", "It was the prosecutor who asked. ", "prosecutor"),
    ],
)
def test_a_term_is_completed_by_the_words_that_always_stand_beside_it(
    term: str, text: str, expected: str
) -> None:
    assert spelling(term, [text] * 3, {"national", "control"}) == expected


def test_a_word_that_stands_beside_a_term_only_sometimes_does_not_complete_it() -> None:
    texts = ["Harbour Bridge toll", "Harbour Bridge", "Harbour Bridge closed", "Harbour Bridge Toll"]

    assert spelling("harbour bridge", texts, {"toll", "closed"}) == "Harbour Bridge"
