"""Ends a training run whose loss is no longer a usable number, naming the images that did it."""
import collections

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from lib.train.metric import IN_FLIGHT
from dff.errors import DivergenceError

ADVICE = (
    'Try a lower TRAIN.lr, TRAIN.warmup: true, TRAIN.clip_gradient: 1, pretrained parameters '
    '(network.pretrained), and `python tools/check_dataset.py` for wrong boxes')


class LossWatch:
    """A batch_end_callback that raises DivergenceError after a batch with a loss that is not
    finite, or above TRAIN.MAX_LOSS.

    Losses are read one or two batches late, so as not to hold up the device.

    Args:
        metrics: DeviceMetrics; those whose names end in Loss have the limit.
        max_loss: highest mean of one batch.
        devices: number of devices, each of which updates the metrics once a batch.
        lr_report: one line about the learning rate, for the message.
    """

    def __init__(self, metrics, max_loss, devices, lr_report):
        self.metrics, self.max_loss, self.devices, self.lr_report = metrics.metrics, max_loss, devices, lr_report
        self._recent = collections.deque(maxlen=IN_FLIGHT + 2)    # (number, epoch, batch, images)
        self._count = 0
        for metric in self.metrics:
            if metric.name.endswith('Loss'):
                metric.limit = max_loss

    def __call__(self, param):
        """param: mx.model.BatchEndParam of `fit` over a TrainLoader."""
        self._recent.append((self._count, param.epoch, param.nbatch, param.locals['data_batch'].images))
        self._count += 1
        alarms = [(metric.alarm, metric.name) for metric in self.metrics if metric.alarm]
        if alarms:
            (update, value), name = min(alarms)
            self._fail(update // self.devices, name, value)

    def _fail(self, number, name, value):
        _, epoch, batch, images = next(entry for entry in self._recent if entry[0] == number)
        limit = '' if not np.isfinite(value) else ' (above TRAIN.MAX_LOSS, %g)' % self.max_loss
        raise DivergenceError('training diverged: %s is %g%s in epoch %d, batch %d, with the '
                              'images %s. %s. %s' % (
            name, value, limit, epoch + 1, batch + 1, ', '.join(images), self.lr_report, ADVICE))


def not_finite(params):
    """Return the names of those of {name: NDArray} that hold values that are not finite."""
    sums = mx.nd.concat(*[mx.nd.sum(array.reshape((-1,)) * 0) for array in params.values()], dim=0).asnumpy()
    return [name for name, total in zip(params, sums) if total != 0]


def check_finite(params, when):
    """Raise DivergenceError where a value of {name: NDArray} is not finite; when: what the message says of the time."""
    bad = not_finite(params)
    if bad:
        raise DivergenceError(
            'training diverged: %s: %d parameters, %s the first, hold values that are not finite; '
            'no checkpoint is written of them. %s' % (when, len(bad), bad[0], ADVICE))
