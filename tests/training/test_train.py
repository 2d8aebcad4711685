"""Training on ordinary and unusual corpora, and with different recipes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.article import Article, InvalidArticleError
from recommender.artifact import open_current, publish
from recommender.model import Model
from recommender.neighbors import ListFacts
from recommender.recipe import NeighborLists, Recipe
from recommender.training.assembly import Progress
from recommender.training.neighbors import likely_pairs, lists
from recommender.training.readers.corpus import read_articles
from recommender.training.train import Trained, TrainingError, train
from tests.support.sample import NOW
from tests.support.vectors import slow_expanded

FERRIES = [
    "Harbour ferry stops sailing in winter",
    "Island ferry timetable for summer",
    "Ferry fares to the island rise",
]
COURTS = [
    "Court hears castle theft case",
    "Judge adjourns theft trial in court",
    "Castle theft: court clears guard",
]


def stories(*titles: str, **fields: Any) -> list[Article]:
    return [Article(id=f"{number:03}", title=title, **fields) for number, title in enumerate(titles)]


PLAIN = {"stems": False, "piece_weight": 0.0}  # words as they stand


def recipe(**categories: Any) -> Recipe:
    return Recipe.model_validate(categories)


def terms_of(model: Model, article_id: str) -> set[str]:
    row = model.articles.ids.find(article_id)
    assert row is not None
    return {model.vocabulary.terms[column] for column in model.vectors.of(row).columns}


def pair_scores(model: Model) -> np.ndarray:
    """The score of every pair, (n, n) float64, row: the query, by dense matrix products."""
    similarity, corrections = pair_similarity(model), model.corrections
    moved = similarity + corrections.feedback[:, None] * similarity[corrections.nearest]
    scores = moved / (1 + corrections.feedback[:, None]) - corrections.hubs
    return slow_expanded(scores, corrections, model.copies.first, range(len(scores)))


def pair_similarity(model: Model) -> np.ndarray:
    """The similarity of every pair, (n, n) float64, by two dense matrix products."""
    vectors, weight = model.vectors, model.latent_weight
    tfidf = np.zeros((len(model.articles), len(model.vocabulary.terms)))
    tfidf[np.repeat(np.arange(len(tfidf)), np.diff(vectors.offsets)), vectors.columns] = vectors.values
    latent = vectors.latent.astype(np.float64)
    return np.asarray((1 - weight) * tfidf @ tfidf.T + weight * latent @ latent.T)


@pytest.fixture(scope="session")
def model(trained: Trained) -> Model:
    return trained.model


def test_neighbours_are_the_best_of_all_pairs(model: Model) -> None:
    scores = pair_scores(model)
    np.fill_diagonal(scores, -1)

    neighbors = model.neighbors

    best = np.sort(scores, axis=1)[:, ::-1][:, : neighbors.rows.shape[1]]
    np.testing.assert_allclose(neighbors.scores, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, neighbors.rows, axis=1), best, atol=1e-6)


def test_the_lists_of_a_small_corpus_are_exact(model: Model) -> None:
    assert model.manifest.neighbors == ListFacts(recall_at_20=1.0)


@pytest.mark.slow
def test_the_manifest_says_how_complete_the_lists_of_a_large_corpus_are(
    sample_articles: list[Article], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "EXACT_UP_TO", len(sample_articles) - 1)
    monkeypatch.setattr(likely_pairs, "_NEAREST", 8)

    large = train(sample_articles, now=NOW).model

    assert large.manifest.neighbors
    assert 0.3 < large.manifest.neighbors.recall_at_20 < 0.99
    assert large.manifest.similar_above == pytest.approx(model.manifest.similar_above, rel=0.1)


def test_no_article_is_its_own_neighbour_or_listed_twice(model: Model) -> None:
    n, k = model.neighbors.rows.shape

    assert (n, k) == (len(model.articles), model.manifest.recipe.neighbors.k)
    for row in range(n):
        assert row not in model.neighbors.rows[row]
        assert len(set(model.neighbors.rows[row].tolist())) == k


def test_an_average_article_is_similar_to_about_nine_others(model: Model) -> None:
    above = pair_scores(model) > model.manifest.similar_above

    assert 0.01 < model.manifest.similar_above < 0.5
    assert 7 < above.sum() / len(above) - 1 < 11


def test_a_text_with_more_copies_than_list_items_gives_the_query_of_its_article() -> None:
    recipe = Recipe(neighbors=NeighborLists(k=3))
    model = train([*stories(*[FERRIES[0]] * 12, *FERRIES[1:], *COURTS)], recipe).model
    article = model.articles.article(0)

    asked = model.query(article, [0, *model.copies.of(0)])

    assert len(model.copies.of(0)) == 11
    np.testing.assert_allclose(asked.moved.values, model.query_of(0).moved.values, atol=1e-6)


@pytest.mark.slow
def test_a_text_with_many_copies_does_not_raise_the_threshold_for_others(
    model: Model, sample_articles: list[Article]
) -> None:
    copies = [replace(sample_articles[0], id=f"copy {number}", url=None) for number in range(100)]

    above = train([*sample_articles, *copies]).model.manifest.similar_above

    assert 0 < above < 1.5 * model.manifest.similar_above


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["cs", "da", "de", "fr", "ja"])
def test_no_score_is_so_near_the_threshold_that_rounding_decides(lang: str) -> None:
    corpus = read_articles(Path(__file__).parents[1] / "data" / "languages" / f"{lang}.jsonl")
    model = train(corpus.articles).model

    off = np.abs(pair_scores(model) - model.manifest.similar_above)

    assert off[~np.eye(len(off), dtype=bool)].min() > 1e-5


def test_topics_have_unique_names_and_slugs(model: Model) -> None:
    topics = model.manifest.topics

    assert len(topics) == len(model.topic_space.centroids) == 19
    assert len({topic.slug for topic in topics}) == len({topic.name for topic in topics}) == len(topics)
    assert all(topic.name and topic.terms for topic in topics)


def test_a_topic_counts_the_articles_whose_first_topic_it_is(model: Model) -> None:
    first = np.argmax(model.vectors.latent @ model.topic_space.centroids.T, axis=1)
    counts = np.bincount(first, minlength=len(model.manifest.topics))

    assert [topic.articles for topic in model.manifest.topics] == counts.tolist()


@pytest.mark.slow
def test_an_article_without_terms_has_no_topic(sample_articles: list[Article]) -> None:
    model = train([*sample_articles[:60], Article(id="x", title="To be", lang="en")]).model

    assert sum(topic.articles for topic in model.manifest.topics) == 60


def test_stop_words_are_not_terms_and_do_not_name_topics(model: Model) -> None:
    stopped = set(model.manifest.stop_words["en"])

    assert {"the", "and", "of"} <= stopped
    assert not stopped & set(map(model.vocabulary.spelt, model.vocabulary.terms))
    assert not stopped & {word for topic in model.manifest.topics for word in topic.name.split(", ")}


def test_the_manifest_describes_the_corpus(sample_articles: list[Article], model: Model) -> None:
    corpus, dates = model.manifest.corpus, [article.published_at for article in sample_articles]

    assert corpus.articles == len(sample_articles)
    assert corpus.characters_read == sum(len(a.title) + len(a.body) for a in sample_articles)
    assert (corpus.characters_cut, corpus.articles_cut) == (0, 0)
    assert corpus.newest_published_at == max(date for date in dates if date)
    assert corpus.terms_kept == len(model.vocabulary.terms) < corpus.terms_counted
    assert (model.manifest.trained_at, model.manifest.recipe) == (NOW, Recipe())
    assert {"numpy", "python", "scikit-learn"} <= set(model.manifest.libraries)


def test_refused_rows_are_recorded() -> None:
    assert train(stories(*FERRIES), refused=7).model.manifest.corpus.refused == 7


def test_the_fingerprint_depends_on_the_articles_but_not_their_order() -> None:
    articles = stories(*FERRIES, *COURTS)

    whole, turned, changed = (
        train(given).model.manifest.corpus.fingerprint
        for given in (articles, articles[::-1], [replace(articles[0], tags=("sea",)), *articles[1:]])
    )

    assert turned == whole
    assert changed != whole


def test_training_accepts_any_iterable_and_sorts_by_the_bytes_of_the_ids() -> None:
    ids = ["b", "日本", "B", "é", "a/related", "a"]

    model = train(Article(id=i, title=title) for i, title in zip(ids, FERRIES + COURTS, strict=True)).model

    assert list(model.articles.ids) == sorted(ids, key=str.encode)


def test_related_stories_find_each_other() -> None:
    model = train(stories(*FERRIES, *COURTS, lang="en")).model

    assert {article_id for article_id, _ in model.similar("000", k=2)} == {"001", "002"}
    assert {article_id for article_id, _ in model.similar("003", k=2)} == {"004", "005"}


def test_progress_is_reported_for_every_step_to_its_end() -> None:
    class RecordedProgress(Progress):
        def __init__(self) -> None:
            self.remaining: dict[str, float] = {}

        @contextmanager
        def step(self, name: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
            assert unit
            self.remaining[name] = total

            def advance(done: float) -> None:
                self.remaining[name] -= done

            yield advance

    recorded = RecordedProgress()
    trained = train(stories(*FERRIES, *COURTS), progress=recorded)

    assert list(recorded.remaining) == list(trained.seconds)
    assert recorded.remaining == pytest.approx(dict.fromkeys(trained.seconds, 0))


def test_a_corpus_without_articles_is_refused() -> None:
    with pytest.raises(TrainingError, match="the corpus has no articles"):
        train([])


def test_two_articles_with_the_same_id_are_refused_with_the_id() -> None:
    twins = [Article(id="a,b", title="One"), Article(id="c", title="Two"), Article(id="a,b", title="Three")]

    with pytest.raises(TrainingError, match="two articles have the id 'a,b'"):
        train(twins)


def test_articles_of_stop_words_only_are_refused_and_the_next_corpus_trains() -> None:
    with pytest.raises(TrainingError, match="no term occurs in 1 to 20 of the 3 articles"):
        train(stories("The and of", "To be or not to be", "And the", lang="en"))

    assert len(train(stories(*FERRIES, lang="en")).model.articles) == 3


def test_many_identical_articles_are_refused_because_no_term_is_left() -> None:
    with pytest.raises(TrainingError, match="no term occurs in 2 to 50 of the 100 articles"):
        train(stories(*["Harbour ferry stops sailing"] * 100))


def test_articles_that_share_no_term_are_refused() -> None:
    with pytest.raises(TrainingError, match="no term occurs in 2 to 20 of the 30 articles"):
        train(stories(*(f"word{number} other{number}" for number in range(30))))


def assert_sound(model: Model) -> None:
    """Check that no article is its own neighbour, the best come first, and all numbers are valid."""
    for row in range(len(model.articles)):
        rows, scores = model.neighbors.of(row)
        assert row not in rows
        assert sorted(set(rows.tolist())) == sorted(rows.tolist())
        assert (np.diff(scores) <= 0).all()
        assert ((scores > -1) & (scores < 2)).all()
    assert np.isfinite(model.vectors.values).all()
    assert np.isfinite(model.vectors.latent).all()
    assert 0 <= model.manifest.similar_above <= 1
    assert len({topic.slug for topic in model.manifest.topics}) == len(model.manifest.topics)


ODD_CORPORA = {
    "one article": stories(FERRIES[0]),
    "two articles": stories(*FERRIES[:2]),
    "five articles": stories(*FERRIES, *COURTS[:2]),
    "no titles": [Article(id=str(n), body=text) for n, text in enumerate(FERRIES + COURTS)],
    "no bodies": stories(*FERRIES, *COURTS),
    "no dates": stories(*FERRIES, *COURTS, published_at=None),
    "NUL characters": stories("Har\0bour ferry", "Harbour\0", "\0 ferry harbour", body="a\0b ferry"),
    "no language": stories(*FERRIES, lang=None),
    "languages nobody lists": stories(*FERRIES, *COURTS, lang="xx"),
    "scripts without spaces": stories("港のフェリーが冬に", "島のフェリー", "裁判所が審理"),
    "emoji and marks": stories("🗞 ferry", "ferry \u202e\u0301", "…", "ferry 🗞🗞"),
    "words beyond all length": stories("x" * 10_000 + " ferry", "ferry " + "y" * 70, "ferry"),
    "one article without terms": [*stories(*FERRIES, lang="en"), Article(id="x", title="The", lang="en")],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("articles", ODD_CORPORA.values(), ids=list(ODD_CORPORA))
def test_an_odd_corpus_trains_publishes_and_opens(articles: list[Article], tmp_path: Path) -> None:
    trained = train(articles)

    publish(trained.model, tmp_path, extra_files=trained.extra_files())
    opened = open_current(tmp_path)

    assert [opened.articles.article(row) for row in range(len(articles))] == articles
    assert opened.neighbors.rows.shape == (len(articles), len(articles) - 1)
    assert_sound(opened)


def test_a_few_identical_articles_are_each_others_neighbours_without_a_warning() -> None:
    model = train(stories(*[FERRIES[0]] * 8)).model

    assert_sound(model)
    assert model.neighbors.rows[3].tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert len(np.unique(model.neighbors.scores)) == 1
    assert 0.995 < model.neighbors.scores[0, 0] <= 1  # in fixed point, a vector is slightly shorter than 1


def test_a_single_article_has_no_neighbour_and_a_threshold_of_zero() -> None:
    model = train(stories(FERRIES[0])).model

    assert model.similar("000") == []
    assert model.manifest.similar_above == 0
    assert model.manifest.topics == []


def test_an_article_of_stop_words_among_others_has_an_empty_vector() -> None:
    model = train([*stories(*FERRIES, *COURTS, lang="en"), Article(id="x", title="To be", lang="en")]).model
    row = model.articles.ids.find("x")
    assert row is not None

    assert terms_of(model, "x") == set()
    assert not model.vectors.latent[row].any()
    assert (model.neighbors.scores[row] <= model.manifest.similar_above).all()
    penalties = model.corrections.scores(np.zeros(len(model.articles)), [row])
    np.testing.assert_allclose(model.neighbors.scores[row], penalties[model.neighbors.rows[row]], atol=1e-7)


def test_an_article_of_five_megabytes_is_cut_and_counted() -> None:
    body = "harbour ferry sails daily " * 192_000 + "xylophone"
    big = Article(id="big", title="Ferry news", body=body, lang="en")

    model = train([big, *stories(*FERRIES, "Xylophone ferry", lang="en")], recipe(terms=PLAIN)).model

    corpus = model.manifest.corpus
    assert (corpus.articles_cut, corpus.characters_cut) == (1, len(body) - 100_000)
    assert corpus.characters_read == 100_000 + sum(map(len, ["Ferry news", *FERRIES, "Xylophone ferry"]))
    assert terms_of(model, "big") >= {"harbour", "ferry", "sails daily"}
    assert "xylophone" not in terms_of(model, "big")
    assert model.articles.article(4) == big


def test_a_nul_ends_a_word() -> None:
    model = train(stories("Har\0bour ferry", "Harbour ferry"), recipe(terms=PLAIN | {"ngrams": 1})).model

    assert terms_of(model, "000") == {"har", "bour", "ferry"}


@pytest.mark.parametrize("field", ["title", "body", "category", "url", "type", "lang"])
def test_a_lone_surrogate_is_refused_with_the_article_id(field: str) -> None:
    fields = {"title": "Harbour ferry", field: "ferry \ud800"}

    with pytest.raises((InvalidArticleError, TrainingError), match=r"'007'.* surrogate"):
        train([*stories(*FERRIES), Article(id="007", **fields)])  # type: ignore[arg-type]


def test_an_invalid_url_is_refused_with_the_article_id() -> None:
    with pytest.raises((InvalidArticleError, TrainingError), match="'007'"):
        train([*stories(*FERRIES), Article(id="007", title="Harbour", url="http://[half/")])


def test_each_language_loses_its_own_stop_words() -> None:
    german = Article(id="de", title="Die Fähre und der Hafen", lang="de")
    english = Article(id="en", title="Die hard on the ferry", lang="en")

    model = train([german, english], recipe(terms=PLAIN | {"ngrams": 1})).model

    assert terms_of(model, "de") == {"fähre", "hafen"}
    assert terms_of(model, "en") == {"die", "hard", "ferry"}
    assert sorted(model.manifest.stop_words) == ["de", "en"]


def test_undated_articles_are_the_oldest() -> None:
    dated = datetime(2026, 5, 1, tzinfo=timezone(timedelta(hours=2)))
    articles = stories(*FERRIES)
    articles[1] = replace(articles[1], published_at=dated)

    model = train(articles).model

    assert model.articles.newest.tolist() == [1, 0, 2]
    assert model.manifest.corpus.newest_published_at == datetime(2026, 4, 30, 22, tzinfo=UTC)
    assert train(stories(*FERRIES)).model.manifest.corpus.newest_published_at is None


def test_the_recipe_determines_the_terms() -> None:
    articles = stories(*FERRIES, *COURTS, lang="en")

    words = train(articles, recipe(terms=PLAIN | {"ngrams": 1, "stop_words": False})).model
    pairs = train(articles, recipe(terms=PLAIN | {"ngrams": 2})).model

    assert terms_of(words, "000") == {"harbour", "ferry", "stops", "sailing", "in", "winter"}
    assert "harbour ferry" in terms_of(pairs, "000")
    assert "in" not in terms_of(pairs, "000")
    assert words.manifest.recipe.terms.ngrams == 1


def test_the_weight_of_titles_may_be_zero() -> None:
    with_body = [*stories(*FERRIES), Article(id="x", title="Weightless", body="harbour winter")]

    model = train(with_body, recipe(terms=PLAIN | {"title_weight": 0})).model

    assert terms_of(model, "x") == {"harbour", "winter", "harbour winter"}
    with pytest.raises(TrainingError, match="no term"):
        train(stories(*FERRIES), recipe(terms={"title_weight": 0}))


def test_the_recipe_determines_lists_and_topics(sample_articles: list[Article]) -> None:
    wanted = recipe(neighbors={"k": 3}, topics={"count": 7, "components": 12}, terms={"max_body_chars": 50})

    model = train(sample_articles, wanted).model

    assert model.neighbors.rows.shape == (len(sample_articles), 3)
    assert len(model.manifest.topics) == 7
    assert model.vectors.latent.shape[1] == 12
    assert model.manifest.corpus.articles_cut == len(sample_articles)
    assert_sound(model)


@pytest.mark.slow
def test_without_a_latent_space_there_are_neighbours_but_no_topics(sample_articles: list[Article]) -> None:
    model = train(sample_articles[:60], recipe(topics={"components": 0})).model

    assert model.vectors.latent.shape == (60, 0)
    assert model.manifest.topics == []
    assert_sound(model)
    assert model.neighbors.scores[:, 0].all()
