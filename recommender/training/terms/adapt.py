"""What a recipe comes to in a corpus: formulas of its size, the length of its texts, and its languages."""

import math
from collections import Counter
from collections.abc import Sequence

from recommender.article import Article
from recommender.model import Adapted
from recommender.recipe import Recipe

_SMALL = 20  # articles; up to here a term of one article counts, and one of most articles too
_LEAD_CHARS = 200  # of the mean body, for each word of a lead,
_LEADLESS_WORDS = 5  # less these, for a short text is all lead
_LATENT_HALF = 100  # articles, of which the latent space learns enough for half of its weight
_HUBS_HALF = 4_000  # articles, whose hubs are set back by half
_PIECES_WHOLE, _PIECES_NONE = 1_000, 10_000  # articles
_LARGE = 10_000  # articles, in which a word of a language of few forms is found in each of them
_OF_FEW_FORMS = ("en",)


def adapt(recipe: Recipe, articles: Sequence[Article]) -> Adapted:
    """Return what the recipe comes to for these articles, at least one.

    - A lead has one word for every 200 characters of the mean body beyond the first 1,000, at most the
      recipe's: a short text is all lead.
    - The latent space has as many components as the recipe says, but n / 4 and 3 sqrt(n) at most, and weighs
      w n / (n + 100), for of few articles it learns little.
    - Hubs are set back by h n / (n + 4,000): among few articles, what is near to many is of their section.
    - Pieces of words weigh their whole up to 1,000 articles and nothing from 10,000 on, falling with the
      logarithm: a large corpus holds the forms and compounds that a small one lacks. From there on English,
      whose words have few forms, keeps them apart.
    """
    n = len(articles)
    langs = Counter(article.lang for article in articles if article.lang)
    chars = sum(min(len(article.body), recipe.terms.max_body_chars) for article in articles)
    fading = math.log(_PIECES_NONE / n) / math.log(_PIECES_NONE / _PIECES_WHOLE)
    return Adapted(
        main_lang=min(langs, key=lambda lang: (-langs[lang], lang), default=""),
        min_df=recipe.terms.min_df if n > _SMALL else 1,
        max_df=max(int(recipe.terms.max_df * n), _SMALL),
        lead_words=min(recipe.terms.lead_words, max(0, round(chars / n / _LEAD_CHARS) - _LEADLESS_WORDS)),
        unstemmed=[] if n < _LARGE else [lang for lang in _OF_FEW_FORMS if lang in langs],
        piece_weight=recipe.terms.piece_weight * min(max(fading, 0.0), 1.0),
        latent_components=min(recipe.topics.components, n // 4, round(3 * math.sqrt(n))),
        latent_weight=recipe.topics.weight * n / (n + _LATENT_HALF),
        hub_correction=recipe.neighbors.hub_correction * n / (n + _HUBS_HALF),
    )
