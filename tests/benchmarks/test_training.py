"""The benchmark of training: its peers, extrapolation, ratios, table, JSON and growth."""

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console, RenderableType

from recommender.article import Article
from recommender.columns import Strings
from recommender.terminal import training_facts, training_summary
from recommender.training.evaluation.labels import LabelFile, judgements
from recommender.training.train import Trained
from tests.benchmarks.__main__ import main
from tests.benchmarks.processes import FailedError, Usage, watch
from tests.benchmarks.training import peers, run
from tests.benchmarks.training.corpora import Corpus, Labelled, Prepared, prepared
from tests.benchmarks.training.growth import Growth, exponent, measured_growth, plot
from tests.benchmarks.training.results import document, table
from tests.benchmarks.training.steps import measured_steps
from tests.benchmarks.training.systems import (
    Comparison,
    Run,
    System,
    compared,
    extrapolated,
    steps_of,
)
from tests.support.corpora import jsonl

pytestmark = pytest.mark.slow

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
POSTS = [
    {
        "id": f"{n:02}",
        "title": f"harbour {'budget' if n % 2 else 'ferry'}",
        "body": f"pier w{n // 2} x{n // 4}",
    }
    for n in range(24)
]


def comparison(articles: int = 1_000, seconds: float = 2.0) -> Comparison:
    """Ours in two rounds, a peer that took 4 and 8 times as long, one that failed, and one missing."""
    ours = System(
        "ours",
        [Run(seconds, 3, 100, {"reading": 0.5, "neighbours": 1.0})] * 2,
        {"ndcg_at_9": 0.9466, "recall_at_9": 0.9},
        184,
    )
    peer = System("scikit-learn", [Run(4 * seconds, 6, 50), Run(8 * seconds, 6, 50)], {"ndcg_at_9": 0.5}, 184)
    failed = System("tantivy", error="exit status 1: no space")
    return Comparison("news", articles, 968.2, 5, [ours, peer, failed], {"sp_matmul_rs": ["sp-matmul-rs"]})


def printed(renderable: RenderableType) -> str:
    console = Console(width=1_000)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_steps_are_read_from_the_summary_of_train(trained: Trained) -> None:
    seconds = {"reading": 10.7, "latent space": 1234.5, "quality gate": 0.0}
    verdict = SimpleNamespace(
        checks=[], comparisons=[], guards=[], not_compared="", list_overlap=None, most_changed=[]
    )
    outcome = SimpleNamespace(version="v1", verdict=verdict)
    reading = SimpleNamespace(
        refused_by_reason=Counter(), fields_refused=Counter(), skipped={}, notes=["Seconds 1 (no)"]
    )

    summary = printed(training_summary(training_facts(trained.model, reading, seconds, 1 << 30), outcome))

    assert steps_of(summary) == seconds


def test_a_summary_without_seconds_is_an_error_that_shows_it() -> None:
    with pytest.raises(FailedError, match="no row of seconds: 'Articles 5'"):
        steps_of("Articles 5")


def test_a_command_is_measured_with_its_descendants() -> None:
    child = "import time; x = bytearray(24 << 20); x[::4096] = b'1' * (6 << 10)"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child + '; time.sleep(0.25)'!r}])"
    )
    usage = watch(sys.executable, "-c", parent)

    assert usage.peak_mib > 24
    assert usage.cpu_seconds > 0


def test_a_command_that_fails_is_reported_with_its_status_and_last_line() -> None:
    with pytest.raises(FailedError, match=r"exit status 3: no space left$"):
        watch(sys.executable, "-c", "import sys; print('no space left', file=sys.stderr); sys.exit(3)")


def test_the_queries_that_a_peer_left_out_are_extrapolated() -> None:
    figures = {
        "articles": 1_000,
        "queries": 200,
        "prepare_seconds": 10,
        "query_seconds": 6,
        "prepare_cpu_seconds": 11,
        "query_cpu_seconds": 12,
    }

    whole = extrapolated(Usage(seconds=20, cpu_seconds=30, peak_mib=5), figures)

    assert whole == Run(20 + 4 * 6, 30 + 4 * 12, 5, {"preparation": 10, "queries": 30})


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_finds_the_article_with_the_same_words(tmp_path: Path, name: str) -> None:
    if missing := peers.PEERS[name].missing():
        pytest.skip(f"pip install {' '.join(missing)}")
    corpus, lists = jsonl(tmp_path / "posts.jsonl", *POSTS), tmp_path / "lists.npy"

    figures = peers.run(name, corpus, 5, 3, lists)

    rows, found = np.arange(0, 24, 3), np.load(lists)
    assert (figures["articles"], figures["queries"]) == (24, 8)
    assert found.shape == (8, 5)
    assert found[:, 0].tolist() == (rows ^ 1).tolist()
    assert not (found == rows[:, None]).any()


def test_quality_is_measured_on_the_queries_that_a_peer_answered(trained: Trained) -> None:
    articles = trained.model.articles
    ids = [articles.ids[row] for row in range(8)]
    stories = LabelFile("test", {"a": frozenset(ids[0:2]), "b": frozenset(ids[4:7])})
    labelled = Labelled(
        judgements(stories, articles), Strings.of(f"title {row}" for row in range(len(articles)))
    )
    lists = np.array([[1, 9], [8, 9], [5, 6], [7, 9]], dtype=np.int32)  # of the rows 0, 2, 4 and 6

    means, queries = labelled.quality(lists, 2)

    assert queries == 3
    assert means == pytest.approx({"ndcg_at_9": 2 / 3, "recall_at_9": 2 / 3})


def test_a_part_of_a_corpus_is_written_in_order_of_ids(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "posts.jsonl", *reversed(POSTS))
    half = prepared(Corpus("half", path, every=2), tmp_path)

    ids = [json.loads(line)["id"] for line in half.lines.read_text().splitlines()]
    assert ids == [post["id"] for post in POSTS[::2]]
    assert (half.articles, half.trained) == (12, half.lines)


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    ours, peer, _ = comparison().systems

    assert peer.ratio_of(ours, "seconds") == (1 / 4 + 1 / 8) / 2


def test_the_table_has_a_row_for_each_system_and_each_of_our_steps() -> None:
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in printed(table(comparison())).splitlines()
        if line.startswith("│")
    }

    assert rows["recommender train"] == ["2.0", "", "3.0", "", "100", "", ".9466"]
    assert rows["neighbours"][0] == "1.0"
    assert rows["scikit-learn brute force"] == ["12.0", "0.19", "6.0", "0.50", "50", "2.00", ".5000"]
    assert rows["tantivy MoreLikeThis"][0] == "failed"
    assert rows["scikit-learn + sp_matmul_rs"][0] == "missing"


def test_the_table_says_what_was_measured_and_what_to_install() -> None:
    text = printed(table(comparison()))

    assert "news: 1,000 articles of 968 words; peers find 20 each, every 5th article queried" in text
    assert "Not installed: sp_matmul_rs. To measure them: pip install sp-matmul-rs" in text


def test_the_json_has_every_run_and_the_machine() -> None:
    growth = Growth([comparison(10_000, 2), comparison(160_000, 32)])
    written = json.loads(json.dumps(document([comparison()], growth, MOMENT)))

    [news] = written["corpora"]
    assert news["systems"]["ours"]["steps"] == {"reading": 0.5, "neighbours": 1.0}
    assert news["systems"]["scikit-learn"]["ours_divided_by_it"]["peak_mib"] == 2
    assert [run["seconds"] for run in news["systems"]["scikit-learn"]["runs"]] == [8, 16]
    assert news["systems"]["tantivy"] == {"error": "exit status 1: no space"}
    assert news["missing"] == {"sp_matmul_rs": ["sp-matmul-rs"]}
    assert written["machine"]["cores"] > 0
    assert written["growth"]["exponents"]["seconds"]["ours"] == pytest.approx(1)
    assert "tantivy" not in written["growth"]["seconds"]


def test_a_system_that_failed_on_one_size_has_no_line() -> None:
    largest = comparison(160_000, 32)
    largest.systems[1].error = "killed"

    assert list(Growth([comparison(10_000), largest]).series()) == ["ours"]


def test_the_exponent_of_a_power_is_found() -> None:
    sizes = [10_000, 20_000, 160_000]

    assert exponent(sizes, [3e-6 * size**1.4 for size in sizes]) == pytest.approx(1.4)


@pytest.mark.slow
def test_the_growth_is_drawn_with_its_exponents(tmp_path: Path) -> None:
    growth = Growth([comparison(10_000, 2), comparison(40_000, 8), comparison(160_000, 32)])
    plot(growth).savefig(tmp_path / "growth.svg")

    legend = plot(growth).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][:2] == [
        "recommender train: articles^1.00",
        "scikit-learn: articles^1.00",
    ]
    assert (tmp_path / "growth.svg").stat().st_size > 1_000


def test_a_peer_that_is_not_installed_is_named_and_one_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = peers.Peer("absent", {"json": "json", "no_such_module": "no-such-package"}, peers.brute_force)
    monkeypatch.setitem(peers.PEERS, "absent", absent)
    monkeypatch.setitem(peers.PEERS, "broken", peers.Peer("broken", {"json": "json"}, peers.brute_force))
    said: list[str] = []

    def run_once(system: System, _: Prepared, __: int) -> None:
        if system.name == "broken":
            raise FailedError("no space")
        system.runs.append(Run(1, 1, 1))

    monkeypatch.setattr("tests.benchmarks.training.systems._run_once", run_once)
    ready = Prepared("sample", tmp_path, tmp_path, 10, 100, None)
    result = compared(ready, ["absent", "broken", "scikit-learn"], 2, 1, said.append)

    assert result.missing == {"absent": ["no-such-package"]}
    assert [(system.name, len(system.runs), system.error) for system in result.systems] == [
        ("ours", 2, ""),
        ("broken", 0, "no space"),
        ("scikit-learn", 2, ""),
    ]
    assert "sample, broken failed: no space" in said


@pytest.mark.slow
def test_growth_is_measured_on_parts_of_an_archive_of_both_corpora(
    tmp_path: Path, sample_articles: list[Article]
) -> None:
    rows = [{"id": article.id, "title": article.title, "body": article.body} for article in sample_articles]
    pq.write_table(pa.Table.from_pylist(rows[:130]), tmp_path / "news.parquet")
    pq.write_table(pa.Table.from_pylist(rows[130:]), tmp_path / "encyclopedia.parquet")
    said: list[str] = []

    growth = measured_growth(tmp_path, tmp_path, [80, 160], ["scikit-learn"], said.append)

    assert growth.sizes == [80, 160]
    assert set(growth.series()) == {"ours", "scikit-learn"}
    assert len(said) == 4


@pytest.mark.slow
def test_the_benchmark_of_a_small_corpus_writes_the_table_and_the_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    articles = "recommender/sample/articles.jsonl"
    output = tmp_path / "training.json"

    main(
        ["training", "--corpus", articles, "--peers", "scikit-learn", "--rounds", "1", "--json", str(output)]
    )

    [corpus] = json.loads(output.read_text())["corpora"]
    assert list(corpus["systems"]) == ["ours", "scikit-learn"]
    assert corpus["systems"]["ours"]["steps"]["neighbours"] > 0
    assert corpus["systems"]["ours"]["cpu_seconds"] > 0
    assert "articles.jsonl: 259 articles" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["training", "--only", "sampel"], "training has no part 'sampel'; the parts are sample, news"),
        (["training", "--peers", "lucene"], "there is no peer 'lucene'"),
        (["training", "--rounds", "0"], "'0' is not a positive whole number"),
        (["trainig"], "there is no benchmark 'trainig'"),
        (["quality", "--only", "news"], "quality has no part 'news'"),
    ],
)
def test_a_wrong_argument_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)

    assert message in capsys.readouterr().err


def test_the_corpora_of_real_data_are_measured_only_if_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "compile_kernels", lambda: None)
    monkeypatch.setattr(run, "_compared", lambda corpus, *_: comparison(articles=len(corpus.name)))

    run.measure(None, run.Options(json=tmp_path / "a.json", plot=tmp_path / "a.svg"))

    assert len(json.loads((tmp_path / "a.json").read_text())["corpora"]) == 1
    assert (
        "Skipped without RECOMMENDER_TEST_DATA: news, half, encyclopedia, growth" in capsys.readouterr().out
    )


@pytest.mark.slow
def test_the_steps_of_a_training_are_measured_in_order(tmp_path: Path) -> None:
    steps = measured_steps(jsonl(tmp_path / "posts.jsonl", *POSTS))

    assert [step.name for step in steps] == [
        "kernels", "reading", "terms", "latent space", "topics", "neighbours", "articles", "quality gate",
        "publishing",
    ]  # fmt: skip
    by_name = {step.name: step for step in steps}
    assert all(step.seconds > 0 and step.peak_mib > 0 for step in steps)
    assert by_name["publishing"].written_mib > by_name["terms"].written_mib == 0
