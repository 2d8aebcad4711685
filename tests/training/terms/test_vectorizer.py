"""TF-IDF equals the result of scikit-learn, fitted on the same articles."""

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.article import Article
from recommender.fixed_point import SCALE, round_rows
from recommender.recipe import Terms
from recommender.text import TermRules
from recommender.training.terms.counting import TermCounts, count_terms
from recommender.training.terms.vectorizer import ArticleAnalyzer, fitted_vectorizer, term_weights, tfidf
from recommender.training.train import ESTIMATORS, Trained
from tests.support.laws import examples

pytestmark = pytest.mark.slow


def idf_of(counts: TermCounts) -> np.ndarray:
    return np.asarray(1 + np.log((1 + len(counts.offsets) - 1) / (1 + counts.df)))


def fit(
    articles: list[Article], rules: TermRules, min_df: int, max_df: int, recipe: Terms
) -> tuple[TfidfVectorizer, csr_array]:
    """Fit scikit-learn's vectorizer, then apply the recipe's weights."""
    vectorizer = TfidfVectorizer(
        analyzer=ArticleAnalyzer(rules), sublinear_tf=True, token_pattern=None, min_df=min_df, max_df=max_df
    ).fit(articles)
    names = vectorizer.get_feature_names_out()
    of_kind = {True: recipe.pair_weight, False: 1.0}
    weights = [recipe.piece_weight if "…" in name else of_kind[" " in name] for name in names]
    vectorizer.idf_ = vectorizer.idf_**recipe.idf_power * np.array(weights)
    return vectorizer, csr_array(vectorizer.transform(articles))


@pytest.fixture(scope="module")
def reference(sample_articles: list[Article], trained: Trained) -> tuple[TfidfVectorizer, csr_array]:
    """The vectorizer that scikit-learn fits on the sample, and its rows."""
    adapted = trained.model.manifest.adapted
    return fit(sample_articles, trained.model.rules, adapted.min_df, adapted.max_df, Terms())


def test_the_vocabulary_equals_scikit_learns(
    trained: Trained, reference: tuple[TfidfVectorizer, csr_array]
) -> None:
    vectorizer, _ = reference

    ours = {term: column for column, term in enumerate(trained.model.vocabulary.terms)}

    assert ours == vectorizer.vocabulary_


def test_the_weights_are_computed_from_scikit_learns_idf(
    trained: Trained, reference: tuple[TfidfVectorizer, csr_array]
) -> None:
    vectorizer, _ = reference

    np.testing.assert_allclose(trained.model.vocabulary.weights, vectorizer.idf_, rtol=1e-6, atol=0)


def test_the_rows_equal_scikit_learns(trained: Trained, reference: tuple[TfidfVectorizer, csr_array]) -> None:
    _, rows = reference
    vectors = trained.model.vectors
    rows.sort_indices()

    assert vectors.offsets.tolist() == rows.indptr.tolist()
    assert vectors.columns.tolist() == rows.indices.tolist()
    expected = round_rows(rows.data, rows.indptr)
    np.testing.assert_allclose(vectors.values, expected, rtol=0, atol=1.0001 / SCALE)
    # Rounding errors of scikit-learn may lead to neighbouring multiples.
    assert np.count_nonzero(vectors.values != expected) < len(expected) / 1000


def test_the_vectorizer_for_notebooks_transforms_like_a_fitted_vectorizer(
    sample_articles: list[Article], trained: Trained, reference: tuple[TfidfVectorizer, csr_array]
) -> None:
    vectorizer = trained.estimators()["vectorizer"]

    rows = vectorizer.transform(sample_articles)

    assert abs(rows - reference[1]).max() < 1e-6
    assert vectorizer.get_feature_names_out().tolist() == list(trained.model.vocabulary.terms)


def test_the_published_file_has_the_same_vectorizer(
    sample_articles: list[Article], trained: Trained, tmp_path: Path
) -> None:
    path = tmp_path / ESTIMATORS
    write = trained.extra_files()[ESTIMATORS]
    assert callable(write)
    write(path)

    loaded = joblib.load(path)["vectorizer"]

    assert type(loaded) is TfidfVectorizer
    sent = sample_articles[:9]
    assert abs(loaded.transform(sent) - trained.estimators()["vectorizer"].transform(sent)).max() == 0


def test_equal_rules_are_published_as_equal_bytes() -> None:
    listed = [f"word{number}" for number in range(1000)]
    one, other = (
        TermRules(stop_words={"en": frozenset(each)}, standing_lines=frozenset(each))
        for each in (listed, listed[::-1])
    )
    assert list(one.standing_lines) != list(
        other.standing_lines
    )  # the order of a set differs between processes

    assert pickle.dumps(one) == pickle.dumps(other)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 our own


words = st.lists(st.sampled_from(["tide", "bell", "mill", "fen", "ash", "ox", "日本"]), max_size=8).map(
    " ".join
)


@given(
    st.lists(st.tuples(words, words), min_size=1, max_size=7),
    st.builds(
        TermRules,
        title_weight=st.integers(0, 3),
        lead_weight=st.integers(1, 3),
        lead_words=st.integers(0, 4),
        ngrams=st.integers(1, 2),
        stems=st.booleans(),
        pieces=st.booleans(),
        main_lang=st.sampled_from(["", "en"]),
    ),
    st.builds(
        Terms, pair_weight=st.floats(0.1, 1), piece_weight=st.floats(0.1, 1), idf_power=st.floats(0, 2)
    ),
)
@settings(deadline=None, max_examples=examples(50))
def test_rows_equal_scikit_learn_on_any_corpus(
    texts: list[tuple[str, str]], rules: TermRules, recipe: Terms
) -> None:
    articles = [Article(id=str(row), title=t, body=f"{b} salt.") for row, (t, b) in enumerate(texts)]
    _, expected = fit(articles, rules, 1, len(articles), recipe)

    counts = count_terms(articles, rules, 1, len(articles), threads=1)
    rows = tfidf(counts, term_weights(counts, idf_of(counts), recipe, recipe.piece_weight))

    np.testing.assert_allclose(rows.toarray(), expected.toarray(), atol=1e-6)


def test_an_article_without_terms_in_bounds_has_an_empty_row() -> None:
    texts = ["tide bell", "x", "tide mill", "fen", "bell"]
    articles = [Article(id=str(row), body=text) for row, text in enumerate(texts)]

    counts = count_terms(articles, TermRules(ngrams=1), 2, 5, threads=1)
    rows = tfidf(counts, term_weights(counts, idf_of(counts), Terms()))

    assert np.diff(rows.indptr).tolist() == [2, 0, 1, 0, 1]
    np.testing.assert_allclose(np.sqrt((rows * rows).sum(axis=1)), [1, 0, 1, 0, 1], atol=1e-6)


def test_a_term_has_the_weight_of_its_smoothed_idf_to_a_power_and_a_pair_less() -> None:
    articles = [Article(id=str(row), body=body) for row, body in enumerate(["tide mill", "tide", "fen"])]
    counts = count_terms(articles, TermRules(), 1, 3, threads=1)

    weights = term_weights(counts, idf_of(counts), Terms(idf_power=2, pair_weight=0.5))

    rare, common = (1 + np.log(2)) ** 2, (1 + np.log(4 / 3)) ** 2
    assert list(counts.terms) == ["fen", "mill", "tide", "tide mill"]
    assert weights.tolist() == pytest.approx([rare, rare, common, rare / 2])


ANALYZER = ArticleAnalyzer(
    TermRules(title_weight=2, lead_weight=1, stop_words={"en": frozenset({"the"}), "de": frozenset({"das"})})
)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (Article(id="1", title="Tide", body="the mill", lang="en"), ["tide", "tide", "mill"]),
        (Article(id="1", title="Tide", body="the mill"), ["tide", "tide", "the", "mill", "the mill"]),
        ({"title": "<b>Tide</b>", "body": "<p>the mill</p>", "lang": "en"}, ["tide", "tide", "mill"]),
        ({"title": None, "body": "the mill", "lang": "de"}, ["the", "mill", "the mill"]),
        ({"body": "caf&eacute;", "lang": "en", "id": 7}, ["café"]),
        ({}, []),
        ("", []),
        ("<p>bell</p><script>var x = 1</script><p>buoy</p>", ["bell", "buoy", "bell buoy"]),
    ],
)  # fmt: skip
def test_the_analyzer_accepts_an_article_a_mapping_or_a_text(document: Any, expected: list[str]) -> None:
    assert ANALYZER(document) == expected


@pytest.mark.parametrize(
    ("text", "stopped"),
    [
        ("<p>The council of the town raised the rent for the beach huts by the sea again.</p>", "the"),
        ("<p>Der Rat hat beschlossen, dass das alte Haus und das neue Bad im Mai öffnen sollen.</p>", "das"),
    ],
)
def test_the_analyzer_detects_a_missing_language(text: str, stopped: str) -> None:
    assert stopped not in ANALYZER(text)
    assert stopped not in ANALYZER({"body": text})
    assert stopped in ANALYZER({"body": text, "lang": "fr"})


def test_an_article_mapping_and_html_give_the_same_terms(sample_articles: list[Article]) -> None:
    article = sample_articles[0]
    paragraphs = "".join(f"<p>{part}</p>" for part in article.body.split("\n\n"))

    terms = ANALYZER(article)

    assert ANALYZER({"title": article.title, "body": paragraphs, "lang": article.lang}) == terms
    assert ANALYZER(paragraphs) == terms[-len(ANALYZER(paragraphs)) :]


def test_a_fitted_vectorizer_accepts_any_input_and_has_its_df_bounds() -> None:
    vectorizer = fitted_vectorizer(TermRules(ngrams=1), ["bell", "tide"], np.ones(2, dtype=np.float32), 1, 2)

    rows = vectorizer.transform(["tide tide", "", "unknown"]).toarray()

    assert rows.tolist() == [[0, 1], [0, 0], [0, 0]]
    assert (vectorizer.min_df, vectorizer.max_df) == (1, 2)
