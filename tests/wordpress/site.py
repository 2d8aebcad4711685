"""A real WordPress for the tests: MariaDB on a socket, PHP's server on the loopback interface."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.plugin_strings import PLUGIN

DISTRIBUTION = Path("/usr/share/wordpress")
HERE = Path(__file__).parent
PASSWORD = "a password of the tests"  # noqa: S105 of the editor
START_SECONDS = 60

CONFIG = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{socket}');
define('DB_CHARSET', 'utf8mb4');
$table_prefix = 'wp_';
define('WP_ENVIRONMENT_TYPE', 'local'); // application passwords without HTTPS
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true); // the tests run WP-Cron themselves
define('AUTOMATIC_UPDATER_DISABLED', true);
if (is_readable('{constants}')) {{
    foreach (json_decode(file_get_contents('{constants}'), true) as $name => $value) {{
        define($name, $value);
    }}
}}
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

ROUTER = """<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path !== '/' && (is_file(__DIR__ . $path) || is_file(__DIR__ . $path . 'index.php'))) return false;
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = '/index.php';
require __DIR__ . '/index.php';
"""

PAGE = """<!doctype html><html <?php language_attributes(); ?>><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title><?php bloginfo('name'); ?></title>
<?php wp_head(); ?>
</head><body><main><?php while (have_posts()) : the_post(); ?>
<article><h1><?php the_title(); ?></h1><?php the_content(); ?></article>
<?php endwhile; ?></main><?php wp_footer(); ?></body></html>
"""


@dataclass(frozen=True)
class Site:
    """A running WordPress, with the actions of an editor over REST."""

    url: str
    root: Path
    editor: httpx.Client
    log: Path

    def use_snippet(self, code: str) -> None:
        """Use a piece of PHP as the functions of the theme."""
        (self.root / "wp-content" / "themes" / "plain" / "functions.php").write_text(f"<?php\n{code}")

    def configure(self, service: str | None, key: str = "") -> None:
        """Set the URL and the key in the configuration, from the next request on; None removes both."""
        constants = {} if service is None else {"RECOMMENDER_URL": service, "RECOMMENDER_KEY": key}
        (self.root.parent / "constants.json").write_text(json.dumps(constants))

    def use_plugin(self, *, in_use: bool = True) -> None:
        """Install and activate the plugin as the guide says, or deactivate it."""
        folder = self.root / "wp-content" / "plugins" / "recommender"
        shutil.copytree(PLUGIN, folder, dirs_exist_ok=True)
        self.php("plugin.php", "activate" if in_use else "deactivate")

    def fill(self, articles: Iterable[Mapping[str, Any]]) -> list[int]:
        """Insert posts with PHP, and return their ids."""
        lines = "".join(json.dumps(article) + "\n" for article in articles)
        return [int(line) for line in self.php("fill.php", lines).split()]

    def php(self, script: str, text: str = "") -> str:
        """Run one of the scripts in this folder."""
        return _php(self.root, script, self.url, text)

    def save(self, post_id: int | None = None, **fields: Any) -> dict[str, Any]:
        """Create or change a post as an editor does."""
        path = "" if post_id is None else f"/{post_id}"
        return self._json(self.editor.post(f"{self.url}/wp-json/wp/v2/posts{path}", json=fields))

    def tag(self, name: str) -> int:
        """Create a tag, and return its id."""
        tag = self._json(self.editor.post(f"{self.url}/wp-json/wp/v2/tags", json={"name": name}))
        return int(tag["id"])

    def trash(self, post_id: int, *, for_good: bool = False) -> None:
        """Move a post to the trash, or delete it permanently."""
        parameters = {"force": "true"} if for_good else {}
        self._json(self.editor.delete(f"{self.url}/wp-json/wp/v2/posts/{post_id}", params=parameters))

    def terms(self, taxonomy: str) -> Any:
        """Return the categories or tags with the most posts."""
        parameters = {"per_page": "100", "orderby": "count", "order": "desc"}
        return self.editor.get(f"{self.url}/wp-json/wp/v2/{taxonomy}", params=parameters).json()

    def rename(self, path: str, name: str | None) -> None:
        """Rename a term or an author, or delete it if `name` is None."""
        url = f"{self.url}/wp-json/wp/v2/{path}"
        self._json(self.editor.delete(url) if name is None else self.editor.post(url, json={"name": name}))

    def get(self, path: str) -> str:
        """Return a page as a reader sees it."""
        response = httpx.get(f"{self.url}{path}", timeout=60, follow_redirects=True)
        assert response.status_code == 200, response.text[:500]
        return response.text

    def rendered(self, post_id: int) -> str:
        """Return the content of a post as the REST API has it."""
        response = self.editor.get(f"{self.url}/wp-json/wp/v2/posts/{post_id}")
        return str(self._json(response)["content"]["rendered"])

    def post_id(self, title: str) -> int:
        """Return the id of the post with a title."""
        found = self.editor.get(f"{self.url}/wp-json/wp/v2/posts", params={"search": title}).json()
        return next(int(post["id"]) for post in found if unescape(post["title"]["rendered"]) == title)

    def expire_lists(self) -> None:
        """Let more than a minute pass for all lists that the plugin has cached."""
        self.php("expire.php")

    def run_cron(self) -> None:
        """Run the scheduled tasks of WP-Cron."""
        self.php("minute.php")

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        log = self.log.read_text()[-2000:]
        assert response.is_success, f"{response.status_code} {response.text[:500]}\n{log}"
        body: dict[str, Any] = response.json()
        return body


@contextmanager
def wordpress(folder: Path) -> Iterator[Site]:
    """Run an empty WordPress in a folder. Skips the test if a required program is missing."""
    if not DISTRIBUTION.exists() or not shutil.which("php") or not shutil.which("mariadbd"):
        pytest.skip("WordPress is not installed: apt install wordpress php-cli php-mysql mariadb-server")
    root = Path(shutil.copytree(DISTRIBUTION, folder / "site"))
    _prepare(root, folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "php.log"
    command = ["php", *_OPTIONS, "-S", f"127.0.0.1:{port}", "-t", str(root), str(root / "router.php")]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.enter_context(_database(folder))
        password = _php(root, "install.php", url).strip()
        stack.enter_context(_running(command, log, {"PHP_CLI_SERVER_WORKERS": "4"}))
        editor = stack.enter_context(httpx.Client(auth=("editor", password), timeout=60))
        _wait(lambda: editor.get(f"{url}/wp-json/").is_success, log)
        yield Site(url, root, editor, log)


_OPTIONS = ["-d", "sendmail_path=/bin/true", "-d", "display_errors=stderr", "-d", "log_errors=1"]


def _prepare(root: Path, folder: Path) -> None:
    config = CONFIG.format(socket=folder / "db.sock", constants=folder / "constants.json")
    (root / "wp-config.php").write_text(config)
    (root / "router.php").write_text(ROUTER)
    theme = root / "wp-content" / "themes" / "plain"
    theme.mkdir(parents=True)
    (theme / "style.css").write_text("/* Theme Name: Plain */")
    (theme / "index.php").write_text(PAGE)


@contextmanager
def _database(folder: Path) -> Iterator[None]:
    data, db_socket, log = folder / "db", folder / "db.sock", folder / "db.log"
    user = ["--user=root"] if os.getuid() == 0 else []
    install = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
    ]
    with log.open("ab") as file:
        subprocess.run([*install, "--skip-test-db", *user], check=True, stdout=file, stderr=file)
    command = [
        "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={db_socket}", "--skip-networking",
        f"--pid-file={folder / 'db.pid'}", "--innodb-flush-log-at-trx-commit=0", *user,
    ]  # fmt: skip
    create = [
        "mariadb",
        "--no-defaults",
        f"--socket={db_socket}",
        "-u",
        "root",
        "-e",
        "CREATE DATABASE wordpress",
    ]
    with _running(command, log, {}):
        _wait(lambda: subprocess.run(create, capture_output=True, check=False).returncode == 0, log)
        yield


@contextmanager
def _running(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its files are not needed afterwards
        process.wait(30)


def _wait(is_up: Any, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if is_up():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the process did not start: {log.read_text()[-2000:]}")


def _php(root: Path, script: str, url: str, text: str = "") -> str:
    command = ["php", *_OPTIONS, str(HERE / script), url]
    environment = os.environ | {"WORDPRESS_ROOT": str(root)}
    done = subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout
