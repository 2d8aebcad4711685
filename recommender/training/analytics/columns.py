"""The columns of exports, by the names that analytics tools give them."""

from collections.abc import Mapping, Sequence

# The first name that a file has is used. Names are compared without case, underscores and hyphens.
NAMES: Mapping[str, tuple[str, ...]] = {
    "article_id": ("article id", "id", "post id", "content id"),
    "url": (
        *("url", "page location", "page url", "full page url", "permalink", "page", "page path", "path"),
        *("page path and screen class", "page path + query string", "page path and query string"),
        *("pagepath", "pagelocation", "fullpageurl", "request path", "requestpath", "clientrequestpath"),
        # Google Analytics in German, French, Spanish, Italian, Dutch and Portuguese
        *("seitenpfad und bildschirmklasse", "seitenpfad", "seitenspeicherort"),
        *("chemin de la page et classe de l'écran", "chemin de la page", "emplacement de la page"),
        *("ruta de página y clase de pantalla", "ruta de página", "ubicación de la página"),
        *("percorso pagina e classe schermata", "percorso pagina"),
        *("paginapad en schermklasse", "paginapad"),
        *("caminho da página e classe da tela", "caminho da página"),
        *("label", "name"),  # Matomo, Plausible
    ),
    "host": ("host", "hostname", "host name", "domain"),
    "count": (
        *("count", "views", "pageviews", "page views", "screenpageviews", "page loads", "pageloads", "hits"),
        *("nb hits", "requests", "aufrufe", "seitenaufrufe", "vues", "pages vues", "vistas"),
        *("visualizzazioni", "weergaven", "visualizações"),
    ),
    "ts": (
        *("ts", "timestamp", "datetime", "time", "date hour and minute", "datehourminute"),
        *("date + hour (yyyymmddhh)", "date hour", "datehour", "date", "day"),
        *("datum", "tag", "fecha", "data", "jour", "dag"),
    ),
    "hour": ("hour", "stunde", "heure", "hora", "ora", "uur"),  # of the day, or the whole time
    "nth_day": ("nth day", "nthday"),  # days since the start of the export
    "type": ("type", "event", "event name"),
}
_MAPPABLE = ("article_id", "url", "count", "ts", "type")


class UnknownColumnError(ValueError):
    """A mapping of columns that does not fit the file; the message says why."""


def places_of(header: Sequence[str], mapped: Mapping[str, str]) -> dict[str, int]:
    """Return the position of each of our columns that a header has.

    `mapped` contains the file's names by ours, and comes before the usual names. Raises UnknownColumnError if
    one of its names is not in the header.
    """
    folded = [_folded(name) for name in header]
    places = {}
    for ours, names in NAMES.items():
        known = next((name for name in names if name in folded), None)
        if known is not None:
            places[ours] = folded.index(known)
    for ours, name in mapped.items():
        if ours not in _MAPPABLE or name not in header:
            raise UnknownColumnError(f"{ours}={name} does not name a column; the columns are {shown(header)}")
        places[ours] = header.index(name)
    return places


def shown(header: Sequence[str]) -> str:
    """Return the names of the columns for a message."""
    names = ", ".join(header[:30])
    return names[:500]


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").replace("\u2019", "'").split())
