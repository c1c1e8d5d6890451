"""Cameras and network streams by OpenCV, with an end to waiting."""
import os
import re
from typing import Iterator, Union

import cv2
import numpy as np

from dff.errors import DataError

TIMEOUT = 5000      # ms, for opening a stream and for each frame
ADDRESS = re.compile(r'^[A-Za-z][A-Za-z0-9+.-]*://')
FILES = re.compile(r'\.(mp4|mkv|avi|mov|webm|m4v|mpg|ts)(\?.*)?$', re.IGNORECASE)


def is_camera(source: Union[int, str]) -> bool:
    """Whether `source` names a camera, a network stream or a pipeline, which have no end."""
    return is_captured(source) and not (ADDRESS.match(str(source)) and FILES.search(str(source)))


def is_captured(source: Union[int, str]) -> bool:
    """Whether OpenCV has to capture `source`, as it is no file or folder."""
    text = str(source)
    return (isinstance(source, int) or text.isdigit() or bool(ADDRESS.match(text))
            or text.startswith('/dev/video') or ' ! ' in text)


def connect(source: Union[int, str]) -> Iterator[np.ndarray]:
    """Return an iterator of the frames of a camera, stream or pipeline, which ends where it breaks off.

    source: the number of a camera, an address, /dev/videoN, or a GStreamer pipeline.
    Raises DataError where it cannot be opened.
    """
    text = str(source)
    capture = _open(text)
    if not capture.isOpened():
        capture.release()
        raise DataError('cannot open %s: %s' % (described(source), _reason(text)))
    return _frames(capture)


def described(source: Union[int, str]) -> str:
    """Return `source` for messages, without the password of an address."""
    text = str(source)
    return 'camera %s' % text if text.isdigit() else re.sub(r'://[^/@]*@', '://***@', text)


def _open(text: str) -> cv2.VideoCapture:
    if text.isdigit():
        return cv2.VideoCapture(int(text))
    if ' ! ' in text:
        return cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
    if not ADDRESS.match(text):
        return cv2.VideoCapture(text)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT]
    return cv2.VideoCapture(text, cv2.CAP_FFMPEG, limits)


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            yield frame
    finally:
        capture.release()


def _reason(text: str) -> str:
    if ' ! ' in text:
        return 'this OpenCV has no GStreamer, or the pipeline does not run (it must end in appsink)'
    if ADDRESS.match(text):
        return 'no answer within %d s, or it is no video' % (TIMEOUT // 1000)
    if text.isdigit() and os.name == 'posix' and not os.path.exists('/dev/video' + text):
        return 'there is no such camera, or another program has it (no /dev/video%s)' % text
    return 'there is no such camera, or another program has it'
