"""Pages opened by a headless Chromium; tests that need one skip, saying so, where there is none."""
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

NAMES = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'


def chromium():
    """Path of the browser; the test is skipped where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip('no Chromium is installed (%s): pages are not opened' % ', '.join(NAMES))
    return path


def dom_after(page, folder, *flags, wait_ms=4000):
    """HTML text of the file `page`, once its scripts have run; folder: for the browser's own files.

    wait_ms: what scripts may wait for after loading.
    """
    done = subprocess.run(
        [chromium(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         '--user-data-dir=%s' % folder, '--timeout=%d' % wait_ms, *flags, '--dump-dom', page.as_uri()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def told(dom):
    """What a page's script wrote into its <pre id=told> as JSON."""
    return json.loads(html.unescape(re.search(r'<pre id="told">(.*?)</pre>', dom, re.S).group(1)))


def path_of(address):
    """The file that a file:// address names, a Path."""
    return Path(unquote(urlsplit(address).path))
