"""A tiny newsroom, and models built the slow, obvious way."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from recommender.article import Article
from recommender.columns import Strings
from recommender.embedding import Vocabulary
from recommender.manifest import Adapted, CorpusFacts, Manifest, Topic
from recommender.model import Articles, Model, Vectors, term_rules
from recommender.neighbors import NO_ROW, Corrections, NearDuplicates, Neighbors
from recommender.recipe import Recipe
from recommender.topic_space import TopicSpace

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
SIMILAR_ABOVE = 0.1

Entries = list[dict[int, float]]


def build_model(articles: Sequence[Article], k: int = 50, similar_above: float = SIMILAR_ABOVE) -> Model:
    """Return a model of unit TF-IDF vectors and a small latent space, built with loops and full sorts."""
    articles = sorted(articles, key=lambda article: article.id.encode())
    terms_recipe = {"lead_weight": 1, "ngrams": 1, "min_df": 1, "idf_power": 1.0, "stop_words": False}
    plain_lists = {"feedback": 0.0, "expansion": 0.0, "hub_correction": 0.0}
    terms_recipe |= {"stems": False}
    recipe = Recipe.model_validate({"terms": terms_recipe, "neighbors": plain_lists})
    adapted = Adapted(
        main_lang="",
        min_df=1,
        max_df=len(articles),
        lead_words=recipe.terms.lead_words,
        unstemmed=[],
        piece_weight=0.0,
        latent_components=2,
        latent_weight=recipe.topics.weight,
        hub_correction=0.0,
        feedback=0.0,
        expansion=0.0,
    )
    rules = term_rules(recipe, adapted, {})
    counts = [Counter(rules.terms(article.title, article.body, article.lang)) for article in articles]
    terms = sorted({term for count in counts for term in count}, key=str.encode)
    df = Counter(term for count in counts for term in count)
    idf = np.array([1 + np.log((1 + len(articles)) / (1 + df[term])) for term in terms], dtype=np.float32)
    components = _components(counts, terms, idf)
    vocabulary = Vocabulary(Strings.of(terms), idf, np.arange(len(terms), dtype=np.int32), components)
    embeddings = [vocabulary.embed(article, rules) for article in articles]
    rows = [dict(zip(e.columns.tolist(), e.values.tolist(), strict=True)) for e in embeddings]
    vectors = _vectors(rows, len(terms), np.array([e.latent for e in embeddings], dtype=np.float32))
    topics = [Topic(slug="all", name="All things", terms=terms[:3], articles=len(articles), coherence=0.0)]
    centroid = np.eye(1, components.shape[1], dtype=np.float32)
    manifest = _manifest(articles, recipe, adapted, topics, similar_above)
    columns = Articles.of(articles)
    neighbors = _neighbors(vectors, recipe.topics.weight, min(k, len(articles) - 1))
    space = TopicSpace(centroid, np.zeros(len(articles), dtype=np.int32))
    corrections = Corrections.none(len(articles))
    return Model(manifest, columns, vocabulary, vectors, neighbors, _copies(rows), corrections, space)


def _copies(rows: Entries) -> NearDuplicates:
    """Treat articles with exactly the same terms as near-duplicates."""
    return NearDuplicates(np.array([rows.index(entries) for entries in rows], dtype=np.int32))


def _components(counts: list[Counter[str]], terms: list[str], idf: np.ndarray) -> np.ndarray:
    dense = np.array([[count[term] for term in terms] for count in counts], dtype=np.float64).reshape(
        len(counts), len(terms)
    )
    weighted = np.log1p(dense) * idf
    _, _, right = np.linalg.svd(weighted, full_matrices=False)
    return np.ascontiguousarray(right[:2].T, dtype=np.float32)


def _vectors(rows: Entries, n_terms: int, latent: np.ndarray) -> Vectors:
    by_row = [(row, term, value) for row, entries in enumerate(rows) for term, value in entries.items()]
    by_term = sorted(by_row, key=lambda entry: (entry[1], entry[0]))
    sizes = np.bincount([term for _, term, _ in by_row], minlength=n_terms)
    return Vectors(
        offsets=np.array([0, *np.cumsum([len(entries) for entries in rows])], dtype=np.int64),
        columns=np.array([term for _, term, _ in by_row], dtype=np.int32),
        values=np.array([value for _, _, value in by_row], dtype=np.float32),
        latent=latent,
        term_offsets=np.array([0, *np.cumsum(sizes)], dtype=np.int64),
        term_rows=np.array([row for row, _, _ in by_term], dtype=np.int32),
        term_values=np.array([value for _, _, value in by_term], dtype=np.float32),
    )


def _neighbors(vectors: Vectors, weight: float, k: int) -> Neighbors:
    n = len(vectors.latent)
    rows = np.full((n, max(k, 1)), NO_ROW, dtype=np.int32)
    best = np.zeros((n, max(k, 1)), dtype=np.float32)
    for row in range(n):
        scores = vectors.scores(vectors.of(row), weight)
        order = sorted(
            (other for other in range(n) if other != row), key=lambda other: (-scores[other], other)
        )
        rows[row, : len(order[:k])] = order[:k]
        best[row, : len(order[:k])] = scores[order[:k]]
    return Neighbors(rows, best)


def _manifest(
    articles: Sequence[Article], recipe: Recipe, adapted: Adapted, topics: list[Topic], similar_above: float
) -> Manifest:
    facts = CorpusFacts(
        articles=len(articles),
        refused=0,
        fingerprint="0" * 64,
        newest_published_at=None,
        characters_read=0,
        characters_cut=0,
        articles_cut=0,
        terms_counted=0,
        terms_kept=0,
    )
    return Manifest(
        format=1,
        version="",
        trained_at=NOW,
        recipe=recipe,
        adapted=adapted,
        corpus=facts,
        similar_above=similar_above,
        hub_floor=0.0,
        topics=topics,
        stop_words={},
        libraries={},
        files={},
    )


def newsroom() -> list[Article]:
    """Return 16 articles: three stories, odd ids, an undated and a German article, two under embargo."""
    harbour = "The harbour dredging scheme deepens the channel so that larger ships reach the quay."
    budget = "The council budget raises the rates and cuts the library hours after a long vote."
    storm = "The storm surge flooded the marsh and the sea wall failed near the lighthouse."
    facts: list[tuple[str, str, str, str | None, tuple[str, ...], str | None]] = [
        ("a", "Harbour dredging begins", harbour, "Economy & Business", (), "2026-02-01T09:00:00Z"),
        ("a/related", "Harbour dredging halted", harbour, "Economy & Business", (), "2026-02-03T09:00:00Z"),
        ("a,b", "Harbour ships wait", harbour, "Economy & Business", ("Politics",), "2026-02-05T09:00:00Z"),
        ("https://x/y//z", "Harbour quay rebuilt", harbour, "Politics", (), "2026-02-07T09:00:00Z"),
        ("/abs", "Budget vote tonight", budget, "Politics", (), "2026-02-09T09:00:00Z"),
        ("%2F", "Budget passes", budget, "Politics", (), "2026-02-11T09:00:00Z"),
        ("日本 🗞", "Budget protest at the library", budget, "Politics", (), "2026-02-11T09:00:00Z"),
        ("8", "Budget appeal fails", budget, "Politics", (), "2026-02-11T09:00:00Z"),
        ("9", "Storm floods the marsh", storm, "Environment", (), "2026-02-20T09:00:00Z"),
        ("10", "Sea wall report", storm, "Environment", ("Politics",), "2026-02-21T09:00:00Z"),
        ("11", "Lighthouse repaired", storm, "Environment", (), "2026-02-22T09:00:00Z"),
        ("12", "A recipe for oat cakes", "Oats butter salt and a hot griddle.", "Culture", (), None),
        (
            "13",
            "Sturmflut an der Küste",
            "Die Sturmflut traf den Deich.",
            "Environment",
            (),
            "2026-02-23T09:00:00Z",
        ),
        ("14", "Storm inquiry opens", storm, "Environment", (), "2026-03-01T12:00:20Z"),
        ("15", "Storm inquiry reports", storm, "Environment", (), "2026-03-01T12:00:45Z"),
        ("16", "Budget of next year", budget, "Politics", (), "2027-03-01T09:00:00Z"),
    ]
    return [
        Article(
            id=article_id,
            title=title,
            body=f"{body}\n\nMore on this later.",
            url=f"https://www.courier.example/{number}/",
            category=category,
            categories=(category, *others) if category else others,
            published_at=None if date is None else datetime.fromisoformat(date),
            lang="de" if article_id == "13" else "en",
        )
        for number, (article_id, title, body, category, others, date) in enumerate(facts, 1)
    ]
