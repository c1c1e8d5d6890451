"""Threads that make batches while the network computes."""
import concurrent.futures
import queue
import threading
import time
import weakref

ENDING = 5.0     # seconds that a thread at work has at the end of the process


class BatchThreads:
    """Threads that call functions, in the order asked for.

    Unlike those of concurrent.futures, one that hangs keeps nobody from ending the process or from
    using others in its place. Jobs that nobody has begun are dropped with this object.
    """

    def __init__(self, number):
        self._jobs = queue.SimpleQueue()
        threads = [
            threading.Thread(target=_work, args=(self._jobs,), name='loader', daemon=True)
            for _ in range(number)
        ]
        for thread in threads:
            thread.start()
        # Also at the end of the process: threads inside OpenCV or MXNet must not outlive these.
        weakref.finalize(self, _end, self._jobs, threads)

    def submit(self, function, *arguments):
        """The concurrent.futures.Future of function(*arguments)."""
        future = concurrent.futures.Future()
        self._jobs.put((future, function, arguments))
        return future


def _work(jobs):
    while True:
        job = jobs.get()
        if job is None:
            return
        _call(*job)
        del job     # or a thread that waits would keep the loader alive


def _call(future, function, arguments):
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*arguments)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _end(jobs, threads):
    while not jobs.empty():
        jobs.get()
    for _ in threads:
        jobs.put(None)
    deadline = time.monotonic() + ENDING
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0, deadline - time.monotonic()))
