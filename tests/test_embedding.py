"""An embedding computed from arrays equals the result of scikit-learn's `transform`."""

import random

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from recommender.article import Article
from recommender.columns import Strings
from recommender.embedding import Embedding, Vocabulary, unit
from recommender.fixed_point import SCALE, round_rows, rounded
from recommender.text import TermRules, detect_language, plain_text
from recommender.training.train import Trained

STEP = 1.0001 / SCALE  # rounding errors of training and serving may lead to neighbouring multiples

ELSEWHERE = [
    "Der Stadtrat hat am Donnerstag die neue Brücke über den Fluss beschlossen.",
    "Le conseil municipal a voté jeudi la réforme du port et des ferries.",
    "Městská rada ve čtvrtek schválila nový most přes řeku.",
    "Byrådet vedtog torsdag en ny bro over floden.",
    "市議会は木曜日、新しい橋の建設を承認した。",
    "สภาเมืองอนุมัติสะพานใหม่เมื่อวันพฤหัสบดี",
    "नगर परिषद ने गुरुवार को नए पुल को मंज़ूरी दी।",
]


def shuffled(text: str, seed: int) -> str:
    words = text.split()
    random.Random(seed).shuffle(words)  # noqa: S311 repeatable, not secret
    return " ".join(words)


def documents(articles: list[Article]) -> list[dict[str, str]]:
    """Return 500 texts like those from a CMS: whole, HTML, titles, shuffled, unknown, empty, foreign."""
    html = [f"<p>{'</p><p>'.join(a.body.splitlines())}</p><script>x</script>" for a in articles[:80]]
    return [
        *({"title": a.title, "body": a.body, "lang": a.lang or ""} for a in articles[:200]),
        *({"title": f"<b>{a.title}</b>", "body": body} for a, body in zip(articles, html, strict=False)),
        *({"title": a.title, "body": ""} for a in articles[:80]),
        *({"title": "", "body": shuffled(a.body, seed)} for seed, a in enumerate(articles[:80])),
        *({"title": f"Zzyzx {a.title}", "body": f"Qwxv {a.body[:200]} Vvbqj"} for a in articles[:40]),
        *({"title": "Zzyzx qwxv", "body": "vvbqj " * n} for n in range(3)),
        *({"title": "the of and", "body": body} for body in ("", ".", "🗞")),
        *({"title": text, "body": f"<p>{text}</p>"} for text in ELSEWHERE * 2),
    ]


def article_of(document: dict[str, str]) -> Article:
    """Return a document as an article, like the service does."""
    title, body = plain_text(document["title"]), plain_text(document["body"])
    lang = document.get("lang") or detect_language(f"{title}\n{body}")
    return Article(id="sent", title=title, body=body, lang=lang)


def dense(embedding: Embedding, n_terms: int) -> np.ndarray:
    row = np.zeros(n_terms)
    row[embedding.columns] = embedding.values
    return row


@pytest.mark.slow
def test_embedding_equals_scikit_learn_on_500_texts(trained: Trained, sample_articles: list[Article]) -> None:
    sent = documents(sample_articles)
    fitted = trained.estimators()
    terms = fitted["vectorizer"].transform(sent)
    terms.data = round_rows(terms.data, terms.indptr)
    latent = normalize(fitted["svd"].transform(terms[:, fitted["latent_terms"]]))

    ours = [trained.model.embed(article_of(document)) for document in sent]

    assert len(sent) == 500
    pairs = (
        (np.array([dense(embedding, terms.shape[1]) for embedding in ours]), terms.toarray()),
        (np.array([embedding.latent for embedding in ours]), np.array([rounded(row) for row in latent])),
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=STEP)
        assert np.count_nonzero(found != expected) < np.count_nonzero(expected) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_articles_of_the_corpus_get_their_stored_vectors(
    trained: Trained, sample_articles: list[Article], step: int
) -> None:
    model = trained.model

    for row, article in list(enumerate(sample_articles))[::step]:
        stored, embedded = model.vectors.of(row), model.embed(article)
        assert embedded.columns.tolist() == stored.columns.tolist()
        for ours, theirs in ((embedded.values, stored.values), (embedded.latent, stored.latent)):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=STEP)
            assert np.count_nonzero(ours != theirs) <= 2


@pytest.mark.parametrize("text", ["Zzyzx qwxv", "the of and", "🗞", "."])
def test_a_text_without_known_terms_has_a_zero_vector(trained: Trained, text: str) -> None:
    embedding = trained.model.embed(Article(id="1", title=text, lang="en"))

    assert len(embedding.columns) == len(embedding.values) == 0
    assert not embedding.latent.any()
    assert embedding.latent.shape == (trained.model.vectors.latent.shape[1],)


def test_an_embedding_has_the_documented_types_and_lengths(
    trained: Trained, sample_articles: list[Article]
) -> None:
    embedding = trained.model.embed(sample_articles[0])

    assert embedding.columns.dtype == np.int32
    assert embedding.values.dtype == embedding.latent.dtype == np.float32
    assert np.all(np.diff(embedding.columns) > 0)
    assert 0.997 < np.linalg.norm(embedding.values.astype(np.float64)) <= 1
    assert 0.997 < np.linalg.norm(embedding.latent.astype(np.float64)) <= 1


def test_the_latent_space_ignores_other_terms() -> None:
    vocabulary = Vocabulary(
        terms=Strings.of(["bell", "fen", "tide"]),
        weights=np.ones(3, dtype=np.float32),
        latent_terms=np.array([1], dtype=np.int32),
        components=np.array([[3.0, 4.0]], dtype=np.float32),
    )
    rules = TermRules(ngrams=1)

    with_fen = vocabulary.embed(Article(id="1", body="bell fen tide"), rules)
    without = vocabulary.embed(Article(id="2", body="bell tide"), rules)

    assert with_fen.latent.tolist() == rounded(np.array([0.6, 0.8])).tolist()
    assert without.latent.tolist() == [0, 0]


def test_a_model_without_a_latent_space_embeds_terms_only() -> None:
    nothing = np.zeros((0, 0), dtype=np.float32)
    vocabulary = Vocabulary(
        Strings.of(["tide"]), np.ones(1, dtype=np.float32), np.zeros(0, dtype=np.int32), nothing
    )

    embedding = vocabulary.embed(Article(id="1", body="the tide"), TermRules())

    assert embedding.values.tolist() == rounded(np.ones(1)).tolist()
    assert embedding.latent.shape == (0,)


@pytest.mark.parametrize("vector", [[3.0, 4.0], [1e-20, 0.0], [0.0, 0.0], []])
def test_a_unit_vector_has_length_one_or_zero(vector: list[float]) -> None:
    length = np.linalg.norm(unit(np.array(vector)))

    assert length == pytest.approx(1 if any(vector) else 0)
