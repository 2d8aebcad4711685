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
from recommender.manifest import Adapted
from recommender.recipe import Recipe
from recommender.training.terms.languages import effective_size, language_sizes
from recommender.training.terms.texts import Texts

_SMALL = 20  # articles; up to here, min_df is 1 and max_df excludes no term
_LEAD_CHARS = 200  # characters of the mean body for each word of the lead,
_LEADLESS_WORDS = 5  # minus these words, because a short text consists of its lead only
_SHORT_CHARS, _LONG_CHARS = 2_000, 4_200  # of the mean body: 330 and 700 words
_LATENT_HALF = 100, 5_000  # articles at which the latent space has half of its weight: short and long texts
_LONG_FEEDBACK = 0.3  # share of the feedback in few long texts
_HUBS_HALF = 4_000  # articles at which the hubness correction has half of its weight
_PIECES_FULL, _PIECES_NONE = 1_000, 10_000  # articles
_LARGE = 10_000  # articles; from here on, the words of some languages are not stemmed:
_FEW_FORMS = ("en",)  # languages whose words have few forms


def adapt(
    recipe: Recipe,
    articles: Sequence[Article],
    texts: Texts | None = None,
    threads: int = 1,
    vector_length: int = 0,
) -> Adapted:
    """Return the recipe's parameters adapted to these articles; there must be at least one.

    `texts` are measured instead of titles and bodies. `vector_length` is that of given vectors, 0 for none.

    Below, n is the number of articles. In a corpus of several languages it is the mean, over all articles, of
    the number of articles in the same language, and each language adds its own components.

    - Up to 20 articles, `min_df` is 1 and `max_df` excludes no term. Above, it is a share of the
      distinct bodies.
    - The lead has one word for every 200 characters of the mean body beyond the first 1,000, up to the
      recipe's number: a short text consists of its lead only.
    - The latent space has the recipe's number of components, but at most n / 4 and 3 sqrt(n). Its weight is
      w n / (n + h), because a latent space fitted on few articles is unreliable; h is 100 for short texts.
    - Few long texts need no help to meet each other, and what helps short ones only blurs them. So with the
      mean body between 2,000 and 4,200 characters, h grows to 5,000 (geometrically), the weight of word
      pieces falls to zero, that of the feedback to 0.3 + 0.7 n / (n + 5,000), and that of document expansion
      to n / (n + 5,000). Measured with links that editors wrote between 509 posts of 990 words: nDCG at 9 is
      .505 without these changes and .544 with them, while reports of one event among 37,854 articles of 970
      words need the latent space (.812 with a weight of 0.25, .800 with 0.05).
    - The weight of the hubness correction is h n / (n + 4,000): in a small corpus, an article that is similar
      to many others is often just from their category.
    - The weight of word pieces is full up to 1,000 articles and falls with the logarithm to zero at 10,000: a
      large corpus contains the word forms and compounds that a small corpus lacks. From 10,000 articles on,
      English is not stemmed, because its words have few forms (`stems` has the measurements).
    """
    langs = Counter(article.lang for article in articles if article.lang)
    main_lang = min(langs, key=lambda lang: (-langs[lang], lang), default="")
    sizes = language_sizes(articles, main_lang)
    n = effective_size(sizes)
    texts = Texts.of(articles) if texts is None else texts
    chars = texts.characters(recipe.terms.max_body_chars, threads) / len(articles)
    distinct = len(articles) - int(texts.repeated_bodies(threads).sum())
    components = sum(min(size // 4, round(3 * math.sqrt(size))) for size in sizes.tolist())
    piece_share = math.log(_PIECES_NONE / n) / math.log(_PIECES_NONE / _PIECES_FULL)
    longness = math.log(max(chars, 1) / _SHORT_CHARS) / math.log(_LONG_CHARS / _SHORT_CHARS)
    longness = min(max(longness, 0.0), 1.0)
    latent_half = _LATENT_HALF[0] * (_LATENT_HALF[1] / _LATENT_HALF[0]) ** longness
    long_feedback = _LONG_FEEDBACK + (1 - _LONG_FEEDBACK) * n / (n + _LATENT_HALF[1])
    return Adapted(
        main_lang=main_lang,
        min_df=recipe.terms.min_df if n > _SMALL else 1,
        max_df=max(int(recipe.terms.max_df * distinct), _SMALL),
        lead_words=min(recipe.terms.lead_words, max(0, round(chars / _LEAD_CHARS) - _LEADLESS_WORDS)),
        unstemmed=[lang for lang in _FEW_FORMS if langs[lang] and n >= _LARGE],
        piece_weight=recipe.terms.piece_weight * min(max(piece_share, 0.0), 1.0) * (1 - longness),
        latent_components=min(recipe.topics.components, components),
        latent_weight=recipe.topics.weight * n / (n + latent_half),
        feedback=recipe.neighbors.feedback * (1 - longness + longness * long_feedback),
        expansion=recipe.neighbors.expansion * (1 - longness + longness * n / (n + _LATENT_HALF[1])),
        hub_correction=recipe.neighbors.hub_correction * n / (n + _HUBS_HALF),
        vector_length=vector_length if recipe.neighbors.vector_weight else 0,
        vector_weight=recipe.neighbors.vector_weight if vector_length else 0.0,
    )
