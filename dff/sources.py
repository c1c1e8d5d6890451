"""Frames from folders and video files, read ahead by a thread."""
import os
import queue
import threading
from typing import Any, Callable, Iterable, Iterator, List, Optional

import numpy as np

from dff.errors import DataError
from dff.files import IMAGE_SUFFIXES, image_files
from dff.image import read_image
from dff.videos import DEFAULT_FPS, VideoReader


class FrameSource:
    """An iterable of BGR uint8 [H, W, 3] frames that holds one frame at a time.

    Args:
        frames: called for each iteration, returns an iterator of frames.
        length: frames to expect; None where that is not known.
        fps: frames a second.
        name: name(i) of frame i, from 0.
        number: number(i) of frame i in its clip, from 0; another than i behind frames that could
        not be read.
        remarks: called when all frames are through, returns lines about those that are missing.
    """

    def __init__(self, frames: Callable[[], Iterator[np.ndarray]], length: Optional[int], fps: float = DEFAULT_FPS,
                 name: Callable[[int], str] = '{:06d}'.format, number: Callable[[int], int] = int,
                 remarks: Callable[[], List[str]] = list):
        self._frames, self.length, self.fps, self.name = frames, length, fps, name
        self.number, self.remarks = number, remarks

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._frames()


def image_frames(paths: Iterable[str], shown: bool = False) -> FrameSource:
    """Return a FrameSource over the image files `paths`, in their order; a DataError names one
    that cannot be read.

    shown: as of read_image.
    """
    paths = [str(path) for path in paths]

    def frames():
        for path in paths:
            yield read_image(path, shown)
    return FrameSource(frames, len(paths), name=lambda i: os.path.splitext(os.path.basename(paths[i]))[0])


def open_frames(path: str) -> FrameSource:
    """Return a FrameSource over `path`: a folder of JPEG/PNG frames, in order of their numbers, or a video file.

    They come as they are shown: turned as an EXIF orientation, or a video's display matrix, says.

    Raises DataError where there is no such path, no frame in it, or OpenCV cannot decode it.
    """
    path = str(path)
    if os.path.isdir(path):
        names = image_files(path)
        if not names:
            raise DataError('no frames in %s: expected files ending in %s' % (path, ', '.join(IMAGE_SUFFIXES)))
        return image_frames((os.path.join(path, name) for name in names), shown=True)
    if not os.path.isfile(path):
        raise DataError('no such folder or video file: %s' % path)
    if path.lower().endswith(IMAGE_SUFFIXES):
        return image_frames([path], shown=True)
    return _open_video(path)


def _open_video(path: str) -> FrameSource:
    video = VideoReader(path)
    return FrameSource(
        lambda: iter(video),
        video.length,
        video.fps,
        name=lambda i: '%06d' % video.numbers[i],
        number=lambda i: video.numbers[i],
        remarks=video.remarks,
    )


def read_ahead(items: Iterable[Any], depth: int = 4) -> Iterator[Any]:
    """Yield from the iterable `items`, advanced by a thread at most `depth` items ahead.

    What `items` raises is raised here, at its place. Closing this generator stops the thread.
    """
    slots, stop = queue.Queue(maxsize=depth), threading.Event()

    def put(entry):
        while not stop.is_set():
            try:
                return slots.put(entry, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    return
            put((None, StopIteration()))
        except Exception as error:   # whatever it is: it belongs to the consumer
            put((None, error))

    thread = threading.Thread(target=work, name='read_ahead', daemon=True)
    thread.start()
    try:
        while True:
            item, error = slots.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stop.set()
        thread.join()
