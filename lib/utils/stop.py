"""Ctrl-C and SIGTERM as a request to end in order."""
import signal
import sys
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Context manager in which the first SIGINT or SIGTERM is only noted, in `received`; the
    second ends the process at once.

    received: the signal's number, None until one comes. Outside the main thread signals keep their meaning.
    """

    def __init__(self):
        self.received = None
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _note(self, number, _):
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        print(
            '\n%s: stopping after this batch, with a checkpoint; again: at once, without'
            % signal.Signals(number).name, file=sys.stderr)
