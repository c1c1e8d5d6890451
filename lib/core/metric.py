"""The training metrics of the original, computed on the device without holding it up.

Detection reads the outputs of the end-to-end training networks, in this order: rpn_cls_prob [B, 2, A*h, w],
rpn_bbox_loss [B, 4A, h, w], cls_prob [B, R, classes], bbox_loss [B, R, 4 or 8 ...], rcnn_label [B, R]; and the label
`label` [B, A*h*w], the first one. A label of -1 marks an anchor or RoI that takes no part in the loss.

Segmentation reads softmax [B, classes, H, W], the first output, and `label` [B, 1, H, W], 255 where ignored.
"""
import collections
import math

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.dataset.seg_records import IGNORE_LABEL

RPN_CLS_PROB, RPN_BBOX_LOSS, CLS_PROB, BBOX_LOSS, RCNN_LABEL = range(5)
EPSILON = 1e-14
# Batches whose values are still on the device. With one or two, training never waits for a metric, yet the
# Python thread cannot run ahead of the device and pile up batches in memory.
IN_FLIGHT = 2


def detection_metrics():
    """The mx.metric.CompositeEvalMetric of all six."""
    return mx.metric.CompositeEvalMetric([
        Accuracy('RPNAcc', _rpn), LogLoss('RPNLogLoss', _rpn), BoxLoss('RPNL1Loss', _rpn, RPN_BBOX_LOSS),
        Accuracy('RCNNAcc', _rcnn), LogLoss('RCNNLogLoss', _rcnn), BoxLoss('RCNNL1Loss', _rcnn, BBOX_LOSS)])


def segmentation_metrics():
    """The mx.metric.CompositeEvalMetric of pixel accuracy and loss."""
    return mx.metric.CompositeEvalMetric([Accuracy('PixelAcc', _pixels, IGNORE_LABEL), LogLoss('FCNLogLoss', _pixels, IGNORE_LABEL)])


def _pixels(labels, outputs):
    """(label [B, H, W], probability [B, classes, H, W])"""
    return labels[0].as_in_context(outputs[0].context).squeeze(axis=1), outputs[0]


def _rpn(labels, outputs):
    """(label [n], probability [n, 2]) of the anchors."""
    prob = outputs[RPN_CLS_PROB]
    prob = prob.reshape((0, 0, -1)).transpose((0, 2, 1)).reshape((-1, prob.shape[1]))
    return labels[0].as_in_context(prob.context).reshape((-1,)), prob


def _rcnn(labels, outputs):
    """(label [n], probability [n, classes]) of the RoIs."""
    prob = outputs[CLS_PROB]
    return outputs[RCNN_LABEL].reshape((-1,)), prob.reshape((-1, prob.shape[-1]))


class DeviceMetric(mx.metric.EvalMetric):
    """Mean over the anchors, RoIs or pixels whose label is not `ignore`, of which every batch adds (sum, number) as one array.

    select(labels, outputs) -> (label [...], probability with the classes on axis 1 more).

    The first batch whose mean is not finite, or above `limit`, is kept in `alarm` as (number of the update, mean), and left
    out of the mean; lib/core/divergence.py watches for it.
    """

    def __init__(self, name, select, ignore=-1):
        self._pending = collections.deque()
        self._select, self.ignore = select, ignore
        self._updates = 0
        self.limit, self.alarm = math.inf, None
        super().__init__(name, has_global_stats=True)

    def measure(self, label, prob, outputs):
        """Sum over the valid labels, an NDArray of shape [1]."""
        raise NotImplementedError

    def update(self, labels, preds):
        """Queue the values of one device's batch."""
        label, prob = self._select(labels, preds)
        self._pending.append((self._updates, mx.nd.concat(self.measure(label, prob, preds), (label != self.ignore).sum(), dim=0)))
        self._updates += 1
        while len(self._pending) > IN_FLIGHT:
            self._settle()

    def _settle(self):
        number, values = self._pending.popleft()
        total, count = values.asnumpy().tolist()
        if not math.isfinite(total) or total > self.limit * max(count, 1):
            self.alarm = self.alarm or (number, total / max(count, 1))
            return
        self.sum_metric += total
        self.num_inst += count
        self.global_sum_metric += total
        self.global_num_inst += count

    def _settle_all(self):
        while self._pending:
            self._settle()

    def get(self):
        """(name, mean since the last reset_local)"""
        self._settle_all()
        return super().get()

    def get_global(self):
        """(name, mean since the last reset)"""
        self._settle_all()
        return super().get_global()

    def reset(self):
        """Forget everything."""
        self._pending.clear()
        super().reset()

    def reset_local(self):
        """Begin a new mean for `get`; `get_global` goes on."""
        self._settle_all()
        super().reset_local()


class Accuracy(DeviceMetric):
    """Share of valid labels that have the highest probability."""

    def measure(self, label, prob, outputs):
        # No class is called `ignore`, so that invalid labels never match.
        return (prob.argmax(axis=1) == label).sum()


class LogLoss(DeviceMetric):
    """Mean of -log(probability of the label)."""

    def measure(self, label, prob, outputs):
        loss = -mx.nd.log(mx.nd.pick(prob, mx.nd.maximum(label, 0), axis=1) + EPSILON)
        # where, not a product: 0 * nan of an invalid label would spoil the sum.
        return mx.nd.where(label != self.ignore, loss, mx.nd.zeros_like(loss)).sum()


class BoxLoss(DeviceMetric):
    """Box regression loss, an output of the network, by valid label."""

    def __init__(self, name, select, output):
        self._output = output
        super().__init__(name, select)

    def measure(self, label, prob, outputs):
        return outputs[self._output].sum()
