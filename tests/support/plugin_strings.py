"""The template of translations of the WordPress plugin; `make plugin-strings` writes it."""

import re
import subprocess
import tempfile
from pathlib import Path

PLUGIN = Path(__file__).parents[2] / "recommender" / "wordpress"
TEMPLATE = PLUGIN / "languages" / "recommender.pot"
_OPTIONS = [
    "--from-code=UTF-8", "--package-name=Recommender", "--no-location", "--sort-output",
    "--add-comments=translators", "--keyword", "--keyword=__", "--keyword=esc_html__", "--keyword=_n:1,2",
]  # fmt: skip


def plugin_strings() -> str:
    """Return the template with all strings of the plugin. It needs xgettext, of the package gettext."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "recommender.pot"
        for language, pattern in (("PHP", "*.php"), ("JavaScript", "*.js")):
            names = sorted(path.name for path in PLUGIN.glob(pattern))
            join = ["--join-existing"] if output.exists() else []
            command = ["xgettext", f"--language={language}", *_OPTIONS, *join, f"--output={output}", *names]
            subprocess.run(command, cwd=PLUGIN, check=True)
        return re.sub('"POT-Creation-Date.*\n', "", output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    TEMPLATE.write_text(plugin_strings(), encoding="utf-8")
