"""Frames from folders and video files, read ahead by a thread; annotated frames to folders and .mp4."""
import contextlib
import os
import queue
import threading

import cv2
import numpy as np

from dff.errors import DataError, SetupError
from dff.files import IMAGE_SUFFIXES, atomic_path, image_files
from dff.image import read_image

DEFAULT_FPS = 25.0


class FrameSource:
    """An iterable of BGR uint8 [H, W, 3] frames that holds one frame at a time.

    length: frames to expect (None: unknown), fps: frames a second, names: name(i) of frame i.
    """

    def __init__(self, frames, length, fps=DEFAULT_FPS, name='{:06d}'.format):
        self._frames, self.length, self.fps, self.name = frames, length, fps, name

    def __iter__(self):
        return self._frames()


def image_frames(paths):
    """FrameSource over image files, in the order given; a DataError names one that cannot be read."""
    paths = [str(path) for path in paths]

    def frames():
        for path in paths:
            yield read_image(path)
    return FrameSource(frames, len(paths), name=lambda i: os.path.splitext(os.path.basename(paths[i]))[0])


def open_frames(path):
    """FrameSource over `path`: a folder of JPEG/PNG frames, in order of their numbers, or a video file.

    Raises DataError where there is no such path, no frame in it, or OpenCV cannot decode it.
    """
    path = str(path)
    if os.path.isdir(path):
        names = image_files(path)
        if not names:
            raise DataError('no frames in %s: expected files ending in %s' % (path, ', '.join(IMAGE_SUFFIXES)))
        return image_frames(os.path.join(path, name) for name in names)
    if not os.path.isfile(path):
        raise DataError('no such folder or video file: %s' % path)
    if path.lower().endswith(IMAGE_SUFFIXES):
        return image_frames([path])
    return _open_video(path)


def _open_video(path):
    capture = cv2.VideoCapture(path)
    length, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    readable = capture.isOpened() and capture.grab()
    capture.release()
    if not readable:
        raise DataError('cannot decode %s as video: OpenCV knows no codec for it, or the file is damaged; '
                        'pass a folder of JPEG or PNG frames instead' % path)

    def frames():
        stream = cv2.VideoCapture(path)
        try:
            while True:
                good, frame = stream.read()
                if not good:
                    return
                yield frame
        finally:
            stream.release()
    # Containers may state no count, or nonsense; both are only used for display and for writing.
    return FrameSource(frames, int(length) if 0 < length < 1e9 else None, fps if 1 <= fps <= 1000 else DEFAULT_FPS)


def read_ahead(items, depth=4):
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


@contextlib.contextmanager
def open_writer(path, fps=DEFAULT_FPS):
    """Context manager giving `write(frame, name)`: to the video `path` if it ends in .mp4, else into folder `path`.

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
        with atomic_path(path) as temporary:
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
