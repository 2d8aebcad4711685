"""Reports as one HTML page, without scripts and external resources."""

from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1e293b }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem } p { max-width: 44rem }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: .3rem .5rem; border-bottom: 1px solid #e2e8f0 } th { font-weight: 600 }
"""


def html_page(title: str, body: str, style: str = "") -> str:
    """Return a page with this title, which is escaped, and a body of HTML; `style` adds CSS."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        "<meta name='viewport' content='width=device-width'>"
        f"<style>{_STYLE}{style}</style></head><body>{body}</body></html>\n"
    )
