"""Frame by frame, for programs with a camera loop of their own."""
import threading
from typing import Any, Callable, Iterator, Optional

import numpy as np

from dff.errors import DataError, DFFError
from dff.frames import Frame, InputFormat, prepare
from dff.image import check_shape


class Stream:
    """Call it with each frame of a stream in turn; key frames and ids go on from call to call.

    Args:
        form: InputFormat of the networks.
        start: (iterator of Frames) -> iterator of raw results, a new loop that knows of no frame.
        made: (raw result, index, name) -> what to return.
    """

    def __init__(self, form: InputFormat, start: Callable[[Iterator[Frame]], Iterator[Any]],
                 made: Callable[[Any, int, str], Any]):
        self._form, self._start, self._made = form, start, made
        self._lock, self._count = threading.Lock(), 0
        self.restart()

    def restart(self) -> None:
        """Begin anew: the next frame is a key frame, frame 0, and all tracks are forgotten."""
        self._waiting: Optional[Frame] = None
        self._count, self._loop = 0, self._start(self._frames())

    def _frames(self) -> Iterator[Frame]:
        # The loop takes one frame for each result, since its schedule does not look ahead.
        while True:
            frame, self._waiting = self._waiting, None
            assert frame is not None
            yield frame

    def __call__(self, image: np.ndarray, name: Optional[str] = None) -> Any:
        """Return the Detections or ClassMap of the next frame.

        image: BGR uint8 [H, W, 3]; name: of the frame in what is written, None: its number.
        Raises DataError for another array, after which the stream goes on with the next frame, and
        DFFError where two threads call at the same time.
        """
        if not self._lock.acquire(blocking=False):
            raise DFFError('a stream takes one frame at a time, in order: give each thread a stream '
                           'of its own with model.stream()')
        try:
            self._waiting = prepare(checked_image(image), self._form)
            try:
                raw = next(self._loop)
            except BaseException:      # it ended the loop, which cannot go on where it was
                self._loop = self._start(self._frames())
                raise
            index, self._count = self._count, self._count + 1
            return self._made(raw, index, '%06d' % index if name is None else name)
        finally:
            self._lock.release()


def checked_image(image: Any) -> np.ndarray:
    """Return `image`; DataError where it is no BGR image of bytes."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 \
            or image.shape[2] != 3 or not image.size:
        form = ('%s %s' % (image.dtype, list(image.shape)) if isinstance(image, np.ndarray)
                else type(image).__name__)
        raise DataError('a frame must be a BGR image, uint8 [height, width, 3], as OpenCV reads it; found %s' % form)
    check_shape('a frame', *image.shape[:2])
    return image
