"""One training job on several processes, by MXNet's distributed kvstore; a job of one process looks the same.

tools/launch.py starts the processes and tells them of each other in MXNet's own variables (DMLC_ROLE and others).
"""
import contextlib
import os
import sys
import threading
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.errors import CheckpointError, ConfigError

DISTRIBUTED = 'dist_sync', 'dist_device_sync', 'dist_async'
REPORT_EVERY = 60.0     # seconds


class Group:
    """The workers of a job.

    Args:
        kvstore: mx.kv.KVStore of a distributed type, or the name of a local one, whose group has one worker.

    Attributes: kvstore; rank, from 0; size, number of workers.
    """

    def __init__(self, kvstore):
        self.kvstore = kvstore
        self._store = kvstore if isinstance(kvstore, mx.kv.KVStore) else None
        self.rank, self.size = (kvstore.rank, kvstore.num_workers) if self._store else (0, 1)
        self._keys, self._vote = set(), None

    def sum(self, key, array):
        """Return the sum of `array`, an NDArray on the CPU, over all workers.

        Each of them must call this with the same `key`, and with the same shape every time.
        """
        return self._exchange(key, array) if self._store else array

    def _exchange(self, key, array):
        if key not in self._keys:
            self._store.init(key, mx.nd.zeros_like(array))
            self._keys.add(key)
        result = mx.nd.zeros_like(array)
        self._store.push(key, array.copy())     # the store keeps what is pushed, and pulls into it
        self._store.pull(key, result)
        return result

    def mean(self, arrays):
        """{name: NDArray}, each the mean over all workers."""
        if not self._store:
            return arrays
        means = {name: self.sum('mean of ' + name, array) / self.size for name, array in arrays.items()}
        # A worker that ends next would take with it what it has not yet sent, and others would
        # wait for that.
        mx.nd.waitall()
        return means

    def any(self, flag):
        """Return whether `flag` is true for some worker.

        With several workers it counts what they said at their last call, so that nobody waits for
        an answer.
        """
        if not self._store:
            return bool(flag)
        # The servers count what they are sent, not from whom: a worker that sends its next vote
        # before it has received this one may be counted twice, and the workers then stop at
        # different batches.
        found = self._vote is not None and self._vote.asscalar() > 0
        self._vote = self._exchange('any', mx.nd.array([float(bool(flag))]))
        return found

    def check_same(self, what, number):
        """Raise CheckpointError where the whole `number` is not that of every worker; what: for the message."""
        others = self.sum('check of ' + what, mx.nd.array([number / self.size], dtype='float64')).asscalar()
        if abs(others - number) > 1e-6:
            raise CheckpointError(
                'worker %d: %s is %d, for the workers on average %g. All must see the same files: '
                'put output_path and the data on a file system that every machine shares'
                % (self.rank, what, number, others))


class AsyncGroup(Group):
    """The workers of a job in which nobody waits for another (dist_async): its servers add at once
    whatever they are sent.

    So `any` goes by the votes that have come so far.
    """

    def sum(self, key, array):
        """As for Group, but with another `key` each time, as values stay in the servers."""
        result = self._exchange(key, array)
        result.wait_to_read()
        self._store._barrier()
        self._store.pull(key, result)
        return result

    def mean(self, arrays):
        """{name: NDArray}, this worker's own: the others are at another place."""
        return arrays


def connect(kvstore):
    """The Group of `default.kvstore`.

    For a distributed one this waits until all workers are there. Raises ConfigError.
    """
    if 'dist' not in kvstore:
        return Group(kvstore)
    if kvstore not in DISTRIBUTED:
        raise ConfigError('default.kvstore is %s; expected one of local, device, %s'
                          % (kvstore, ', '.join(DISTRIBUTED)))
    if 'DMLC_ROLE' not in os.environ:
        raise ConfigError(
            'default.kvstore is %s: start the job with `python tools/launch.py -n WORKERS -- python ...`'
            % kvstore)
    with _reports_waiting():
        store = mx.kv.create(kvstore)
    if 'async' not in kvstore:
        return Group(store)
    if store.rank == 0:
        # value - rate * what is sent: the servers add. The first `init`, which waits for all workers, comes after this.
        adding = mx.optimizer.SGD(learning_rate=-1.0)
        adding.aggregate_num = 0     # the kernel for several arrays at once is slow on a CPU
        store.set_optimizer(adding)
    return AsyncGroup(store)


@contextlib.contextmanager
def _reports_waiting():
    """While the body waits for the other processes, say so from time to time."""
    there = threading.Event()

    def report():
        while not there.wait(REPORT_EVERY):
            print(
                'waiting for the other processes of the job. Does each run, and can all machines '
                'reach the scheduler at %s:%s, and each other?'
                % (os.environ.get('DMLC_PS_ROOT_URI'), os.environ.get('DMLC_PS_ROOT_PORT')),
                file=sys.stderr, flush=True)
    threading.Thread(target=report, daemon=True).start()
    try:
        yield
    finally:
        there.set()


# ---- testing, which needs no kvstore

def place():
    """(rank, size) of this process among the workers that tools/launch.py started; (0, 1) without it."""
    rank, _, size = os.environ.get('DFF_WORKER', '0/1').partition('/')
    return int(rank), int(size)


def own_part(jobs, ignore_cache):
    """Return every size-th of the list `jobs`, beginning with the rank-th.

    Raises ConfigError for ignore_cache with several workers.
    """
    rank, size = place()
    if ignore_cache and size > 1:
        raise ConfigError(
            '--ignore_cache cannot be used by several workers: they know by the files which clips '
            'are finished. Remove the folder of the results instead')
    return jobs[rank::size]


def collects(jobs, finished):
    """Return whether this process is the one that collects the results of all.

    If so, it first waits until finished(job) is true for every one of `jobs`. A worker that fails
    ends the whole job (tools/launch.py), so this does not wait for ever.
    """
    rank, size = place()
    while rank == 0 and size > 1 and not all(finished(job) for job in jobs):
        time.sleep(0.5)
    return rank == 0
