"""A script of a data scientist that uses every public name; it must pass strict type checks."""

from datetime import UTC, datetime

import pandas as pd

import recommender as r


def main(models_dir: str, events: pd.DataFrame) -> list[pd.DataFrame]:
    """Read, train, evaluate, compare, tune and publish."""
    corpus: r.Corpus = r.read_articles(r.sample_file("articles.jsonl"))
    lint: r.LintReport = r.lint(corpus)
    article: r.Article = corpus.articles[0]
    labels: r.LabelFile = r.read_labels(r.sample_file("stories.csv"))
    recipe: r.Recipe = r.Recipe().replace(terms={"title_weight": 2})
    try:
        trained: r.Trained = r.train(corpus, recipe)
        frame = r.train(pd.DataFrame({"id": [1], "headline": ["x"]}), columns={"title": "headline"})
        version: str = r.publish(trained.model, models_dir) or frame.publish(models_dir)
        model: r.Model = r.open_version(models_dir, version) or r.open_current(models_dir)
        trending: r.BacktestReport = r.backtest(r.read_events(events), r.BacktestSettings(top=5))
    except (r.ArtifactError, r.BacktestError, r.CorpusError, r.LabelsError, r.RecipeError, r.TrainingError):
        raise
    except r.InvalidArticleError as error:
        raise SystemExit(f"{article}: {error}") from error
    pairs: list[tuple[str, float]] = model.similar(article.id, k=3) + model.similar(1001)
    items = r.Related(model).of(pairs[0][0], r.ListQuery(limit=3), datetime.now(UTC)).items
    systems = [*r.baselines(), *r.ablations(model.manifest)]
    report: r.EvaluationReport = r.evaluate(model, labels, systems=systems[:1])
    page = r.html_report(report) + r.quality_table(report.systems) + r.health_table(report.systems)
    misses = r.misses_table(r.worst_misses(model, labels))
    figures = [r.plots.quality(report.systems), r.plot_definitions(trending), r.plot_half_lives(trending)]
    comparison: r.Comparison = r.compare(corpus, {"now": r.Recipe(), "flat": recipe}, labels)
    tuning: r.Tuning = r.tune(corpus, {"terms.title_weight": [1, 2, 4]}, labels)
    distances, rows = r.RelatedArticles(title_weight=2).fit(corpus).kneighbors(["ferry"])
    table = r.display_table(comparison.table)
    print(lint, items, page, misses, figures, tuning, distances, rows, table, r.versions(models_dir))  # noqa: T201
    ranks = r.rank_trending(events, datetime.now(UTC))
    return [r.neighbors_frame(model), r.topics_frame(model), r.articles_frame(model), comparison.table, ranks]
