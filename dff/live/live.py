"""A source that does not wait: always the newest frame, and back again after a break."""
import itertools
import sys
import threading
import time
from collections import deque
from typing import Callable, Deque, Iterator, Optional, Tuple

import numpy as np

from dff.errors import DFFError

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)      # seconds before the tries to open a source again


def to_stderr(line: str) -> None:
    """Print `line` where notes go, so that standard output stays for results."""
    print(line, file=sys.stderr, flush=True)


class LiveSource:
    """An iterable of frames: a thread reads them, and whoever iterates gets the newest.

    It is opened at once, so that what cannot be opened is known before anything else begins.

    Args:
        connect: opens the source and returns an iterator of frames that ends where it breaks off.
        label: the source's name in notes.
        on_note: called with a line when it breaks off and when it is back, in the reading thread.
        reopen: open it again after a break; False: the end is the end.
        pauses: seconds before each try; the last one again and again.

    Attributes:
        dropped: frames that were read and never handed out, since a newer one had come.
        breaks: how often the source broke off.
    """

    def __init__(self, connect: Callable[[], Iterator[np.ndarray]], label: str,
                 on_note: Callable[[str], None] = to_stderr, reopen: bool = True,
                 pauses: Tuple[float, ...] = PAUSES):
        self._connect, self._label, self._note = connect, label, on_note
        self._reopen, self._pauses = reopen, pauses
        self.dropped = self.breaks = 0
        self._newest: Optional[Tuple[np.ndarray, float]] = None
        self._error: Optional[Exception] = None
        self._handed: Deque[float] = deque()
        self._change, self._stop, self._ended = threading.Condition(), threading.Event(), False
        self._thread = threading.Thread(target=self._work, args=(connect(),), name='live',
                                        daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._newest is not None or self._ended)
                if self._newest is None:
                    break
                (frame, captured), self._newest = self._newest, None
            self._handed.append(captured)
            yield frame
        if self._error is not None:
            raise self._error

    def age(self) -> Tuple[float, int]:
        """Return (seconds since the frame was read whose result comes next, `dropped`): to be called
        once for each frame, in order.
        """
        return time.monotonic() - self._handed.popleft(), self.dropped

    def close(self) -> None:
        """End the reading; a read that hangs ends by its own time limit."""
        self._stop.set()
        self._thread.join(1.0)

    def _work(self, frames):
        try:
            while not self._stop.is_set():
                if self._read(frames) or not self._reopen or self._stop.is_set():
                    break
                self.breaks += 1
                frames = self._open_again()
        except Exception as error:      # whatever it is: it belongs to who iterates
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _read(self, frames):
        """Read until the source breaks off; True where it was told to stop."""
        for frame in frames:
            with self._change:
                self.dropped += self._newest is not None
                self._newest = frame, time.monotonic()
                self._change.notify_all()
            if self._stop.is_set():
                frames.close()
                return True
        return False

    def _open_again(self):
        """Frames of the source once it is there again; the first of them was read already."""
        pauses = itertools.chain(self._pauses, itertools.repeat(self._pauses[-1]))
        reason = 'broke off'
        for pause in pauses:
            self._note('%s %s; trying again in %g s' % (self._label, reason, pause))
            if self._stop.wait(pause):
                break
            try:
                frames = self._connect()
                first = next(frames, None)
            except DFFError:
                first = None
            if first is not None:
                self._note('%s is back' % self._label)
                return _rejoined(first, frames)
            reason = 'is not there'
        return iter(())


def _rejoined(first: np.ndarray, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from frames
