"""The endpoints grouped by what people use them for, in the order of the API reference page.

The tags of the document are not these groups, because generated clients have a module for each tag.
"""

TASKS = {
    "Show lists on a page": (
        *("getPage", "getPageByPath", "getRelated", "getRelatedByPath", "getRelatedBatch", "getTrending"),
    ),
    "Search": ("getSearch", "postSimilar"),
    "Publish, correct and withdraw articles": (
        *("putArticle", "putArticleByPath", "postArticles", "deleteArticle", "deleteArticleByPath"),
    ),
    "Count readers and see what is trending": ("postEvents", "getRank", "getRankByPath"),
    "Browse articles and topics": (
        *("getArticles", "getArticle", "getArticleByPath", "getTopics", "getTopic"),
    ),
    "Set editorial rules": ("getRules", "putRules", "getRule", "putRule", "deleteRule"),
    "Run the service": (*("getHealth", "getReadiness", "getMetrics", "getDocument", "getDocs", "getWidget"),),
}
TASK_OF = {name: task for task, names in TASKS.items() for name in names}
TAGS = {
    "lists": "Lists of articles: related, similar, found by a search, or all lists of a page.",
    "articles": "Articles: look them up, publish, correct and withdraw them.",
    "topics": "The topics of the model, and their articles.",
    "trending": "Views and clicks, and the articles that are read most.",
    "rules": "Editorial rules: pins, blocks, boosts and caps.",
    "operations": "Health, metrics, this document and the widget.",
}
