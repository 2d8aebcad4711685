"""Adapt the parameters of a recipe to a corpus: its size, the length of its texts, and its languages.

The best parameters depend on the corpus. They follow from it by formulas, so that one recipe suits 20
articles and a large archive. For example, the latent space at its full weight lowers precision at 1 by .31 in
a German corpus of 20 articles. The manifest contains the results (`Adapted`).

Two values are computed elsewhere: the number of topics (`topics.fitting.topic_count`), and the score from
which articles are `similar` (`neighbors.lists.similarity_threshold`).
"""

import math
from collections import Counter
from collections.abc import Sequence

from recommender.article import Article
from recommender.model import Adapted
from recommender.recipe import Recipe
from recommender.training.terms.counting import repeats

_SMALL = 20  # articles; up to here, min_df is 1 and max_df excludes no term
_LEAD_CHARS = 200  # characters of the mean body for each word of the lead,
_LEADLESS_WORDS = 5  # minus these words, because a short text consists of its lead only
_LATENT_HALF = 100  # articles at which the latent space has half of its weight
_HUBS_HALF = 4_000  # articles at which the hubness correction has half of its weight
_PIECES_FULL, _PIECES_NONE = 1_000, 10_000  # articles
_LARGE = 10_000  # articles; from here on, the words of some languages are not stemmed:
_FEW_FORMS = ("en",)  # languages whose words have few forms


def adapt(recipe: Recipe, articles: Sequence[Article]) -> Adapted:
    """Return the recipe's parameters adapted to these articles; there must be at least one.

    - Up to 20 articles, `min_df` is 1 and `max_df` excludes no term. Above, it is a share of the
      distinct bodies.
    - The lead has one word for every 200 characters of the mean body beyond the first 1,000, up to the
      recipe's number: a short text consists of its lead only.
    - The latent space has the recipe's number of components, but at most n / 4 and 3 sqrt(n). Its weight is
      w n / (n + 100), because a latent space fitted on few articles is unreliable.
    - The weight of the hubness correction is h n / (n + 4,000): in a small corpus, an article that is similar
      to many others is often just from their category.
    - The weight of word pieces is full up to 1,000 articles and falls with the logarithm to zero at 10,000: a
      large corpus contains the word forms and compounds that a small corpus lacks. From 10,000 articles on,
      English is not stemmed, because its words have few forms (`stems` has the measurements).
    """
    n = len(articles)
    langs = Counter(article.lang for article in articles if article.lang)
    chars = sum(min(len(article.body), recipe.terms.max_body_chars) for article in articles)
    piece_share = math.log(_PIECES_NONE / n) / math.log(_PIECES_NONE / _PIECES_FULL)
    return Adapted(
        main_lang=min(langs, key=lambda lang: (-langs[lang], lang), default=""),
        min_df=recipe.terms.min_df if n > _SMALL else 1,
        max_df=max(int(recipe.terms.max_df * (n - int(repeats(articles).sum()))), _SMALL),
        lead_words=min(recipe.terms.lead_words, max(0, round(chars / n / _LEAD_CHARS) - _LEADLESS_WORDS)),
        unstemmed=[] if n < _LARGE else [lang for lang in _FEW_FORMS if lang in langs],
        piece_weight=recipe.terms.piece_weight * min(max(piece_share, 0.0), 1.0),
        latent_components=min(recipe.topics.components, n // 4, round(3 * math.sqrt(n))),
        latent_weight=recipe.topics.weight * n / (n + _LATENT_HALF),
        hub_correction=recipe.neighbors.hub_correction * n / (n + _HUBS_HALF),
    )
