"""Work spread over processes, in a way that cannot hang."""

import collections
import concurrent.futures
import itertools
import multiprocessing
from concurrent.futures.process import BrokenProcessPool

AHEAD = 3  # chunks a process that wait or are done, so that neither jobs nor results pile up


def process_map(function, jobs, workers, chunksize=1):
    """Yield function(job) for every job of the iterable `jobs`, in order, computed by `workers`
    processes.

    Jobs are drawn a few chunks of `chunksize` ahead. Fresh processes, not forks: MXNet's threads
    do not survive a fork.
    Where such processes cannot start (a script without `if __name__ == '__main__'`, or one read from standard input)
    this process does the work itself. Exceptions of `function` come through.
    """
    jobs = iter(jobs)
    chunks = iter(lambda: list(itertools.islice(jobs, chunksize)), [])
    if workers > 1:
        waiting = collections.deque()
        try:
            context = multiprocessing.get_context('spawn')
            with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
                for chunk in chunks:
                    waiting.append(
                        (chunk, None)
                    )  # first, so that a pool that breaks here does not lose it
                    waiting[-1] = (chunk, pool.submit(_apply, function, chunk))
                    if len(waiting) > AHEAD * workers:
                        yield from waiting[0][1].result()
                        waiting.popleft()
                while waiting:
                    yield from waiting[0][1].result()
                    waiting.popleft()
                return
        except BrokenProcessPool:
            chunks = itertools.chain([chunk for chunk, _ in waiting], chunks)
    for chunk in chunks:
        yield from map(function, chunk)


def _apply(function, chunk):
    return [function(job) for job in chunk]
