"""Work spread over processes, in a way that cannot hang."""
import concurrent.futures
import multiprocessing
from concurrent.futures.process import BrokenProcessPool


def process_map(function, jobs, workers, chunksize=1):
    """Yield function(job) for every job, in order, computed by several processes.

    Fresh processes, not forks: MXNet's threads do not survive a fork. Where such processes cannot
    start (a script without `if __name__ == '__main__'`, or one read from standard input) this
    process does the work itself. Exceptions of `function` come through.

    Args:
        function: of a module, so that other processes find it.
        jobs: list of its arguments.
        workers: number of processes; 1: this one.
        chunksize: jobs that are sent to a process at a time.
    """
    done = 0
    if workers > 1:
        try:
            context = multiprocessing.get_context('spawn')
            with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
                for result in pool.map(function, jobs, chunksize=chunksize):
                    yield result
                    done += 1
                return
        except BrokenProcessPool:
            pass
    for job in jobs[done:]:
        yield function(job)
