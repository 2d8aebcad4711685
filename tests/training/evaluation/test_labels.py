"""Labels: valid and invalid files, and the resulting relevant articles."""

from pathlib import Path

import numpy as np
import pytest

from recommender.article import Article
from recommender.model import Articles
from recommender.training.evaluation.labels import LabelFile, LabelsError, judgements, read_labels


@pytest.fixture
def articles() -> Articles:
    """Rows 0 … 5 are the articles a … f."""
    return Articles.of([Article(id=letter, title=letter) for letter in "abcdef"])


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_other_articles_of_a_story_are_relevant(articles: Articles) -> None:
    labels = LabelFile.of_stories([("b", "x"), ("d", "x"), ("f", "x"), ("a", "y"), ("c", "y")])

    judged = judgements(labels, articles)

    assert judged.queries.tolist() == [0, 1, 2, 3, 5]
    assert judged.relevant(3)[0].tolist() == [1, 5]
    assert judged.relevant(3)[1].tolist() == [1, 1]
    assert judged.stories.tolist() == [0, 1, 0, 1, 1]


def test_the_only_article_of_a_story_is_not_a_query(articles: Articles) -> None:
    labels = LabelFile.of_stories([("a", "x"), ("gone", "x"), ("b", "y"), ("c", "y")])

    judged = judgements(labels, articles)

    assert judged.queries.tolist() == [1, 2]
    assert judged.unknown_ids == 1


def test_stories_that_share_an_article_are_resampled_together(articles: Articles) -> None:
    labels = LabelFile.of_stories([("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("e", "z"), ("f", "z")])

    judged = judgements(labels, articles)

    assert judged.relevant(0)[0].tolist() == [1]
    assert judged.stories.tolist() == [0, 0, 0, 1, 1]


def test_other_columns_of_a_story_file_are_ignored(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffid,size,story_id\na,3,x\nb,3,x\n")

    assert read_labels(path).stories == {"x": {"a", "b"}}


def test_graded_pairs_count_in_both_directions_unless_graded_separately(
    tmp_path: Path, articles: Articles
) -> None:
    path = written(tmp_path, "a,b,grade\na,b,3\nc,d,2\nd,c,1\ne,f,0\n")

    judged = judgements(read_labels(path), articles)

    assert judged.grades.toarray()[:4, :4].tolist() == [
        [0, 3, 0, 0],
        [3, 0, 0, 0],
        [0, 0, 0, 2],
        [0, 0, 1, 0],
    ]
    assert judged.queries.tolist() == [0, 1, 2, 3]


def test_few_bad_rows_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{number},x\n" for number in range(40))

    labels = read_labels(written(tmp_path, f"id,story_id\n{rows}40,\n,x\n"))

    assert labels.bad_rows == 2
    assert len(labels.stories["x"]) == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns none; labels need id,story_id or a,b,grade"),
        ("id,topic\na,x\n", "the columns id, topic"),
        ("id,story_id\n", "contains no labels"),
        ("id,story_id\na\nb,x\n", "1 of 2 rows are bad, more than the 5% allowed; row 2: story_id: missing"),
        ("a,b,grade\na,b,good\n", "row 2: grade: 'good' is not a whole number from 0 to 100"),
        ("a,b,grade\na,b,101\n", "row 2: grade: '101' is not"),
        ("a,b,grade\na,b,²\n", "row 2: grade: '²' is not"),
        ("a,b,grade\na,a,1\n", "row 2: pair: 'a', 'a': the two ids must be different"),
        ("a,b,grade\na,b,1\na,b,2\n", "row 3: grade: '2', but an earlier row says 1"),
        ('id,story_id\n"a,x\n', "is not CSV in UTF-8"),
    ],
)
def test_invalid_labels_are_rejected_with_the_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelsError) as refused:
        read_labels(written(tmp_path, text))

    assert message in str(refused.value)
    assert str(tmp_path / "labels.csv") in str(refused.value)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="No such file"):
        read_labels(tmp_path / "none.csv")


def test_labels_of_other_articles_are_rejected(articles: Articles) -> None:
    labels = LabelFile.of_stories([("x", "s"), ("y", "s"), ("a", "t")], "labels.csv")

    with pytest.raises(LabelsError, match=r"labels.csv: no two of the 6 articles .* 2 of 3 labelled ids"):
        judgements(labels, articles)


def test_no_article_is_relevant_to_itself(articles: Articles) -> None:
    judged = judgements(LabelFile.of_stories([(letter, "x") for letter in "abc"]), articles)

    assert np.diagonal(judged.grades.toarray()).tolist() == [0] * 6
