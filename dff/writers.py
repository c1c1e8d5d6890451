"""Annotated frames to folders and video files."""
import contextlib
import os
from typing import Callable, Iterator

import cv2
import numpy as np

from dff.errors import DataError, SetupError
from dff.files import atomic_path
from dff.sources import DEFAULT_FPS


@contextlib.contextmanager
def open_writer(path: str, fps: float = DEFAULT_FPS) -> Iterator[Callable[[np.ndarray, str], None]]:
    """Yield `write(frame, name)`: to the video `path`, of `fps` frames a second, if it ends in .mp4, else into folder `path`.

    Frames are BGR uint8. In a folder they become <name>.jpg. A video appears under its name when it
    is whole; after an error nothing of it stays. DataError: `path` cannot be written;
    SetupError: this OpenCV has no encoder.
    """
    path = str(path)
    video = path.lower().endswith('.mp4')
    folder = os.path.dirname(os.path.abspath(path)) if video else path
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror)) from None
    if not os.access(folder, os.W_OK):
        raise DataError('cannot write %s: the folder %s is read-only' % (path, folder))
    if video:
        with atomic_path(path) as temporary, _video_writer(temporary, fps) as write:
            yield write
    else:
        yield lambda frame, name: _write_image(os.path.join(path, name + '.jpg'), frame)


def _write_image(path, frame):
    _, data = cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, 92])
    try:
        with atomic_path(path, durable=False) as temporary:
            data.tofile(temporary)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None


@contextlib.contextmanager
def _video_writer(path, fps):
    """write(frame, name) into the video file `path`, made with the first frame's size."""
    video, size = None, None

    def write(frame, name):
        nonlocal video, size
        if video is None:
            size = (frame.shape[1], frame.shape[0])
            video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'mp4v'), fps, size)
            if not video.isOpened():
                raise SetupError('this OpenCV cannot encode .mp4 video; pass a folder as output instead')
        video.write(_letterbox(frame, size))
    try:
        yield write
    finally:
        if video is not None:
            video.release()


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
