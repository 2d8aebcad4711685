"""Which page a URL leads to, whatever a campaign, an AMP cache or a mobile site added to it.

Articles are found in two steps. The first compares canonical URLs, which changes nothing that may tell two
articles apart. Only if there is no such article, the second compares the keys from here, and an article is
found only if its key is unique. So `?ref=12` finds its own article where a site numbers its articles like
that, and is a campaign everywhere else.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from recommender.article import canonical_url

# Parameters that lead to the same page with every value, in lower case.
TRACKING_PARAMETERS = frozenset(
    """
    _branch_match_id _bta_c _bta_tid _ga _gl _hsenc _hsmi _ke _openstat __s __twitter_impression amp
    cmp cmpid dclid doing_wp_cron ef_id epik fb_action_ids fb_action_types fb_comment_id fb_ref fb_source
    fbclid gad gad_campaignid gad_source gbraid gclid gclsrc igsh igshid ito li_fat_id mc_cid mc_eid mibextid
    mkt_tok mkwid msclkid nb ncid oly_anon_id oly_enc_id rb_clickid rdt_cid ref ref_src ref_url referrer
    replytocom s_cid s_kwcid sccid share smid smtyp spm srsltid trk ttclid twclid usqp vero_id wbraid wickedid
    wt.mc_id wt_mc wt_zmc xtor yclid ymclid
    """.split()
)
_TRACKING_PREFIXES = ("utm_", "at_", "hsa_", "matomo_", "mtm_", "pk_", "piwik_", "stm_")
_AMP_VALUES = frozenset({("output", "amp"), ("outputtype", "amp"), ("type", "amp"), ("view", "amp")})
_VARIANT_HOSTS = frozenset({"www", "amp", "m", "mobile", "touch", "wap"})  # labels before the site's own name
_INDEX_FILES = frozenset({"index.html", "index.htm", "index.php", "index.shtml", "default.aspx"})
_AMP_NAMES = frozenset({"", "amp", "amp.html"})
_MAY_BE_VARIANT = re.compile(
    r"[?]|//|amp|(?:^|\.)(?:www|m|mobile|touch|wap)\.|/(?:index|default)\.", re.IGNORECASE
)
_LAST_NAMES = _INDEX_FILES | _AMP_NAMES  # that mean the page of the folder
_AMP_SUFFIX = re.compile(r"(?:\.amp)+(?=(?:\.html?)?$)", re.IGNORECASE)
_AMP_CACHE = re.compile(
    r"(?:[^/]+\.(?:cdn\.ampproject\.org|bing-amp\.com)/[a-z]|(?:www\.)?google(?:\.[a-z]+)+/amp)/(?:s/)?(?=.)",
    re.IGNORECASE,
)


def page_key(url: str) -> str:
    """Return the canonical URL of the page that the URL is a variant of.

    Drops tracking parameters, AMP in host, path, parameters and caches, mobile hosts, the names of index
    files and repeated slashes. Raises InvalidArticleError if the URL is malformed.
    """
    return _page_of(canonical_url(url))


def rows_of_urls(urls: Sequence[str | None]) -> dict[str, int]:
    """Return the row of each canonical URL, and of each page key that belongs to one article only.

    `urls` are those of all articles, in row order. The first of several with the same canonical URL is found.
    """
    rows: dict[str, int] = {}
    rows_of_page: dict[str, set[int]] = {}
    for row, url in enumerate(urls):
        if url:
            canonical = canonical_url(url)
            rows.setdefault(canonical, row)
            if (key := _page_of(canonical)) != canonical:
                rows_of_page.setdefault(key, set()).add(row)
    return {key: of_page.pop() for key, of_page in rows_of_page.items() if len(of_page) == 1} | rows


def _page_of(key: str) -> str:
    while _MAY_BE_VARIANT.search(key) and (shorter := _without_variant(key)) != key:
        key = shorter  # one variant may hide another
    return key


def _without_variant(key: str) -> str:
    while cache := _AMP_CACHE.match(key):
        key = key[cache.end() :]
    address, _, query = key.partition("?")
    host, _, path = address.partition("/")
    pairs = parse_qsl(query, keep_blank_values=True) if query else []
    pairs = [pair for pair in pairs if not _is_tracking(*pair)]
    return "/".join([_site_of(host), *_page_segments(path)]) + (f"?{urlencode(pairs)}" if pairs else "")


def _site_of(host: str) -> str:
    labels = host.lower().split(".")
    return ".".join([label for label in labels[:-2] if label not in _VARIANT_HOSTS] + labels[-2:])


def _page_segments(path: str) -> list[str]:
    segments = [segment for segment in path.split("/") if segment]
    while segments:
        segments[-1] = _AMP_SUFFIX.sub("", segments[-1])
        if segments[-1].lower() not in _LAST_NAMES:
            break
        segments.pop()
    while len(segments) > 1 and segments[0].lower() == "amp":
        segments.pop(0)
    return segments


def _is_tracking(name: str, value: str) -> bool:
    name = name.lower().removeprefix("amp;")  # of a link that was escaped twice
    return (
        name in TRACKING_PARAMETERS
        or name.startswith(_TRACKING_PREFIXES)
        or (name, value.lower()) in _AMP_VALUES
    )
