"""A script of a data scientist that uses every public name; it must pass strict type checks."""

from datetime import UTC, datetime

import pandas as pd

import recommender as r


def main(models_dir: str, events: pd.DataFrame) -> list[pd.DataFrame]:
    """Read, train, look, evaluate, compare, tune and publish."""
    corpus: r.Corpus = r.read_articles(r.sample_file("articles.jsonl"))
    report: r.LintReport = r.lint(corpus)
    article: r.Article = corpus.articles[0]
    labels: r.LabelFile = r.read_labels(r.sample_file("stories.csv"))
    recipe: r.Recipe = r.Recipe().replace(terms={"title_weight": 2})
    try:
        trained: r.Trained = r.train(corpus, recipe)
        frame = r.train(pd.DataFrame({"id": [1], "headline": ["x"]}), columns={"title": "headline"})
        version: str = r.publish(trained.model, models_dir) or frame.publish(models_dir)
        model: r.Model = r.open_version(models_dir, version) or r.open_current(models_dir)
    except (r.CorpusError, r.TrainingError, r.ArtifactError, r.RecipeError, r.LabelsError) as error:
        raise SystemExit(str(error)) from error
    except r.InvalidArticleError as error:
        raise SystemExit(f"{article}: {error}") from error
    pairs: list[tuple[str, float]] = model.similar(article.id, k=3) + model.similar(1001)
    items = r.Related(model).of(pairs[0][0], r.ListQuery(limit=3), datetime.now(UTC)).items
    systems = [*r.baselines(), *r.ablations(model.manifest)]
    evaluation: r.EvaluationReport = r.evaluate(model, labels, systems=systems[:1])
    tables = r.quality_table(evaluation.systems) + r.health_table(evaluation.systems)
    page = r.html_report(evaluation) + tables + r.misses_table(r.worst_misses(model, labels))
    figure = r.plots.quality(evaluation.systems)
    comparison: r.Comparison = r.compare(corpus, {"now": r.Recipe(), "flat": recipe}, labels)
    tuning: r.Tuning = r.tune(corpus, {"terms.title_weight": [1, 2, 4]}, labels)
    distances, rows = r.RelatedArticles(title_weight=2).fit(corpus).kneighbors(["ferry"])
    print(report, items, page, figure, tuning.best, distances, rows, r.versions(models_dir))  # noqa: T201
    frames = [r.neighbors_frame(model), r.topics_frame(model), r.articles_frame(model)]
    return [
        *frames,
        trained.neighbors_frame(k=3),
        comparison.table,
        r.rank_trending(events, datetime.now(UTC)),
    ]
