"""Frames from folders and video files, read ahead by a thread."""
import os
import queue
import threading
from typing import Any, Callable, Iterable, Iterator, List, Optional

import cv2
import numpy as np

from dff.errors import DataError
from dff.files import IMAGE_SUFFIXES, image_files
from dff.image import check_shape, read_image


DEFAULT_FPS = 25.0
NEAR = 0.3  # of a frame's time: how far a time stamp may be from where it belongs
RETRIES = 250  # frames in a row that cannot be decoded, until the video counts as ended
ALIKE = 0.02  # share by which a declared length that is an estimate may be off


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
    names = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    if len(set(names)) < len(names):       # of several folders: the pictures of one would replace the other's
        names = ['%06d_%s' % numbered for numbered in enumerate(names)]

    def frames():
        for path in paths:
            yield read_image(path, shown)
    return FrameSource(frames, len(paths), name=names.__getitem__)


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


class FrameClock:
    """Numbers frames by their time stamps, so that those behind a hole keep their place.

    Only in a video of constant rate does a time say which frame it is of; where the rate varies,
    frames are counted in
    order, as annotation tools do.

    Args:
        fps: frames a second, as declared.
    """

    def __init__(self, fps: float) -> None:
        # A mean over frames of varying times is no whole number, nor one over 1.001, as cameras'
        # rates are.
        constant = any(abs(fps * factor - round(fps * factor)) < 1e-3 for factor in (1, 1.001))
        self._period = 1000 / fps if constant and 0 < fps <= 1000 else 0.0
        self._time, self._steps = -1.0, [float('inf'), 0.0]
        self.number = -1  # of the newest frame
        self.missing: List[int] = []  # numbers of the frames before which others are missing
        self.irregular = False

    def tick(self, time: float) -> int:
        """Take in the next frame, shown `time` milliseconds after the start; return its number,
        from 0."""
        step = 1
        if self.number >= 0 and time > self._time:
            passed = time - self._time
            self._steps = [min(self._steps[0], passed), max(self._steps[1], passed)]
            if self._period:
                places = passed / self._period
                if round(places) < 1 or abs(places - round(places)) > NEAR:
                    self.irregular = True
                elif not self.irregular:
                    step = round(places)
        if step > 1:
            self.missing.append(self.number + step)
        self._time, self.number = time, self.number + step
        return self.number

    @property
    def varies(self) -> bool:
        """Whether the times between frames differ, and are no multiples of one time."""
        return (
            self.irregular
            or not self._period
            and self._steps[1] > 1.5 * self._steps[0]
            and self._steps[1] - self._steps[0] > 2
        )


class VideoReader:
    """One pass over a video file; an iterable of BGR uint8 [H, W, 3] frames, turned as they are
    to be shown.

    Args:
        path: of the file.

    Attributes: length, frames that the file declares, None where it does not; fps; numbers, of
    the frames read so far;
    clock. Raises DataError where OpenCV cannot decode the file.
    """

    def __init__(self, path: str) -> None:
        self.path, self.numbers = path, []  # type: str, List[int]
        capture = open_capture(path)
        length, self.fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        readable = capture.isOpened() and capture.grab()
        capture.release()
        if not readable:
            raise DataError(
                'cannot decode %s as video: OpenCV knows no codec for it, or the file is damaged; '
                'pass a folder of JPEG or PNG frames instead' % path
            )
        # Containers may state no count, or nonsense.
        self.length: Optional[int] = int(length) if 0 < length < 1e9 else None
        self.fps = self.fps if 0 < self.fps <= 1000 else DEFAULT_FPS
        self.clock = FrameClock(self.fps)

    def __iter__(self) -> Iterator[np.ndarray]:
        self.numbers, self.clock = [], FrameClock(self.fps)
        stream = open_capture(self.path)
        try:
            failed = 0
            while failed <= min(RETRIES, max(0, (self.length or 0) - self.clock.number)):
                good, frame = stream.read()
                if not good:  # the end, or a damaged frame, behind which others may be whole
                    failed += 1
                    continue
                failed = 0
                if not self.numbers:
                    check_shape(self.path, *frame.shape[:2])
                self.numbers.append(self.clock.tick(stream.get(cv2.CAP_PROP_POS_MSEC)))
                yield frame
        finally:
            stream.release()

    def lost(self) -> int:
        """Return how many of the declared frames could not be read in the pass that is over; an
        estimate may be off by a few."""
        declared = max(self.length or 0, self.clock.number + 1)
        lost = declared - len(self.numbers)
        estimate = max(1, ALIKE * declared if self.clock.varies else 1)
        return lost if self.clock.missing or lost > estimate else 0

    def remarks(self) -> List[str]:
        """Return what is to be said of the pass that is over, in lines."""
        lines, lost = [], self.lost()
        if lost:
            read, declared = len(self.numbers), len(self.numbers) + lost
            reasons = []
            if self.clock.missing:
                reasons.append(
                    'there are holes before frame %s' % ', '.join(map(str, self.clock.missing[:5]))
                    + (', ...' if len(self.clock.missing) > 5 else '')
                )
            if declared - 1 > self.clock.number:
                reasons.append(
                    'the file ends before its declared length, after frame %d' % self.clock.number
                )
            lines.append(
                '%s: %d of %d frames could be read: %s'
                % (self.path, read, declared, '; '.join(reasons))
            )
        if self.clock.varies:
            lines.append(
                '%s: the frame rate varies: frames are counted in order, not by their time'
                % self.path
            )
        return lines


def open_capture(path: str) -> cv2.VideoCapture:
    """Return a capture of the video file `path` that turns frames as the file says, as players
    do; some builds do not by themselves."""
    capture = cv2.VideoCapture(path)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def read_ahead(items: Iterable[Any], depth: int = 4) -> Iterator[Any]:
    """Yield from the iterable `items`, advanced by a thread at most `depth` items ahead.

    What `items` raises is raised here, at its place. Closing this generator stops the thread.
    """
    slots: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()

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
