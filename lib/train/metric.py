"""The training metrics of the original, computed on the device without holding it up.

Detection reads the outputs of the end-to-end training networks, in this order: rpn_cls_prob [B, 2, A*h, w],
rpn_bbox_loss [B, 4A, h, w], cls_prob [B, R, classes], bbox_loss [B, R, 4 or 8 ...], rcnn_label [B, R]; and the label
`label` [B, A*h*w], the first one. A label of -1 marks an anchor or RoI that takes no part in the loss.

Segmentation reads softmax [B, classes, H, W], the first output, and `label` [B, 1, H, W], 255
where ignored, at some of the pixels.
"""
import collections
import math

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.labels import IGNORE_LABEL

EPSILON = 1e-14
# Batches whose values are still on the device. With one or two, training never waits for a metric, yet the
# Python thread cannot run ahead of the device and pile up batches in memory.
IN_FLIGHT = 2
# Of segmentation, every 4th pixel of every 4th row counts: all of them take a small network's step
# 6 % longer.
PIXEL_STEP = 4


def detection_metrics():
    """The DeviceMetrics of all six."""
    return DeviceMetrics(
        ['RPNAcc', 'RPNLogLoss', 'RPNL1Loss', 'RCNNAcc', 'RCNNLogLoss', 'RCNNL1Loss'], _detection,
        outputs=5)


def segmentation_metrics():
    """The DeviceMetrics of pixel accuracy and loss, measured at one pixel in 16."""
    return DeviceMetrics(['PixelAcc', 'FCNLogLoss'], _segmentation, outputs=1)


def _detection(F, label, rpn_prob, rpn_loss, prob, loss, rcnn_label):
    rpn = _classification(F, F.reshape(label, shape=(0, -1)), F.reshape(rpn_prob, shape=(0, 0, -1)), -1)
    prob = F.expand_dims(F.reshape(prob, shape=(-1, 0), reverse=True), axis=2)
    rcnn = _classification(F, F.reshape(rcnn_label, shape=(-1, 1)), prob, -1)
    return rpn + [F.sum(rpn_loss), rpn[-1]] + rcnn + [F.sum(loss), rcnn[-1]]


def _segmentation(F, label, prob):
    label, prob = (F.slice(array, begin=(None,) * 4, end=(None,) * 4,
                           step=(1, 1, PIXEL_STEP, PIXEL_STEP)) for array in (label, prob))
    return _classification(F, F.reshape(label, shape=(0, -1)), F.reshape(prob, shape=(0, 0, -1)), IGNORE_LABEL)


def _classification(F, label, prob, ignore):
    """[places where the label is the likeliest class, places, sum of -log(probability of the
    label), places]; those with `ignore` do not count. label [n, places], prob [n, classes,
    places].
    """
    valid = label != ignore
    places = F.sum(valid)
    # No class is called `ignore`, so that such labels never match.
    right = F.sum(F.broadcast_equal(F.argmax(prob, axis=1), label))
    loss = -F.log(F.pick(prob, F.broadcast_maximum(label, F.zeros_like(label)), axis=1) + EPSILON)
    # where, not a product: 0 * nan of an ignored label would spoil the sum.
    return [right, places, F.sum(F.where(valid, loss, F.zeros_like(loss))), places]


class DeviceMetrics(mx.metric.CompositeEvalMetric):
    """Means over anchors, RoIs or pixels, to which every batch adds (sum, number) of all metrics as one array.

    names: of the metrics, in `metrics`. sums(F, label, *outputs), with F mx.nd or mx.sym, the
    first label and the first `outputs` outputs of the network: [sum, number] of each metric after
    another, arrays of shape [1].
    """

    def __init__(self, names, sums, outputs):
        self._pending, self._updates, self._outputs = collections.deque(), 0, outputs
        # Hybridized, a batch is one call instead of dozens, which would take Python as long as a
        # tenth of a small network's step.
        self._sums = mx.gluon.nn.HybridLambda(lambda F, *arrays: F.concat(*sums(F, *arrays), dim=0))
        self._sums.hybridize()
        super().__init__([DeviceMetric(name) for name in names])

    def update_dict(self, labels, preds):
        """Queue the values of one device's batch: {name: NDArray} in the order of the network."""
        outputs = list(preds.values())[:self._outputs]
        label = next(iter(labels.values())).as_in_context(outputs[0].context)
        self._pending.append((self._updates, self._sums(label, *outputs)))
        self._updates += 1
        while len(self._pending) > IN_FLIGHT:
            self._settle()

    def _settle(self):
        number, values = self._pending.popleft()
        for metric, (total, count) in zip(self.metrics, values.asnumpy().reshape(-1, 2).tolist()):
            metric.add(number, total, count)

    def _settle_all(self):
        while self._pending:
            self._settle()

    def get(self):
        """(names, means since the last reset_local)"""
        self._settle_all()
        return super().get()

    def get_global(self):
        """(names, means since the last reset)"""
        self._settle_all()
        return super().get_global()

    def reset(self):
        """Forget everything."""
        self._pending.clear()
        super().reset()

    def reset_local(self):
        """Begin new means for `get`; `get_global` goes on."""
        self._settle_all()
        super().reset_local()


class DeviceMetric(mx.metric.EvalMetric):
    """One of DeviceMetrics.

    The first batch whose mean is not finite, or above `limit`, is kept in `alarm` as (number of
    the update, mean), and left out of the mean; lib/train/divergence.py watches for it.
    """

    def __init__(self, name):
        self.limit, self.alarm = math.inf, None
        super().__init__(name, has_global_stats=True)

    def add(self, number, total, count):
        """Take in one batch of one device.

        Args:
            number: of the update.
            total: sum over its places.
            count: places in it.
        """
        if not math.isfinite(total) or total > self.limit * max(count, 1):
            self.alarm = self.alarm or (number, total / max(count, 1))
            return
        self.sum_metric += total
        self.num_inst += count
        self.global_sum_metric += total
        self.global_num_inst += count
