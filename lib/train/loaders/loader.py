"""Training batches of any task: their order and seeds."""
import time
import zlib

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.train.loaders.balance import entries_per_epoch, repeated
from lib.train.loaders.batches_ahead import BatchesAhead
from dff.errors import DataError, DFFError
from lib.utils.image_header import read_header


def pad(array, shape, value):
    """`array` in the first corner of an array of `shape` that is `value` elsewhere."""
    if array.shape == shape:
        return array
    padded = np.full(shape, value, array.dtype)
    padded[tuple(slice(n) for n in array.shape)] = array
    return padded


class TrainLoader(BatchesAhead):
    """Iterate over the batches of an epoch of records, for `MutableModule.fit`.

    Every random choice (order, reference frame, crop, anchor sampling) depends on TRAIN.SEED, the
    epoch and the position alone, so a resumed run continues exactly as the uninterrupted one. A
    batch holds, for each device, TRAIN.BATCH_IMAGES images: `batch.data[i]` and `batch.label[i]`
    are the lists of device i, `batch.images` the files.

    A subclass defines make_device_batch and max_shapes, and may define is_wide and factors.

    Args:
        records: what to train on; each has the path of its image as `image`.
        cfg: the settings.
        num_devices: number of devices that a batch is for.
        data_names, label_names: of the network's inputs and labels, in the order of a batch.
        workers: number of threads that make batches.

    Attributes:
        waited: seconds that `next` has spent waiting.
        unusable: {image: why}, what TRAIN.SKIP_BAD_IMAGES left out so far.

    Raises:
        DataError: there are no records, or the first batch cannot be made.
    """

    def __init__(self, records, cfg, num_devices, data_names, label_names, workers=2):
        super().__init__(cfg.TRAIN.BATCH_IMAGES * num_devices, workers)
        if not records:
            raise DataError('there is nothing to train on: the list of training images is empty')
        self.records, self.cfg, self.num_devices = records, cfg, num_devices
        self.data_names, self.label_names = list(data_names), list(label_names)
        self.epoch = cfg.TRAIN.begin_epoch
        self._rank, self._processes = 0, 1
        self._factors = self.factors()
        self.waited, self.unusable = 0.0, {}
        self._first = self.make((self.epoch, list(range(self.batch_size))))
        self._start_epoch()

    def make_device_batch(self, records, seeds):
        """The batch of one device from its records and a seed for each: {input or label name: float32 array}.

        Runs in threads and depends on nothing else. Raises DataError.
        """
        raise NotImplementedError

    def max_shapes(self):
        """({input: shape}, {label: shape}) of the largest batch of a device, so that memory is planned once."""
        raise NotImplementedError

    def is_wide(self):
        """Return for each record whether it goes with wide images: bool [records].

        Wide and tall images are kept in separate batches; None: they are not.
        """
        return None

    def factors(self):
        """Return how often each record comes in an epoch, on average: float64 [records], each at least 1.

        None: all come once.
        """
        return None

    @property
    def batches_per_epoch(self):
        """Batches in an epoch; the last is filled up from the start of the order."""
        entries = len(self.records) if self._factors is None else entries_per_epoch(self._factors)
        return -(-entries // (self.batch_size * self._processes))

    @property
    def provide_data(self):
        """[(name, shape)] for each device, of some batch: sizes change from batch to batch."""
        return self._first.provide_data

    @property
    def provide_label(self):
        """As `provide_data`, of the labels."""
        return self._first.provide_label

    def reset(self):
        """Go to the next epoch."""
        self.epoch += 1
        self._start_epoch()

    def share(self, rank, processes):
        """Restart the epoch as the process `rank` of `processes` that train together.

        Of each batch of all of them it takes its part.
        """
        self._rank, self._processes = rank, processes
        self._start_epoch()

    def skip_to(self, batch):
        """Restart the epoch behind its first `batch` batches."""
        self._start_epoch(batch)

    def _start_epoch(self, batch=0):
        own, total = self.batch_size, self.batch_size * self._processes
        order = epoch_order(len(self.records), self.cfg, self.epoch, total, self.is_wide(), self._factors)
        parts = [order[i:i + own] for i in range(self._rank * own, len(order), total)]
        self.start([(self.epoch, indices) for indices in parts[batch:]])
        self.fill()

    def describe(self, item):
        """Return the images of a batch, for messages."""
        return ', '.join(self._record(index).image for index in item[1])

    def _record(self, index):
        """The record of an entry of `epoch_order`, which may be a further copy."""
        return self.records[index % len(self.records)]

    def next(self):
        """Return the next mx.io.DataBatch. Raises StopIteration at the end of the epoch, DataError."""
        started = time.perf_counter()
        batch = super().next()
        self.waited += time.perf_counter() - started
        return batch

    def make(self, item):
        """Return the mx.io.DataBatch of `item`: the number of the epoch, and the indices of the batch's records."""
        epoch, indices = item
        per_device = self.cfg.TRAIN.BATCH_IMAGES
        devices, images = [], []
        for start in range(0, self.batch_size, per_device):
            chosen = [indices[i % len(indices)] for i in range(start, start + per_device)]
            device, chosen = (self._load_usable if self.cfg.TRAIN.SKIP_BAD_IMAGES else self._load)(epoch, chosen)
            devices.append(device)
            images += [self._record(index).image for index in chosen]
        batch = self._to_batch(devices)
        batch.images = images
        return batch

    def _load(self, epoch, chosen):
        """(make_device_batch of the records with the indices `chosen`, `chosen`).

        An unforeseen error names their images.
        """
        # A seed for each image of each epoch, and for each copy of it, whichever thread loads it.
        seeds = [zlib.crc32(b'%d %d %d' % (self.cfg.TRAIN.SEED, epoch, index)) for index in chosen]
        records = [self._record(index) for index in chosen]
        try:
            return self.make_device_batch(records, seeds), chosen
        except DFFError:
            raise
        except Exception as error:
            raise RuntimeError('loading failed at %s' % ', '.join(record.image for record in records)) from error

    def _load_usable(self, epoch, chosen):
        """As `_load`, but the next record with a usable image takes the place of one without.

        `unusable` notes the image.
        """
        try:
            for index in chosen:
                check_whole(self._record(index).image)
            return self._load(epoch, chosen)
        except DataError:
            return self._load(epoch, [self._usable(epoch, index) for index in chosen])

    def _usable(self, epoch, first):
        """`first`, or the index of the next record that can be loaded."""
        for index in range(first, first + len(self.records)):
            index %= len(self.records)
            try:
                check_whole(self.records[index].image)
                self._load(epoch, [index])
                return index
            except DataError as error:
                reason = str(error)
                self.unusable.setdefault(self.records[index].image, reason)
        raise DataError('none of the %d training images can be used; the last: '
                        '%s' % (len(self.records), reason))

    def _to_batch(self, devices):
        data = [[mx.nd.from_numpy(device[name]) for name in self.data_names] for device in devices]
        label = [[mx.nd.from_numpy(device[name]) for name in self.label_names] for device in devices]
        return mx.io.DataBatch(data=data, label=label, pad=0,
                               provide_data=[[(n, tuple(d[n].shape)) for n in self.data_names] for d in devices],
                               provide_label=[[(n, tuple(d[n].shape)) for n in self.label_names] for d in devices])


def check_whole(path):
    """Raise DataError for an image that is missing or cut short, which some builds of OpenCV fill in without a word."""
    if not read_header(path).whole:
        raise DataError('%s is cut short: copy or download it again' % path)


def epoch_order(count, cfg, epoch, batch_size, is_wide=None, factors=None):
    """Return the indices of records in the order of one epoch, a multiple of `batch_size` many.

    Those from `count` on are further copies, as `balance.repeated` has them.

    Args:
        count: number of records.
        cfg: the settings, of which TRAIN.SEED and TRAIN.SHUFFLE count.
        epoch: number of the epoch.
        batch_size: images in a batch of all processes.
        is_wide: bool [count] or None; wide and tall images come in separate batches, where they
            can, so that less is padded.
        factors: how often each record comes, float64 [count]; None: once.
    """
    rng = np.random.RandomState(zlib.crc32(b'order %d %d' % (cfg.TRAIN.SEED, epoch)))
    indices = np.arange(count) if factors is None else repeated(factors, rng)
    if cfg.TRAIN.SHUFFLE:
        rng.shuffle(indices)
        if is_wide is not None and batch_size > 1:
            wide = is_wide[indices % count]
            indices = np.concatenate([indices[wide], indices[~wide]])
    indices = np.resize(indices, -(-len(indices) // batch_size) * batch_size)
    batches = indices.reshape(-1, batch_size)
    if cfg.TRAIN.SHUFFLE:
        batches = batches[rng.permutation(len(batches))]
    return batches.reshape(-1).tolist()
