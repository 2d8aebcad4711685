"""Every endpoint of the service, in the order of the document."""

from typing import Any

from recommender.serving.http.article_schemas import SentArticle
from recommender.serving.http.parameters import (
    AddressedArticlePageParameters,
    AddressedRankParameters,
    AddressedRelatedParameters,
    ArticleAddress,
    ArticlePageParameters,
    BatchParameters,
    NewestParameters,
    PaginationParameters,
    Parameters,
    RankParameters,
    RelatedParameters,
    SearchParameters,
    Text,
    TrendingParameters,
)
from recommender.serving.openapi import request_bodies as bodies
from recommender.serving.openapi import response_schemas as schemas
from recommender.serving.openapi.endpoint import (
    ARTICLE_PROBLEMS,
    BODY_PROBLEMS,
    PATH_PROBLEMS,
    READ_PROBLEMS,
    Endpoint,
    ResponseSpec,
    keyed_endpoint,
    public_endpoint,
    read_endpoint,
)

_FIRST_ITEM = {"id": "$response.body#/items/0/id"}
_LIST_LINKS = {"getArticle": _FIRST_ITEM, "getRelated": _FIRST_ITEM, "getPage": _FIRST_ITEM}
_SAME_ID = {"id": "$response.body#/id"}
_PUT_RESPONSES = {
    201: ResponseSpec("The article was added.", schemas.Put),
    200: ResponseSpec(
        "The article was known. `applied` is false if the stored version is newer.", schemas.Put
    ),
}
_WITHDRAWN = {204: ResponseSpec("The article is withdrawn. Requests for it return 410.")}

_LISTS = (
    read_endpoint(
        "getRelated",
        "/v1/related",
        "lists",
        "Get the related articles to show below an article",
        schemas.ArticleList,
        AddressedRelatedParameters,
        *ARTICLE_PROBLEMS,
        links=_LIST_LINKS,
        description="Identify the article by `id` or by `url`, not both. The list contains min(requested, "
        "eligible) articles, and never the article itself. To send several values, repeat the parameter.",
    ),
    read_endpoint(
        "getRelatedByPath",
        "/v1/articles/{id}/related",
        "lists",
        "Get the related articles, with the id in the path",
        schemas.ArticleList,
        RelatedParameters,
        *ARTICLE_PROBLEMS,
        *PATH_PROBLEMS,
    ),
    read_endpoint(
        "getRelatedBatch",
        "/v1/related/batch",
        "lists",
        "Get the related articles of up to 100 articles at once",
        schemas.Batch,
        BatchParameters,
        description="The results are in the order of the ids. `list` is null if an article is unknown or "
        "withdrawn.",
    ),
    Endpoint(
        name="postSimilar",
        method="post",
        path="/v1/similar",
        tag="lists",
        summary="Find articles similar to a draft or any other text",
        body=Text,
        responses={200: ResponseSpec("The list of similar articles.", schemas.ArticleList)},
        problems=(*READ_PROBLEMS, *BODY_PROBLEMS),
        key="optional",
    ),
    read_endpoint(
        "getSearch",
        "/v1/search",
        "lists",
        "Search articles while the reader types",
        schemas.SearchList,
        SearchParameters,
        links=_LIST_LINKS,
        description="The last word may be incomplete. A word that no article has is taken for a typo, and "
        "`corrected_query` has what was searched for.",
    ),
    read_endpoint(
        "getPage",
        "/v1/page",
        "lists",
        "Get all lists of an article page in one request",
        schemas.Page,
        AddressedArticlePageParameters,
        *ARTICLE_PROBLEMS,
        description="Related and trending articles, the previous and next article, categories and topics "
        "in one response. With `dedupe=all`, no article appears twice on the page. With `lists`, no article "
        "appears in both lists. With `none`, the lists are independent.",
    ),
    read_endpoint(
        "getPageByPath",
        "/v1/page/{id}",
        "lists",
        "Get all lists of an article page, with the id in the path",
        schemas.Page,
        ArticlePageParameters,
        *ARTICLE_PROBLEMS,
        *PATH_PROBLEMS,
    ),
)
_ARTICLES = (
    read_endpoint(
        "getArticles",
        "/v1/articles",
        "articles",
        "Page through all articles, newest first",
        schemas.Articles,
        NewestParameters,
        links=_LIST_LINKS | {"getArticles": {"cursor": "$response.body#/next_cursor"}},
        description="Articles with the same date are in the order of their ids. To get the next page, send "
        "the `next_cursor` of the response as `cursor`.",
    ),
    read_endpoint(
        "getArticle",
        "/v1/article",
        "articles",
        "Look up an article, its topics, and its previous and next article",
        schemas.Article,
        ArticleAddress,
        *ARTICLE_PROBLEMS,
    ),
    read_endpoint(
        "getArticleByPath",
        "/v1/articles/{id}",
        "articles",
        "Look up an article, with the id in the path",
        schemas.Article,
        Parameters,
        *ARTICLE_PROBLEMS,
        *PATH_PROBLEMS,
    ),
    keyed_endpoint(
        "putArticle",
        "put",
        "/v1/article",
        "articles",
        "Publish or correct an article, so that lists contain it",
        parameters=ArticleAddress,
        body=SentArticle,
        responses=_PUT_RESPONSES,
        problems=(*BODY_PROBLEMS, "unknown-article", "no-model"),
        links={"getArticle": _SAME_ID, "getRelated": _SAME_ID, "deleteArticle": _SAME_ID},
        description="The request is idempotent. It is not applied if the stored version has a later "
        "`updated_at`. If `updated_at` is missing, the current time is used. To restore a withdrawn "
        "article, send an `updated_at` later than the withdrawal. Drafts and password-protected articles "
        "are rejected.",
    ),
    keyed_endpoint(
        "putArticleByPath",
        "put",
        "/v1/articles/{id}",
        "articles",
        "Publish or correct an article, with the id in the path",
        body=SentArticle,
        responses=_PUT_RESPONSES,
        problems=(*BODY_PROBLEMS, *PATH_PROBLEMS),
        links={"getArticleByPath": _SAME_ID, "deleteArticleByPath": _SAME_ID},
    ),
    keyed_endpoint(
        "deleteArticle",
        "delete",
        "/v1/article",
        "articles",
        "Withdraw an article, so that no list contains it",
        parameters=ArticleAddress,
        responses=_WITHDRAWN,
        problems=("unknown-article", "no-model"),
        description="An unknown `id` can be withdrawn too. The withdrawal is permanent until you send the "
        "article again with a later `updated_at`.",
    ),
    keyed_endpoint(
        "deleteArticleByPath",
        "delete",
        "/v1/articles/{id}",
        "articles",
        "Withdraw an article, with the id in the path",
        responses=_WITHDRAWN,
        problems=PATH_PROBLEMS,
    ),
    keyed_endpoint(
        "postArticles",
        "post",
        "/v1/articles",
        "articles",
        "Publish or correct up to 500 articles at once",
        body=bodies.ArticleBatch,
        responses={
            200: ResponseSpec("The number of stored articles, and the rejected ones.", schemas.PutMany)
        },
        problems=BODY_PROBLEMS,
        description="The articles are stored in one transaction. Invalid articles are rejected and "
        "reported by index; they do not affect the others.",
    ),
)
_TOPICS = (
    read_endpoint(
        "getTopics",
        "/v1/topics",
        "topics",
        "List all topics, for navigation and topic pages",
        schemas.AllTopics,
        Parameters,
        links={"getTopic": {"slug": "$response.body#/topics/0/slug"}},
    ),
    read_endpoint(
        "getTopic",
        "/v1/topics/{slug}",
        "topics",
        "Fill a topic page with its newest articles",
        schemas.TopicArticles,
        PaginationParameters,
        "unknown-topic",
        "not-found",
    ),
)
_TRENDING = (
    Endpoint(
        name="postEvents",
        method="post",
        path="/v1/events",
        tag="trending",
        summary="Count views and clicks, which decide what is trending",
        description="Send one event, or up to 1,000. Without an API key, `ts`, `count` and `total` are "
        "ignored, and events from crawlers are not counted. An `event_id` is counted once in 48 hours; of a "
        "`total`, only what it adds to the highest one with the same `event_id` is counted. In a batch, "
        "invalid events are rejected by index and do not affect the others. A single one returns 400.",
        parameters=None,
        body=bodies.Events,
        body_description="JSON. The content type `text/plain` is accepted too, because "
        "`navigator.sendBeacon` sends it.",
        responses={
            200: ResponseSpec(
                "The number of recorded events, and the rejected ones. The events are committed.",
                schemas.Counted,
            )
        },
        problems=(
            *BODY_PROBLEMS,
            *("key-not-allowed", "origin-not-allowed", "rate-limited", "store-down"),
        ),
        key="optional",
    ),
    read_endpoint(
        "getTrending",
        "/v1/trending",
        "trending",
        "Get the most-read articles for a trending list",
        schemas.Trending,
        TrendingParameters,
        links={"getRank": _FIRST_ITEM},
        description="Ranks are updated once a minute. If nothing was read in the window, `basis` is "
        "`recent` and the newest articles are listed.",
    ),
    read_endpoint(
        "getRank",
        "/v1/trending/rank",
        "trending",
        "Show how an article ranks in trending",
        schemas.Standing,
        AddressedRankParameters,
        *ARTICLE_PROBLEMS,
    ),
    read_endpoint(
        "getRankByPath",
        "/v1/articles/{id}/trending",
        "trending",
        "Show how an article ranks, with the id in the path",
        schemas.Standing,
        RankParameters,
        *ARTICLE_PROBLEMS,
        *PATH_PROBLEMS,
    ),
)
_SAME_RULE = {"rule_id": "$response.body#/id"}
_RULES = (
    keyed_endpoint(
        "getRules",
        "get",
        "/v1/rules",
        "rules",
        "See all editorial rules, with their reasons and authors",
        responses={200: ResponseSpec("All rules. The ETag is required to replace them.", schemas.AllRules)},
        cached=True,
    ),
    keyed_endpoint(
        "putRules",
        "put",
        "/v1/rules",
        "rules",
        "Replace all editorial rules at once",
        body=bodies.RuleBatch,
        responses={200: ResponseSpec("All rules after the change.", schemas.AllRules)},
        problems=(*BODY_PROBLEMS, "rule-of-file", "changed-meanwhile", "match-missing"),
        if_match="required",
        description="Replaces all rules in the database; rules in the rules file stay. Send the ETag of "
        "your last read in `If-Match`, so that you do not overwrite changes by others.",
    ),
    keyed_endpoint(
        "getRule",
        "get",
        "/v1/rules/{rule_id}",
        "rules",
        "See one editorial rule",
        responses={200: ResponseSpec("The rule.", bodies.AnyRule)},
        problems=("unknown-rule", "not-found"),
        cached=True,
    ),
    keyed_endpoint(
        "putRule",
        "put",
        "/v1/rules/{rule_id}",
        "rules",
        "Pin, block, boost or cap articles with a rule",
        body=bodies.RuleBody,
        responses={
            201: ResponseSpec("The rule was added.", bodies.AnyRule),
            200: ResponseSpec("The rule was replaced.", bodies.AnyRule),
        },
        problems=(*BODY_PROBLEMS, "rule-of-file", "changed-meanwhile", "not-found"),
        if_match="optional",
        links={"getRule": _SAME_RULE, "deleteRule": _SAME_RULE},
    ),
    keyed_endpoint(
        "deleteRule",
        "delete",
        "/v1/rules/{rule_id}",
        "rules",
        "End an editorial rule",
        responses={204: ResponseSpec("The rule is deleted, or did not exist.")},
        problems=("rule-of-file", "changed-meanwhile", "not-found"),
        if_match="optional",
    ),
)
_OPERATIONS = (
    public_endpoint(
        "getHealth",
        "/healthz",
        "Check that the process runs, for a liveness probe",
        ResponseSpec("The process is running.", schemas.Health),
    ),
    public_endpoint(
        "getReadiness",
        "/readyz",
        "Check that a model is open, for a readiness probe",
        ResponseSpec("The service can handle requests.", schemas.Readiness),
        problems=("no-model", "store-down"),
    ),
    public_endpoint(
        "getMetrics",
        "/metrics",
        "Collect metrics with Prometheus",
        ResponseSpec("Metrics of one worker, in the Prometheus text format.", str, "text/plain"),
    ),
    public_endpoint(
        "getDocument",
        "/openapi.json",
        "Download this document, to generate a client",
        ResponseSpec("The OpenAPI 3.1 document.", dict[str, Any]),
        cached=True,
    ),
    public_endpoint(
        "getDocs",
        "/docs",
        "Open this reference in a browser",
        ResponseSpec("An HTML page to read this document and try requests.", str, "text/html"),
        cached=True,
    ),
    public_endpoint(
        "getWidget",
        "/widget.js",
        "Load the script that adds the lists to any page",
        ResponseSpec("A script that adds the lists to any web page.", str, "text/javascript"),
        cached=True,
    ),
)
ENDPOINTS = (*_LISTS, *_ARTICLES, *_TOPICS, *_TRENDING, *_RULES, *_OPERATIONS)
