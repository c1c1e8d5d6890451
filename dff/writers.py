"""Annotated frames to folders and video files."""
import contextlib
import os
import re
import tempfile
from typing import Callable, Iterator, Optional

import cv2
import numpy as np

from dff.errors import ConfigError, DataError, SetupError
from dff.files import atomic_path
from dff.sources import DEFAULT_FPS

# Video files by their endings, and the codecs of each, the first that OpenCV can encode is taken.
# Browsers play .webm; MPEG-4 (mp4v) they do not, and OpenCV's wheels hold no H.264. VP9 in .mp4 they
# would, but encoding it takes longer than the networks: fifty times as long as mp4v, VP8 ten times.
CODECS = {'.mp4': ('mp4v',), '.avi': ('MJPG',), '.mkv': ('mp4v',), '.webm': ('VP80', 'VP90')}
MOST_FPS = 1000
_SIZE = (64, 48)      # of a frame to try an encoder with


def chosen_fps(asked: Optional[float], source: float, output: Optional[str]) -> float:
    """Return the frames a second of a video to write: those `asked` for, else those of the `source`.

    asked: what --fps says, None where it is not given; output: where pictures go. Raises ConfigError
    where `asked` is no rate, or `output` is no video, which alone has one.
    """
    if asked is None:
        return source
    if output is None or _ending(output) not in CODECS:
        raise ConfigError('--fps is for a video: let --output name one (%s)' % ', '.join(CODECS))
    if not 0 < asked <= MOST_FPS:
        raise ConfigError('--fps must be above 0 and at most %d frames a second, found %g'
                          % (MOST_FPS, asked))
    return asked


def browser_note(path: Optional[str]) -> str:
    """Return a line where a video at `path` plays in no browser, though its name looks so; else ''."""
    if path is None or _ending(path) != '.mp4':
        return ''
    return 'browsers do not play this MPEG-4 video, only players do; with a name in .webm they would'


def check_output(path: str, flag: str = '--output') -> None:
    """Raise an error where open_writer could not write to `path`, before there is a frame to write.

    DataError: `path` ends like a file of another kind; SetupError: this OpenCV cannot encode such
    video. flag: what named `path`, for the message.
    """
    ending = _ending(path)
    if ending in CODECS:
        if os.path.isdir(path):
            raise DataError('%s %s: a video is to be written, but there is a folder of that name; '
                            'put / behind it to write JPEG files into it, or remove it'
                            % (flag, path))
        with tempfile.TemporaryDirectory() as folder:
            video = _open_video(os.path.join(folder, 'try' + ending), DEFAULT_FPS, _SIZE, path)
            video.release()
    elif ending and not os.path.isdir(path):
        raise DataError('%s %s: files ending in %s are not written. A name that ends in %s gives a '
                        'video, one without an ending a folder of JPEG files (put / behind the name '
                        'of a folder with a dot in it)' % (flag, path, ending, ', '.join(CODECS)))


def _ending(path):
    """The ending of a file's name, in small letters; '' for what is no file: a folder's name with
    / behind it, or with a number behind its last dot.
    """
    ending = os.path.splitext(str(path))[1].lower()
    return ending if re.fullmatch(r'\.[a-z][a-z0-9]{1,4}', ending) else ''


@contextlib.contextmanager
def open_writer(path: str, fps: float = DEFAULT_FPS) -> Iterator[Callable[[np.ndarray, str], None]]:
    """Yield `write(frame, name)`: to the video `path`, of `fps` frames a second, or into a folder.

    A name that ends as one of CODECS is a video's; other endings are refused. Frames are BGR uint8.
    In a folder they become <name>.jpg. A video appears under its name when it is whole; after an
    error nothing of it stays. DataError: `path` cannot be written; SetupError: this OpenCV has no
    encoder.
    """
    path = str(path)
    check_output(path, 'output')
    if _ending(path) not in CODECS:
        with open_folder(path) as write:
            yield write
        return
    _make_folder(os.path.dirname(os.path.abspath(path)), path)
    with atomic_path(path) as temporary, _video_writer(temporary, fps, path) as write:
        yield write


@contextlib.contextmanager
def open_folder(path: str) -> Iterator[Callable[[np.ndarray, str], None]]:
    """Yield `write(frame, name)`, as open_writer, into a folder, whatever the name `path` ends in.

    Raises DataError where it cannot be written.
    """
    path = str(path)
    _make_folder(path, path)
    yield lambda frame, name: _write_image(os.path.join(path, name + '.jpg'), frame)


def _make_folder(folder, path):
    """Make `folder`; DataError, naming `path`, where nothing can be written into it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror)) from None
    if not os.access(folder, os.W_OK):
        raise DataError('cannot write %s: the folder %s is read-only' % (path, folder))


def _write_image(path, frame):
    _, data = cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, 92])
    try:
        with atomic_path(path, durable=False) as temporary:
            data.tofile(temporary)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None


@contextlib.contextmanager
def _video_writer(path, fps, shown):
    """write(frame, name) into the video file `path`, made with the first frame's size; `shown` is its
    name in messages.
    """
    video, size, count = None, None, 0

    def write(frame, name):
        nonlocal video, size, count
        if video is None:
            size = (frame.shape[1], frame.shape[0])
            video = _open_video(path, fps, size, shown)
        video.write(_letterbox(frame, size))
        count += 1
    try:
        yield write
    finally:
        if video is not None:
            video.release()
    if count:
        _require_whole(path, count, shown)


def _require_whole(path, count, shown):
    """Raise a DataError unless the video `path` has its `count` frames: OpenCV's writer does not say
    where the disk took no more.
    """
    capture = cv2.VideoCapture(path)
    whole = capture.grab() and capture.get(cv2.CAP_PROP_FRAME_COUNT) >= count - max(1, count // 100)
    capture.release()
    if not whole:
        raise DataError('cannot write %s: what came to the disk is not the whole video; is the disk full?'
                        % shown)


@contextlib.contextmanager
def _unsaid():
    """Without what OpenCV remarks on the tag of VP8, which is right for .webm, as it opens an encoder; whether it
    did is asked of it.
    """
    try:
        saved = os.dup(2)
    except OSError:         # no standard error
        yield
        return
    try:
        with open(os.devnull, 'w') as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _open_video(path, fps, size, shown):
    """A cv2.VideoWriter of frames that measure size = (width, height); shown: see _video_writer."""
    ending = _ending(path)
    for codec in CODECS[ending]:
        code = cv2.VideoWriter_fourcc(*codec)       # type: ignore[attr-defined]  # its stubs lack the name
        with _unsaid():
            video = cv2.VideoWriter(path, code, fps, size)
        if video.isOpened():
            return video
        video.release()
    try:
        open(path, 'ab').close()
    except OSError as error:
        raise DataError('cannot write %s: %s' % (shown, error.strerror)) from None
    others = ', '.join(kind for kind in CODECS if kind != ending)
    raise SetupError('this OpenCV cannot encode %s video; pass a folder as output instead, or '
                     'a video of another kind (%s)' % (ending, others))


def _letterbox(frame, size):
    """`frame` itself if it measures size = (width, height); else scaled into it, black around."""
    height, width = frame.shape[:2]
    if (width, height) == size:
        return frame
    scale = min(size[0] / width, size[1] / height)
    small = cv2.resize(frame, (max(1, round(width * scale)), max(1, round(height * scale))))
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (size[1] - small.shape[0]) // 2, (size[0] - small.shape[1]) // 2
    canvas[top:top + small.shape[0], left:left + small.shape[1]] = small
    return canvas
