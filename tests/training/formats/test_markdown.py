"""Markdown files with front matter are read as posts; drafts and files that cannot be parsed are not."""

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.article import Article
from recommender.training.formats.files import markdown_files
from recommender.training.formats.markdown import MAX_BODY_BYTES, MAX_FRONT_MATTER_CHARS
from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from recommender.training.readers.lint import lint
from recommender.visibility import Decisions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "https://paper.example"


def read(folder: Path, files: dict[str, str | bytes], **options: Any) -> Corpus:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_articles(folder, now=NOW, max_bad=1, **options)


def article_of(folder: Path, text: str, name: str = "post.md", **options: Any) -> Article:
    (article,) = read(folder, {name: text}, **options).articles
    return article


FRONT_MATTER = {
    "yaml": """---
title: "Ferry: new"
date: 2025-03-01T08:00:00Z
tags: [Sea, Tram]
author: {name: Ann}
---
""",
    "yaml with line feeds of Windows and trailing tabs": (
        "---\r\ntitle: 'Ferry: new'\r\ndate: 2025-03-01 08:00:00\r\n"
        "tags:\r\n- Sea\r\n- Tram\t\r\nauthor: Ann\r\n---\r\n"
    ),
    "yaml with a short offset": """---
title: 'Ferry: new'
date: 2025-03-01 04:00:00 -4
tags: Sea, Tram
authors: [{name: Ann}]
...
""",
    "toml": """+++
title = "Ferry: new"
date = 2025-03-01T08:00:00Z
author = "Ann"
[taxonomies]
tags = ["Sea", "Tram"]
+++
""",
    "json": """{
  "title": "Ferry: new", "date": "2025-03-01T08:00:00Z",
  "tags": ["Sea", "Tram"], "author": "Ann"
}
""",
    "json with capitals": """---json
{"title": "Ferry: new", "Date": "2025-03-01T08:00Z", "Tags": ["Sea", "Tram"], "Author": "Ann"}
---
""",
    "byte order mark": """\ufeff---
title: "Ferry: new"
pubDate: 2025-03-01T08:00:00Z
tag: [Sea, Tram]
authors: Ann
---
""",
}


@pytest.mark.parametrize("front", FRONT_MATTER.values(), ids=FRONT_MATTER)
def test_front_matter_in_all_languages_gives_the_same_article(tmp_path: Path, front: str) -> None:
    article = article_of(tmp_path, front + "The *ferry* sails.")

    assert (article.id, article.title, article.body) == ("post", "Ferry: new", "The ferry sails.")
    assert article.published_at == datetime(2025, 3, 1, 8, tzinfo=UTC)
    assert (article.tags, article.authors) == (("Sea", "Tram"), ("Ann",))


def test_a_folder_is_read_with_its_subfolders_and_ids_are_paths(tmp_path: Path) -> None:
    corpus = read(
        tmp_path,
        {
            "b.md": "# B\ntext",
            "news/a.markdown": "# A\ntext",
            "news/bundle/index.md": "# Bundle\ntext",
            "news/c.mdx": "import X from 'x'\n\n# C\n<X />text",
            "news/d.md.gz": gzip.compress(b"# D\ntext"),
            "named.md": "---\nid: 007\n---\n# N\ntext",
            ".hidden.md": "x",
            ".git/x.md": "x",
            "node_modules/x.md": "x",
            "picture.png": "x",
        },
    )

    ids = [article.id for article in corpus.articles]
    assert ids == ["007", "b", "news/a", "news/bundle", "news/c", "news/d"]
    assert [article.title for article in corpus.articles] == ["N", "B", "A", "Bundle", "C", "D"]
    assert list(corpus.report.files.values()) == [6]


def test_a_single_file_is_read(tmp_path: Path) -> None:
    read(tmp_path, {"post.md": "# Ferry\nIt sails."})

    assert [article.id for article in read_articles(tmp_path / "post.md").articles] == ["post"]


@pytest.mark.parametrize(
    ("name", "front", "reason"),
    [
        ("a.md", "draft: true", "draft: true"),
        ("a.md", "Draft: yes", "draft: yes"),
        ("a.md", "published: false", "published: false"),
        ("a.md", "status: private", "private"),
        ("a.md", "date: 2026-01-02", "future date"),
        ("2026-02-01-a.md", "x: y", "future date"),
        ("a.md", "publishDate: 2027-01-01", "future date"),
        ("a.md", "expiryDate: 2025-12-31", "expired"),
        ("a.md", "type: page", "page"),
        ("a.md", "layout: page", "page"),
        ("a.md", "permalink: false", "permalink: false"),
        ("a.md", "headless: true", "headless"),
        ("a.md", "build: {render: never}", "not rendered"),
        ("_drafts/a.md", "title: A", "draft"),
        ("en/_drafts/x/a.md", "title: A", "draft"),
        ("news/_index.md", "title: A", "section page"),
        ("_includes/a.md", "title: A", "template"),
    ],
)
def test_a_file_that_is_not_a_public_post_is_skipped(
    tmp_path: Path, name: str, front: str, reason: str
) -> None:
    corpus = read(tmp_path, {"good.md": "# Good\ntext", name: f"---\n{front}\n---\n# Bad\ntext"})

    assert [article.id for article in corpus.articles] == ["good"]
    assert corpus.report.skipped == {reason: 1}


@pytest.mark.parametrize(
    "front", ["draft: false", "draft:", "published: true", "published: 2025-01-01", "date: 2025-12-31 23:00"]
)
def test_a_public_post_is_read(tmp_path: Path, front: str) -> None:
    assert article_of(tmp_path, f"---\n{front}\n---\n# Good\ntext").title == "Good"


def test_drafts_of_a_folder_that_is_itself_one_of_drafts_are_skipped(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="1 draft"):
        read(tmp_path / "_drafts", {"a.md": "# A"})


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        ("---\ntitle: Foo: bar\n---\nx", "broken front matter", "not YAML: mapping values"),
        ("+++\ntitle = x\n+++\nx", "broken front matter", "not TOML"),
        ('{"title": \n\nx', "broken front matter", "not JSON"),
        ("---\ntitle: x\n\ntext", "broken front matter", "never ends"),
        ("---\n- a\n---\nx", "broken front matter", "no keys"),
        ("---\na: &x [1]\nb: [*x, *x]\n---\nx", "broken front matter", "aliases are not supported"),
        ("---\na: " + "[" * 1200 + "\n---\nx", "broken front matter", "recursion"),
        ("---\na: " + "x" * MAX_FRONT_MATTER_CHARS + "\n---\nx", "broken front matter", "characters"),
        ("---\ndraft: true\ndraft: false\n---\nx", "broken front matter", "'draft' is repeated"),
        ("---\ndraft: maybe\n---\nx", "draft: neither true nor false", "'maybe'"),
        ("---\npublishDate: soon\n---\nx", "publishdate: impossible date", "soon"),
        ("---\ndate: soon\n---\nx", "published_at: impossible date", "soon"),
        ("---\nx: y\n---\n", "neither title nor body", "'a'"),
        (b"---\ntitle: caf\xe9\n---\nx", "not UTF-8", "byte 15 is 0xe9"),
        ("x" * (MAX_BODY_BYTES + 1), "too large", "4 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_alone(
    tmp_path: Path, content: str | bytes, reason: str, detail: str
) -> None:
    corpus = read(tmp_path, {"a.md": content, "good.md": "# Good\ntext"})

    (refusal,) = corpus.report.refused
    assert [article.id for article in corpus.articles] == ["good"]
    assert refusal.reason == reason
    assert detail in refusal.detail


def test_a_refused_file_is_named_and_lint_has_advice(tmp_path: Path) -> None:
    read(tmp_path, {"news/a.md": "---\na: [\n---\n", "b.md": "---\ndraft: soon\n---\n", "c.md": "# C\n"})

    findings = {finding.kind: finding for finding in lint(tmp_path, now=NOW).findings}

    assert findings["broken front matter"].examples[0].value.startswith("news/a.md: ")
    assert findings["draft: neither true nor false"].advice


def test_the_date_in_a_file_name_is_used_where_the_front_matter_has_none(tmp_path: Path) -> None:
    dated = article_of(tmp_path / "a", "# A\ntext", "2024-05-01-title.md")
    folder = article_of(tmp_path / "b", "# A\ntext", "2024-05-02-title/index.md")
    both = article_of(tmp_path / "c", "---\ndate: 2024-06-01\n---\n# A\ntext", "2024-05-01-title.md")

    days = [
        article.published_at.strftime("%m-%d") for article in (dated, folder, both) if article.published_at
    ]
    assert days == ["05-01", "05-02", "06-01"]


@pytest.mark.parametrize(
    ("front", "url"),
    [
        ("permalink: /news/ferry/", f"{SITE}/news/ferry/"),
        ("url: https://other.example/x", "https://other.example/x"),
        ("permalink: /:categories/:title/", None),
        ('permalink: "/{{ page.fileSlug }}/"', None),
        ("permalink: pretty\nurl: /x", f"{SITE}/x"),
        ("slug: ferry", None),
    ],
)
def test_only_a_complete_path_is_a_url(tmp_path: Path, front: str, url: str | None) -> None:
    assert article_of(tmp_path, f"---\n{front}\n---\n# A\ntext", site=SITE).url == url


def test_a_note_counts_the_posts_without_a_url(tmp_path: Path) -> None:
    corpus = read(tmp_path, {"a.md": "# A\nx", "b.md": "---\nurl: /b\n---\n# B\nx"})

    assert "1 of 2 files have no URL" in corpus.report.notes[0]


@pytest.mark.parametrize(
    ("name", "front", "categories"),
    [
        ("a.md", "category: Local news", ("Local news",)),
        ("a.md", "categories: [Local news, Sea]", ("Local news", "Sea")),
        ("a.md", "categories: Local news, Sea", ("Local news", "Sea")),
        ("a.md", "categories: Local news", ("Local news",)),
        ("2025-01-01-a.md", "categories: news sea", ("news", "sea")),
        ("a.md", "section: Sea", ("Sea",)),
    ],
)
def test_categories_are_a_list_or_a_text(
    tmp_path: Path, name: str, front: str, categories: tuple[str, ...]
) -> None:
    assert article_of(tmp_path, f"---\n{front}\n---\n# A\ntext", name).categories == categories


@pytest.mark.parametrize(
    ("name", "front", "lang"),
    [
        ("a.md", "lang: fr", "fr"),
        ("a.md", "locale: pt_BR", "pt"),
        ("a.fr.md", "x: y", "fr"),
        ("a.pt-br.md", "x: y", "pt"),
    ],
)
def test_the_language_is_in_the_front_matter_or_the_file_name(
    tmp_path: Path, name: str, front: str, lang: str
) -> None:
    assert article_of(tmp_path, f"---\n{front}\n---\n# A\ntext", name).lang == lang


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('See [the ferry]({{ "/ferry" | url }}) now.', "See the ferry now."),
        ("{% include x.html %}\n\nThe ferry {% raw %}sails{% endraw %}.", "The ferry sails."),
        ('{{< figure src="a.jpg" >}}\n\nIt {{% b %}}sails{{% /b %}}.', "It sails."),
        ("{% comment %}Do not\n\nprint{% endcomment %}Print", "Print"),
        ('<div>\n\t{{ "ann" | photo }}\n\t<blockquote>\n\t\tQuoted\n\t</blockquote>\n</div>', "Quoted"),
        ("Text{: .lead}\n\nMore[^1]", "Text\n\nMore"),
        ("| a | b |\n|---|---|\n| c | d |", "a\n\nb\n\nc\n\nd"),
        ("![A picture](a.jpg) **bold** `code` &amp; <b>html</b><script>x</script>", "bold code & html"),
        ("A {% broken tag", "A {% broken tag"),
        ("    indented {{ x }} code", "indented code"),
    ],
)
def test_markdown_html_and_template_tags_become_text(tmp_path: Path, text: str, body: str) -> None:
    assert article_of(tmp_path, f"---\ntitle: T\n---\n{text}\n").body == body


def test_the_heading_that_becomes_the_title_leaves_the_body(tmp_path: Path) -> None:
    article = article_of(tmp_path, "Lead\n\n## The *ferry*\n\nIt sails.\n\n## More\n")

    assert (article.title, article.body) == ("The ferry", "Lead\n\nIt sails.\n\nMore")


def test_images_are_complete_addresses_only(tmp_path: Path) -> None:
    front = "---\nimage: images/a.jpg\ncover: {image: /b.jpg}\n---\n# A\ntext"

    assert article_of(tmp_path, front, site=SITE).image_url == f"{SITE}/b.jpg"


def test_columns_can_be_mapped_and_other_keys_are_reported(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.md": "---\nkeywords: Sea|Tram\nmood: calm\nlayout: post\n---\n# A\ntext"
    }

    corpus = read(tmp_path, files, columns={"tags": "keywords"})

    assert corpus.articles[0].tags == ("Sea", "Tram")
    assert corpus.report.unknown_columns == {"mood": 1}


def test_the_user_decides_about_other_visibility_keys(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"{state}.md": f"---\nvisibility: {state}\n---\n# A\ntext" for state in ("public", "members", "paid")
    }

    corpus = read(tmp_path, files, decisions=Decisions.of({"visibility": ["public", "members"]}))

    assert [article.id for article in corpus.articles] == ["members", "public"]


def test_a_readme_beside_posts_is_skipped_and_beside_other_files_ignored(tmp_path: Path) -> None:
    posts = read(tmp_path / "posts", {"README.md": "# About", "a.md": "# A\ntext"})
    files: dict[str, str | bytes] = {"README.md": "# About", "a.jsonl": '{"id": 1, "title": "One"}'}
    other = read(tmp_path / "other", files)

    assert posts.report.skipped == {"readme": 1}
    assert [article.id for article in other.articles] == ["1"]


def test_posts_beside_other_corpus_files_are_refused_with_both_names(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"Markdown posts, such as a\.md, and .* b\.csv; pass either"):
        read(tmp_path, {"a.md": "---\ntitle: A\n---\n", "b.csv": "id,title\n1,One\n"})


def test_hostile_text_takes_linear_time(tmp_path: Path) -> None:
    texts = [
        "{{" * 5000,
        "{%" * 5000,
        "{#" * 5000,
        "{% comment %}" * 2000,
        "[" * 2000,
        "> " * 2000,
        "*a " * 2000,
    ]

    corpus = read(tmp_path, {f"{n}.md": f"# T\n{text}" for n, text in enumerate(texts)})

    assert len(corpus.articles) == len(texts)


def test_pipes_and_broken_links_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "loop.md").symlink_to("loop.md")
    (tmp_path / "missing.md").symlink_to("nowhere.md")

    corpus = read(tmp_path, {"a.md": "# A\ntext"})
    findings = [finding.kind for finding in lint(tmp_path, now=NOW).findings]

    assert corpus.report.refused_by_reason == {"not a regular file": 3}
    assert "not a regular file" in findings


def test_a_link_to_a_folder_is_noted(tmp_path: Path) -> None:
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "self").symlink_to(".")

    corpus = read(tmp_path / "posts", {"a.md": "# A\ntext"})

    assert [article.id for article in corpus.articles] == ["a"]
    assert "posts/self is a link and was not read" in corpus.report.notes[0]


def test_a_folder_that_cannot_be_read_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"folder .*gone cannot be read"):
        list(markdown_files(tmp_path / "gone"))
