"""Visibility that a site sets outside a post hides the post, or stops the run if it is not certain."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender.training.readers.corpus import Corpus, CorpusError, read_articles
from recommender.visibility import Decisions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POST = "---\ntitle: T\n---\ntext"
HIDDEN = {
    "cascade of Hugo": ("news/_index.md", "---\ncascade: {draft: true}\n---\n", "draft: true"),
    "cascade of Hugo in a list": ("news/_index.md", "---\ncascade:\n- draft: true\n---\n", "draft: true"),
    "cascade of Hugo above": ("_index.md", "+++\n[cascade]\ndraft = true\n+++\n", "draft: true"),
    "cascade of Hugo's build": (
        "news/_index.html",
        "---\ncascade: {_build: {list: never}}\n---",
        "not rendered",
    ),
    "settings of Hugo": ("hugo.toml", "[cascade]\ndraft = true\n", "draft: true"),
    "settings of Hugo in YAML": ("config.yaml", "cascade: {expiryDate: 2025-01-01}\n", "expired"),
    "defaults of Jekyll": (
        "_config.yml",
        "title: &name Paper\ndefaults:\n- scope: {path: news, type: ''}\n  values: {published: false}\n",
        "published: false",
    ),
    "defaults of Jekyll for all": ("_config.yml", "defaults: [{values: {status: draft}}]", "draft"),
    "data of Eleventy": ("news/news.json", '{"draft": true}', "draft: true"),
    "data of Eleventy by suffix": ("news/news.11tydata.json", '{"permalink": false}', "permalink: false"),
    "data of Eleventy for one post": ("news/a.11tydata.json", '{"draft": true}', "draft: true"),
}
UNCERTAIN = {
    "cascade with a target": ("_index.md", "---\ncascade:\n- _target: {kind: page}\n  draft: true\n---\n"),
    "cascade of one language": ("_index.fr.md", "---\ncascade: {draft: true}\n---\n"),
    "several cascades": ("_index.md", "---\ncascade: [{draft: true}, {title: T}]\n---\n"),
    "a broken section page": ("_index.md", "---\ncascade: {draft: true\n---\n"),
    "settings of one environment": ("config/production/hugo.toml", "[cascade]\ndraft = true\n"),
    "settings in parts": ("config/_default/cascade.toml", "draft = true\n"),
    "settings of one language": ("hugo.yaml", "languages: {fr: {cascade: {draft: true}}}"),
    "defaults with a pattern": ("_config.yml", "defaults: [{scope: {path: 'n*'}, values: {draft: true}}]"),
    "defaults of a type": ("_config.yml", "defaults: [{scope: {type: posts}, values: {draft: true}}]"),
    "defaults that may not be used": ("_config_dev.yml", "defaults: [{values: {draft: true}}]"),
    "defaults of another folder": (
        "_config.yml",
        "source: src\ndefaults: [{scope: {path: news}, values: {draft: true}}]",
    ),
    "a program": ("news/news.11tydata.js", "module.exports = { draft: true };"),
    "a program without the key": ("news/news.11tydata.cjs", "module.exports = { permalink: false };"),
    "computed data": ("news/news.json", '{"eleventyComputed": {"draft": "{{ x }}"}}'),
    "broken data": ("news/news.json", '{"draft": true,}'),
}
HARMLESS = {
    "no visibility": ("_config.yml", "defaults: [{scope: {type: posts}, values: {layout: post}}]"),
    "public posts": ("_config.yml", "defaults: [{scope: {type: posts}, values: {published: true}}]"),
    "defaults of drafts": ("_config.yml", "defaults: [{scope: {type: drafts}, values: {draft: true}}]"),
    "defaults of another path": ("_config.yml", "defaults: [{scope: {path: new}, values: {draft: true}}]"),
    "a draft that is a section page": ("news/_index.md", "---\ndraft: true\n---\ncascade"),
    "data of another folder": ("news/old.json", '{"draft": true}'),
    "data that is a list": ("news/news.json", '[{"draft": true}]'),
    "a program about the layout": ("news/news.11tydata.js", "module.exports = { layout: 'post' };"),
    "broken settings": ("_config.yml", "defaults: [\n"),
    "templates": ("_includes/_index.md", "---\ncascade: [{draft: true}, {}]\n---\n"),
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def read(folder: Path, files: dict[str, str], **options: Any) -> Corpus:
    return read_articles(written(folder, files), now=NOW, **options)


def ids(corpus: Corpus) -> list[str]:
    return [article.id for article in corpus.articles]


OPEN = {
    "open.md": "---\ntitle: T\ndraft: false\npublished: true\nstatus: public\nexpiryDate: 2027-01-01\n"
    "_build: {}\n---\ntext"
}


@pytest.mark.parametrize(("name", "text", "reason"), HIDDEN.values(), ids=HIDDEN)
def test_a_post_is_hidden_by_a_default_for_its_folder(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    corpus = read(tmp_path, {"news/a.md": POST, name: text} | OPEN)

    assert ids(corpus) == ["open"]
    assert corpus.report.skipped[reason] == 1


@pytest.mark.parametrize(("name", "text"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_a_default_for_uncertain_posts_stops_the_run(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(
        CorpusError, match=r"may hide posts such as .*a.md by '(draft|permalink)'.* into the front matter"
    ) as error:
        read(tmp_path, {"news/a.md": POST, name: text})

    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize(("name", "text"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_the_key_in_the_post_is_the_cure(tmp_path: Path, name: str, text: str) -> None:
    post = "---\ntitle: T\npermalink: /a/\ndraft: {}\n---\ntext"
    files = {f"news/{value}.md": post.format(value) for value in ("true", "false")}

    assert ids(read(tmp_path, {**files, name: text})) == ["news/false"]


def test_an_uncertain_default_is_not_undone_by_a_certain_one(tmp_path: Path) -> None:
    files = {
        "news/news.11tydata.js": "draft",
        "news/news.11tydata.json": '{"draft": false}',
        "news/a.md": POST,
    }

    with pytest.raises(CorpusError, match=r"11tydata\.js may hide"):
        read(tmp_path, files)


@pytest.mark.parametrize(("name", "text"), HARMLESS.values(), ids=HARMLESS)
def test_a_default_that_hides_no_post_is_ignored(tmp_path: Path, name: str, text: str) -> None:
    assert ids(read(tmp_path, {"news/a.md": POST, name: text})) == ["news/a"]


def test_the_key_of_a_post_wins_and_then_that_of_the_nearest_folder(tmp_path: Path) -> None:
    corpus = read(
        tmp_path,
        {
            "_index.md": "---\ncascade: {draft: true}\n---\n",
            "a.md": POST,
            "b.md": "---\ntitle: T\nDraft: false\n---\ntext",
            "c.md": "---\ntitle: T\ndraft:\n---\ntext",
            "news/_index.md": "---\ncascade: {draft: false}\n---\n",
            "news/d.md": POST,
            "news/x/x.json": '{"draft": false}',
            "news/x/x.11tydata.json": '{"draft": true}',
            "news/x/e.md": POST,
        },
    )

    assert ids(corpus) == ["b", "news/d"]


def test_another_visibility_key_of_a_post_does_not_undo_a_default(tmp_path: Path) -> None:
    post = "---\ntitle: T\ndraft: false\n---\ntext"

    with pytest.raises(CorpusError, match="1 published: false"):
        read(tmp_path, {"_config.yml": "defaults: [{values: {published: false}}]", "a.md": post})


def test_files_above_the_posts_are_read_up_to_the_configuration(tmp_path: Path) -> None:
    site = written(
        tmp_path / "site",
        {
            "_config.yml": "defaults: [{scope: {path: en/_posts}, values: {published: false}}]",
            "en/_posts/a.md": POST,
            "en/_posts/b.md": "---\ntitle: T\npublished: true\n---\ntext",
            "fr/_posts/c.md": POST,
        },
    )
    written(tmp_path, {"_index.md": "---\ncascade: {draft: true}\n---\n"})

    assert ids(read_articles(site / "en" / "_posts")) == ["b"]
    assert ids(read_articles(site / "en" / "_posts" / "b.md")) == ["b"]
    assert ids(read_articles(site / "fr")) == ["_posts/c"]


def test_the_settings_of_hugo_beside_the_posts_are_read(tmp_path: Path) -> None:
    site = written(tmp_path, {"config/_default/hugo.toml": "[cascade]\ndraft = true", "content/a.md": POST})

    with pytest.raises(CorpusError, match=r"may hide posts such as .*a\.md by 'draft'"):
        read_articles(site / "content")


def test_a_key_that_is_not_about_visibility_or_is_mapped_is_not_applied(tmp_path: Path) -> None:
    program = {"news/news.11tydata.js": "({ state: 'x', private: 1 })", "news/a.md": POST}
    data = {"news.json": '{"state": "draft"}', "b.md": POST}

    corpus = read(tmp_path / "site", program, decisions=Decisions.of({}, ["state", "private"]))
    mapped = read(tmp_path / "news", data, columns={"category": "state"})

    assert (ids(corpus), ids(mapped)) == (["news/a"], ["b"])


def test_a_mapped_status_is_applied(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="skipped 1 draft"):
        read(
            tmp_path, {"news/news.json": '{"stage": "draft"}', "news/a.md": POST}, columns={"status": "stage"}
        )


def test_data_beside_posts_in_the_given_folder_is_not_a_corpus_file(tmp_path: Path) -> None:
    files = {
        "posts.json": '{"layout": "post"}',
        "a.md": POST,
        "a.11tydata.json": '{"draft": true}',
        "b.md": POST,
    }

    assert ids(read(tmp_path / "posts", files)) == ["b"]


def test_a_pipe_by_the_name_of_a_settings_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "_config.yml")

    assert ids(read(tmp_path, {"a.md": POST})) == ["a"]


def test_text_that_is_not_utf_8_is_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "_config.yml").write_bytes(b"title: Caf\xe9\ndefaults: [{values: {draft: true}}]")

    with pytest.raises(CorpusError, match="skipped 1 draft: true"):
        read(tmp_path, {"a.md": POST})
