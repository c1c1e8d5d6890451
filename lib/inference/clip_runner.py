"""Many clips on several devices."""
import queue
import threading

from lib.jobs import signs
from lib.utils.progress import progress_bar


class _Stopped(Exception):
    """Raised inside a clip under way to end it without a result."""


def run_on_devices(clips, devices, make_work):
    """Run all `clips`, objects with the attribute `length` (steps of the progress bar), on all `devices` at once.

    A thread for each device calls make_work(device) -> work(clip, tick), then work for one clip after the other; that
    calls tick() after each step. The first error of any thread, or Ctrl-C, stops all of them: tick() then raises, so
    that a clip under way ends there.
    """
    # Longest first, so that the devices end together. The threads share one iterator.
    jobs = iter(sorted(clips, key=lambda clip: -clip.length))
    messages, stop = queue.Queue(), threading.Event()

    def tick():
        if stop.is_set():
            raise _Stopped
        messages.put(1)

    def serve(device):
        """Puts 1 for every step, at the end None or the error."""
        outcome = None
        try:
            work = make_work(device)
            for clip in jobs:
                work(clip, tick)
        except Exception as error:    # whatever it is: the main thread raises it
            outcome = error
        messages.put(outcome)

    threads = [threading.Thread(target=serve, args=(device,), name=str(device)) for device in devices]
    with progress_bar(total=sum(clip.length for clip in clips), unit='frame', desc='testing') as bar:
        try:
            for thread in threads:
                thread.start()
            _watch(messages, len(threads), bar)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def run_here(clips, device, make_work):
    """Run all `clips` as run_on_devices does on one device, in the calling thread.

    For many runs in one process: MXNet keeps some MB of every thread that has used it.
    clips, make_work: as there; device: mx.Context.
    """
    work = make_work(device)
    with progress_bar(total=sum(clip.length for clip in clips), unit='frame', desc='testing') as bar:
        def tick():
            bar.update()
            signs.progress('a frame of the test')
        for clip in clips:
            work(clip, tick)


def _watch(messages, running, bar):
    """Move the bar until `running` threads have ended; raise the first error of theirs."""
    while running:
        message = messages.get()
        if isinstance(message, Exception):
            raise message
        if message is None:
            running -= 1
        else:
            bar.update(message)
            signs.progress('a frame of the test')
