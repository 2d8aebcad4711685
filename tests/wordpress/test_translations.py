"""The template of translations has every string of the plugin, and every file of PHP can be parsed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.plugin_strings import PLUGIN, TEMPLATE, plugin_strings


@pytest.mark.skipif(not shutil.which("xgettext"), reason="needs xgettext (apt: gettext)")
def test_the_template_of_translations_is_up_to_date() -> None:
    assert TEMPLATE.read_text(encoding="utf-8") == plugin_strings(), "run `make plugin-strings`"


@pytest.mark.skipif(not shutil.which("php"), reason="needs PHP")
@pytest.mark.parametrize("file", sorted(PLUGIN.glob("*.php")), ids=lambda file: file.name)
def test_php_can_parse_the_file(file: Path) -> None:
    parsed = subprocess.run(["php", "-l", file], capture_output=True, text=True, check=False)

    assert parsed.returncode == 0, parsed.stdout
