"""Videos that are written play in a browser: Chromium decodes them and shows their pictures."""
import base64

import numpy as np
import pytest

from dff.writers import browser_note, open_writer
from tests.helpers import browser

TYPES = {'.mp4': 'video/mp4', '.webm': 'video/webm', '.avi': 'video/x-msvideo'}
# Seeks into the second half, which is another colour than the first, and reads a pixel.
PAGE = '''<img src="/hold"><video id="video" muted preload="auto" src="data:%s;base64,%s"></video>
<script>
const video = document.getElementById('video')
const tell = found => fetch('/told', {method: 'POST', body: JSON.stringify(found)})
video.onerror = () => tell({error: video.error.message})
const pixel = () => {
    const canvas = document.createElement('canvas')
    canvas.width = video.videoWidth
    canvas.height = video.videoHeight
    const context = canvas.getContext('2d')
    context.drawImage(video, 0, 0)
    return Array.from(context.getImageData(40, 30, 1, 1).data)
}
let first = null
// On a busy machine the picture changes after the event.
const look = tries => {
    const now = pixel()
    if (tries && now.join() === first.join()) {
        setTimeout(() => look(tries - 1), 250)
        return
    }
    tell({time: video.currentTime, duration: video.duration, size: [video.videoWidth, video.videoHeight],
          first: first, pixel: now})
}
video.onloadeddata = () => { first = pixel(); video.currentTime = 0.75 * video.duration }
video.onseeked = () => look(100)
</script>'''


def shown(tmp_path, name, fps=10):
    """What Chromium finds in a video of 10 red frames, then 10 blue ones."""
    browser.chromium()
    path = tmp_path / 'site' / name
    with open_writer(path, fps) as write:
        for colour in [(0, 0, 255)] * 10 + [(255, 0, 0)] * 10:
            write(np.full((64, 96, 3), colour, np.uint8), '')
    # In the page itself: the test's server sends files whole, in which browsers do not seek.
    content = TYPES[path.suffix], base64.b64encode(path.read_bytes()).decode('ascii')
    (path.parent / 'page.html').write_text(PAGE % content)
    return browser.posted(path.parent, 'page.html', tmp_path / 'profile')


@pytest.mark.slow
def test_a_written_video_plays_in_chromium(tmp_path):
    found = shown(tmp_path, 'clip.webm')
    assert found.get('error') is None and found['size'] == [96, 64]
    assert found['duration'] == pytest.approx(2.0, abs=0.11)
    assert found['time'] == pytest.approx(1.5, abs=0.11)
    red, green, blue, _ = found['pixel']
    assert blue > 200 and red < 60 and green < 60 and found['first'][0] > 200, found


@pytest.mark.slow
def test_the_browser_tells_a_video_that_it_cannot_play(tmp_path):
    """So that the test above can fail; of .mp4 a line says so where it is written."""
    assert 'error' in shown(tmp_path, 'clip.avi') and 'error' in shown(tmp_path, 'clip.mp4')
    assert browser_note('a/clip.mp4').startswith('browsers do not play this MPEG-4 video')
    assert browser_note('clip.webm') == browser_note('clip.avi') == browser_note(None) == ''
