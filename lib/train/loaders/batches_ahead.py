"""Iterators whose batches are made by threads while the network computes."""
import collections
import concurrent.futures
import itertools
import logging

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx

from lib.utils.batch_threads import BatchThreads
from dff.errors import DataError, DFFError

PATIENCE = 300.0     # seconds until a batch that does not come counts as hung; a slow file server may take a while
logger = logging.getLogger('dff')


class BatchesAhead(mx.io.DataIter):
    """Iterate over the batches of items, in their order, each made in a thread ahead of its use.

    Where a thread fails or hangs, fresh ones make its batch and those behind it once more.
    A subclass defines make, and calls start; it may define describe.

    Args:
        batch_size: images in a batch.
        workers: number of threads; one batch more than these is made ahead.
    """

    def __init__(self, batch_size, workers=2):
        super().__init__(batch_size)
        self._workers, self._threads = workers, BatchThreads(workers)
        self._pending, self._items = collections.deque(), iter(())

    def make(self, item):
        """Return the mx.io.DataBatch of `item`. Runs in threads and depends on nothing else."""
        raise NotImplementedError

    def describe(self, item):
        """Return what the batch of `item` is made of, for messages."""
        return str(item)

    def start(self, items):
        """Drop the batches begun, and take those of `items` instead."""
        for future, _ in self._pending:
            future.cancel()
        self._pending.clear()
        self._items = iter(items)

    def fill(self):
        """Have the threads begin as many batches as are made ahead."""
        for item in itertools.islice(self._items, self._workers + 1 - len(self._pending)):
            self._submit(item)

    def next(self):
        """Return the next batch. Raises StopIteration after the last, DataError, and what make raises."""
        self.fill()
        if not self._pending:
            raise StopIteration
        batch = self._take()
        self.fill()
        return batch

    def _submit(self, item):
        self._pending.append((self._threads.submit(self.make, item), item))

    def _take(self):
        """Return the first of the pending batches, and no longer count it as pending."""
        future, item = self._pending[0]
        try:
            batch = future.result(PATIENCE)
        except DFFError:
            raise
        except Exception as error:
            hangs = isinstance(error, concurrent.futures.TimeoutError)
            logger.warning('a thread that loads images %s at %s; fresh threads try once more', 'hangs' if hangs else
                           'failed (%r)' % (error.__cause__ or error), self.describe(item))
            batch = self._retry(self.describe(item))
        self._pending.popleft()
        return batch

    def _retry(self, images):
        waiting = [item for _, item in self._pending]
        self._pending.clear()
        self._threads = BatchThreads(self._workers)
        for item in waiting:
            self._submit(item)
        try:
            return self._pending[0][0].result(PATIENCE)
        except concurrent.futures.TimeoutError as error:
            raise DataError('loading hangs, twice for %g s, at %s: is the disk or file server there?'
                            % (PATIENCE, images)) from error


class NumberedBatches(BatchesAhead):
    """Iterate over batches that depend on their numbers alone.

    A subclass sets provide_data and provide_label, and defines arrays.

    Args:
        batches: how many there are.
        batch_size: images in a batch.
    """

    def __init__(self, batches, batch_size):
        super().__init__(batch_size)
        self.batches = batches
        self.reset()

    def arrays(self, number):
        """Return the NumPy arrays of batch `number`, counted from 0: those of provide_data, then of provide_label."""
        raise NotImplementedError

    def reset(self):
        """Start again, with the same batches."""
        self.start(range(self.batches))

    def describe(self, item):
        """Return the number of the batch, for messages."""
        return 'batch %d' % item

    def make(self, item):
        """Return the mx.io.DataBatch with the number `item`."""
        arrays = [mx.nd.array(array) for array in self.arrays(item)]
        inputs = len(self.provide_data)
        return mx.io.DataBatch(arrays[:inputs], arrays[inputs:], pad=0,
                               provide_data=self.provide_data, provide_label=self.provide_label)
