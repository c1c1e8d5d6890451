"""Pages opened by a headless Chromium; tests that need one skip, saying so, where there is none."""
import contextlib
import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

NAMES = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'
PATIENCE = 120      # seconds that a page's script may take


def chromium():
    """Path of the browser; the test is skipped where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip('no Chromium is installed (%s): pages are not opened' % ', '.join(NAMES))
    return path


def dom_of(address, folder, *flags):
    """HTML text of the page at `address` once it is loaded; folder: for the browser's own files."""
    done = subprocess.run(
        [chromium(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         '--user-data-dir=%s' % folder, *flags, '--dump-dom', address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', timeout=3 * PATIENCE)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def told(dom):
    """What a page's script wrote into its <pre id=told> before it was loaded, as JSON."""
    return json.loads(html.unescape(re.search(r'<pre id="told">(.*?)</pre>', dom, re.S).group(1)))


def path_of(address):
    """The file that a file:// address names, a Path."""
    return Path(unquote(urlsplit(address).path))


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; what is posted to /told is kept, and /hold has no answer before."""

    def __init__(self, found, come, *args, **options):
        self._found, self._come = found, come
        super().__init__(*args, **options)

    def do_GET(self):
        if self.path != '/hold':
            super().do_GET()
            return
        self._come.wait(PATIENCE)
        self._nothing()

    def do_POST(self):
        self._found.append(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
        self._come.set()
        self._nothing()

    def _nothing(self):
        with contextlib.suppress(OSError):      # the browser may have gone
            self.send_response(204)
            self.end_headers()

    def log_message(self, *args):
        pass


def posted(folder, page, profile):
    """What the script of `page`, a file's name in `folder`, posts to /told, as JSON; None where it posts nothing.

    The page needs an <img src="/hold">, for which its loading waits. profile: folder for the browser's own files.
    """
    found = []
    handler = functools.partial(_Handler, found, threading.Event(), directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            dom_of('http://127.0.0.1:%d/%s' % (server.server_address[1], page), profile)
        finally:
            server.shutdown()
    return found[0] if found else None
