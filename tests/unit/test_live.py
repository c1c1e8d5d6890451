"""Sources: live ones that stall, break off and come back, pipes, globs and lists."""
import contextlib
import http.server
import io
import itertools
import socketserver
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from dff.errors import ConfigError, DataError
from dff.live import capture
from dff.live.capture import connect, described, is_camera, is_captured
from dff.live.live import LiveSource
from dff.live.open import open_clip
from dff.live.pipes import jpeg_end, piped_frames, raw_size
from tests.helpers.fake_model import clip, fake_model, frame


def jpeg(image):
    """The bytes of a JPEG image."""
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


class Camera(socketserver.ThreadingTCPServer):
    """An MJPEG camera on the loopback; plan: for each connection the seconds before each of its frames."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, *plan):
        self.plan, self.connections, self.sent = plan, 0, 0
        super().__init__(('127.0.0.1', 0), _Handler)
        self.url = 'http://127.0.0.1:%d/video' % self.server_address[1]

    def next_plan(self):
        """The pauses of the next connection; the last plan again and again."""
        self.connections += 1
        return self.plan[min(self.connections, len(self.plan)) - 1]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        pauses = self.server.next_plan()
        if pauses is None:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        with contextlib.suppress(OSError):
            for pause in pauses:
                time.sleep(pause)
                data = jpeg(frame(self.server.sent))
                self.server.sent += 1
                self.wfile.write(b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n'
                                 % (len(data), data))

    def log_message(self, *words):
        """Say nothing."""


@contextlib.contextmanager
def camera(*plan):
    """A Camera that serves."""
    server = Camera(*plan)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def steady(pause=0.02):
    """Frames without an end."""
    return itertools.repeat(pause)


@pytest.mark.slow
def test_a_slow_program_gets_the_newest_frame():
    with camera(steady()) as server:
        results, seen = fake_model()(server.url), []
        for result in itertools.islice(results, 6):
            seen.append((result.latency, result.dropped))
            time.sleep(0.4)
        results.close()
    assert [dropped for _, dropped in seen] == sorted(dropped for _, dropped in seen)
    assert seen[-1][1] >= 15, 'twenty frames came while each was looked at'
    # A frame waits for the program, so none is older than the pause of the camera and the look.
    assert max(latency for latency, _ in seen) < 0.35
    assert set(result.as_dict()) == {'frame', 'name', 'key', 'latency', 'dropped', 'detections'}


def test_a_fast_program_gets_every_frame():
    with camera(steady(0.05)) as server:
        results = fake_model()(server.url, interval=3)
        found = list(itertools.islice(results, 6))
        results.close()
    assert [result.is_key for result in found] == [True, False, False] * 2
    assert [result.index for result in found] == list(range(6)) and found[-1].dropped <= 4, \
        'but for those that came at once, while it was opened'


def test_a_stream_that_breaks_off_is_opened_again():
    notes = []
    with camera([0.01] * 4, None, None, [0.01] * 3, steady()) as server:
        source = LiveSource(lambda: connect(server.url), server.url, notes.append, pauses=(0.05, 0.1))
        frames = iter(source)
        while server.connections < 5:
            next(frames)
        assert source.breaks == 2
        source.close()
    assert [note.replace(server.url, 'URL') for note in notes] == [
        'URL broke off; trying again in 0.05 s', 'URL is not there; trying again in 0.1 s',
        'URL is not there; trying again in 0.1 s', 'URL is back',
        'URL broke off; trying again in 0.05 s', 'URL is back'][:len(notes)] and len(notes) >= 5


def test_a_stream_that_stalls_is_opened_again(monkeypatch):
    monkeypatch.setattr(capture, 'TIMEOUT', 400)
    notes = []
    with camera(itertools.chain([0.01] * 3, [5]), steady()) as server:
        source = LiveSource(lambda: connect(server.url), 'it', notes.append, pauses=(0.05,))
        frames = iter(source)
        while server.connections < 2:
            next(frames)
        next(frames)
        source.close()
    assert notes[0] == 'it broke off; trying again in 0.05 s' and source.breaks == 1


def test_key_frames_and_ids_go_on_after_a_break():
    with camera([0.03] * 3, steady(0.03)) as server:
        clip_ = open_clip(server.url, on_note=lambda line: None)
        clip_.live._pauses = (0.05,)
        model = fake_model()
        results = model.run(clip_, model.schedule(4, None), 0.5, True)
        found = list(itertools.islice(results, 8))
        results.close()
    assert clip_.live.breaks == 1
    assert [result.is_key for result in found] == [True, False, False, False] * 2
    assert {tuple(result.track_ids) for result in found} == {(1,)}


def test_every_frame_of_a_stream():
    with camera([0.0] * 12) as server:
        results = list(fake_model()(server.url, live=False))
    assert len(results) == 12 and results[0].latency is None


def test_what_is_not_there():
    with pytest.raises(DataError, match='cannot open http://127.0.0.1:9/x: no answer within'):
        open_clip('http://127.0.0.1:9/x')
    with pytest.raises(DataError, match=r'cannot open camera 77: there is no such camera'):
        open_clip(77)
    with pytest.raises(DataError, match='GStreamer'):
        open_clip('nosuchsrc ! appsink')


def test_middle_key_frames_cannot_be_live():
    with camera(steady()) as server:
        with pytest.raises(ConfigError, match='live and frame by frame there is no frame ahead'):
            fake_model(policy='middle')(server.url)
        with pytest.raises(ConfigError, match='no frame ahead to look at, which the policy both does'):
            fake_model(policy='both', two_sided=True)(server.url)


@pytest.mark.parametrize('source,captured,live', [
    (0, True, True), ('1', True, True), ('rtsp://u:p@host/1', True, True), ('/dev/video0', True, True),
    ('v4l2src ! videoconvert ! appsink', True, True), ('https://host/video.mp4?a=1', True, False),
    ('https://host/stream', True, True), ('folder', False, False), ('C:/video.mp4', False, False)])
def test_what_names_a_camera(source, captured, live):
    assert (is_captured(source), is_camera(source)) == (captured, live)


def test_passwords_are_not_shown():
    assert described('rtsp://user:secret@host/1') == 'rtsp://***@host/1' and described(0) == 'camera 0'


def test_globs_and_lists(tmp_path):
    for t in (10, 2, 1):
        cv2.imwrite(str(tmp_path / ('f%d.png' % t)), frame(t))
    found = open_clip(str(tmp_path / '*.png'))
    assert [found.name(i) for i in range(3)] == ['f1', 'f2', 'f10'] and found.length == 3
    listed = open_clip([tmp_path / 'f10.png', str(tmp_path / 'f1.png')])
    assert [image[40].argmax() for image in listed.images] == [frame(t)[40].argmax() for t in (10, 1)]
    assert len(list(open_clip(tmp_path).images)) == 3 and open_clip(clip(2)).length == 2
    for source, error in ((str(tmp_path / '*.mp4'), 'no file fits'), (['a.mp4'], 'one clip; found a.mp4'),
                          (frame(0), 'a single image is no clip'), (3.5, 'found float'),
                          (str(tmp_path / 'no'), 'no such folder')):
        with pytest.raises(DataError, match=error):
            open_clip(source)
    with pytest.raises(ConfigError, match='live is for cameras, streams and standard input'):
        open_clip(str(tmp_path), live=True)


class Slowly(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def read1(self, size=-1):
        """Return up to 100 bytes."""
        return super().read1(min(size, 100))


def test_jpeg_images_in_a_pipe():
    data = b'junk' + b''.join(jpeg(image) for image in clip(3))
    found = list(piped_frames(Slowly(data), None))
    assert len(found) == 3 and np.abs(found[2].astype(int) - frame(2)).mean() < 2
    for bad, error in ((b'', 'held no JPEG image'), (b'no image here' * 30, 'held no JPEG')):
        with pytest.raises(DataError, match=error):
            list(piped_frames(io.BytesIO(bad), None))


def test_a_thumbnail_is_no_frame():
    thumbnail, image = jpeg(frame(0)[:16, :16]), jpeg(frame(1))
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    data = bytearray(image[:2] + segment + image[2:])
    assert jpeg_end(data, 0) == len(data) and jpeg_end(data[:-1], 0) is None
    assert [each.shape for each in piped_frames(io.BytesIO(bytes(data) * 2), None)] == [(96, 160, 3)] * 2


def test_raw_frames_in_a_pipe():
    data = b''.join(image.tobytes() for image in clip(2))
    found = list(piped_frames(io.BytesIO(data), (160, 96)))
    assert len(found) == 2 and (found[1] == frame(1)).all()
    with pytest.raises(DataError, match='ended after 10 of the 46080 bytes of frame 2, 160x96 raw BGR'):
        list(piped_frames(io.BytesIO(data + b'x' * 10), (160, 96)))
    with pytest.raises(DataError, match='ended after 0 of'):
        list(piped_frames(io.BytesIO(b''), (160, 96)))
    assert raw_size('-') is None and raw_size('-:640x480') == (640, 480)
    with pytest.raises(DataError, match="standard input is - for JPEG images, or -:WIDTHxHEIGHT .* found '-:x'"):
        raw_size('-:x')


def test_standard_input(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b''.join(jpeg(image) for image in clip(3)))
    monkeypatch.setattr(sys, 'stdin', Stdin)
    assert len(list(fake_model()('-'))) == 3
    Stdin.buffer.seek(0)
    results = list(fake_model()('-', live=True))
    assert 1 <= len(results) and len(results) + results[-1].dropped <= 3
    Stdin.buffer = io.BytesIO(b'nothing')
    with pytest.raises(DataError, match='held no JPEG image'):
        list(fake_model()('-', live=True))
