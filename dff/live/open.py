"""What people name as a source, opened: files and folders as well as cameras, streams and pipes."""
import glob
import os
import re
import sys
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional

import numpy as np

from dff.errors import ConfigError, DataError
from dff.files import IMAGE_SUFFIXES, natural_key
from dff.live.capture import connect, described, is_camera, is_captured
from dff.live.live import LiveSource, to_stderr
from dff.live.pipes import piped_frames, raw_size
from dff.sources import DEFAULT_FPS, FrameSource, image_frames, open_frames

number_name = '{:06d}'.format


class Clip(NamedTuple):
    """Frames to run on."""

    images: Iterable[np.ndarray]       # BGR uint8 [H, W, 3]
    length: Optional[int]              # frames to expect; None: not known
    fps: float
    name: Callable[[int], str]         # of frame i
    live: Optional[LiveSource]         # the source, where only its newest frame counts
    close: Callable[[], None]
    number: Callable[[int], int] = int           # of frame i; see FrameSource
    ended: Callable[[], None] = lambda: None     # to be called after the last: says what is missing
    again: bool = False                # `images` may be read twice


def open_clip(source: Any, live: Optional[bool] = None, on_note: Callable[[str], None] = to_stderr) -> Clip:
    """Return the Clip of what `source` names.

    Args:
        source: a video file, a folder of images or an image; the number of a camera, /dev/videoN, an
            address (rtsp://, http://, ...) or a GStreamer pipeline, as OpenCV takes them; a glob of
            images or a list of their paths; '-' for JPEG images on standard input, '-:640x480' for
            raw BGR frames there; or an iterable of BGR uint8 [H, W, 3] images.
        live: always hand out the newest frame; None: for cameras and streams, but not for an
            address of a video file.
        on_note: called with a line when a live source breaks off and comes back, and after the last
            frame of a video of which frames could not be read.

    Raises DataError where there is no such source, ConfigError where it cannot be live.
    """
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str) and source.startswith('-'):
        return _piped(source, live, on_note)
    if isinstance(source, (int, str)) and is_captured(source):
        if is_camera(source) if live is None else live:
            camera = LiveSource(lambda: connect(source), described(source), on_note)
            return Clip(camera, None, DEFAULT_FPS, number_name, camera, camera.close)
        return _plain(_once(connect(source)), on_note, again=False)
    if live:
        raise ConfigError('live is for cameras, streams and standard input: every frame of %s is there to be read'
                          % (source if isinstance(source, str) else 'a list'))
    if not isinstance(source, str):
        return _of_items(source, on_note)
    if re.search(r'[*?[]', source) and not os.path.exists(source):
        paths = sorted(glob.glob(source, recursive=True), key=natural_key)
        if not paths:
            raise DataError('no file fits %s' % source)
        return _of_paths(paths, on_note)
    return _plain(open_frames(source), on_note)


def _plain(source: FrameSource, on_note: Callable[[str], None], again: bool = True) -> Clip:
    def ended():
        for line in source.remarks():
            on_note('warning: %s' % line)
    return Clip(source, source.length, source.fps, source.name, None, lambda: None, source.number, ended, again)


def _once(frames: Iterator[np.ndarray]) -> FrameSource:
    return FrameSource(lambda: frames, None)


def _piped(source: str, live: Optional[bool], on_note: Callable[[str], None]) -> Clip:
    size = raw_size(source)
    if not live:
        return _plain(_once(piped_frames(sys.stdin.buffer, size)), on_note, again=False)
    pipe = LiveSource(lambda: piped_frames(sys.stdin.buffer, size), 'standard input', on_note, reopen=False)
    return Clip(pipe, None, DEFAULT_FPS, number_name, pipe, pipe.close)


def _of_items(source: Any, on_note: Callable[[str], None]) -> Clip:
    if isinstance(source, FrameSource):
        return _plain(source, on_note)
    if isinstance(source, (list, tuple)) and source \
            and all(isinstance(item, (str, os.PathLike)) for item in source):
        return _of_paths([os.fspath(item) for item in source], on_note)
    if isinstance(source, np.ndarray) and source.ndim == 3:
        raise DataError('a single image is no clip: run it with model.detect(image)')
    if not hasattr(source, '__iter__'):
        raise DataError('a source must be a path, an address, the number of a camera or an iterable of images; found %s'
                        % type(source).__name__)
    return _plain(FrameSource(lambda: iter(source), len(source) if hasattr(source, '__len__') else None),
                  on_note, again=iter(source) is not source)


def _of_paths(paths: Iterable[str], on_note: Callable[[str], None]) -> Clip:
    for path in paths:
        if not path.lower().endswith(IMAGE_SUFFIXES):
            raise DataError('a list or a glob is of images (%s), one clip; found %s. Run videos and folders one by one'
                            % (', '.join(IMAGE_SUFFIXES), path))
    return _plain(image_frames(paths), on_note)
