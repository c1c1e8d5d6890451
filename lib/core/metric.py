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
    """(label [B, 1, H, W], probability [B, classes, H, W])"""
    return labels[0], outputs[0]


def _rpn(labels, outputs):
    """(label [B, A*h*w], probability [B, 2, A*h, w]) of the anchors."""
    return labels[0], outputs[RPN_CLS_PROB]


def _rcnn(labels, outputs):
    """(label [B*R, 1], probability [B*R, classes]) of the RoIs."""
    prob = outputs[CLS_PROB]
    return outputs[RCNN_LABEL].reshape((-1, 1)), prob.reshape((-1, prob.shape[-1]))


class DeviceMetric(mx.metric.EvalMetric):
    """Mean over the anchors, RoIs or pixels whose label is not `ignore`, of which every batch adds (sum, number) as one array.

    select(labels, outputs) -> (label [n, ...], probability [n, classes, ...] of as many places in the same order).

    The first batch whose mean is not finite, or above `limit`, is kept in `alarm` as (number of the update, mean), and left
    out of the mean; lib/core/divergence.py watches for it.
    """

    def __init__(self, name, select, ignore=-1):
        self._pending = collections.deque()
        self._select, self.ignore = select, ignore
        self._updates = 0
        self.limit, self.alarm = math.inf, None
        # Hybridized, a batch is one call instead of a dozen: for all six metrics 1.5 ms of Python's time instead of 4.
        self._values = mx.gluon.nn.HybridLambda(self._sum_and_number)
        self._values.hybridize()
        super().__init__(name, has_global_stats=True)

    def measure(self, F, label, values):
        """Sum over the valid of `label` [n, places], of shape [1]; F: mx.nd or mx.sym."""
        raise NotImplementedError

    def values(self, prob, outputs):
        """What `measure` needs of a batch; here the probability [n, classes, places]."""
        return prob.reshape((0, 0, -1))

    def _sum_and_number(self, F, label, values):
        label = F.reshape(label, shape=(0, -1))
        return F.concat(self.measure(F, label, values), F.sum(label != self.ignore), dim=0)

    def update(self, labels, preds):
        """Queue the values of one device's batch."""
        label, prob = self._select(labels, preds)
        values = self.values(prob, preds)
        self._pending.append((self._updates, self._values(label.as_in_context(values.context), values)))
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

    def measure(self, F, label, values):
        # No class is called `ignore`, so that invalid labels never match.
        return F.sum(F.broadcast_equal(F.argmax(values, axis=1), label))


class LogLoss(DeviceMetric):
    """Mean of -log(probability of the label)."""

    def measure(self, F, label, values):
        loss = -F.log(F.pick(values, F.broadcast_maximum(label, F.zeros_like(label)), axis=1) + EPSILON)
        # where, not a product: 0 * nan of an invalid label would spoil the sum.
        return F.sum(F.where(label != self.ignore, loss, F.zeros_like(loss)))


class BoxLoss(DeviceMetric):
    """Box regression loss, an output of the network, by valid label."""

    def __init__(self, name, select, output):
        self._output = output
        super().__init__(name, select)

    def values(self, prob, outputs):
        return outputs[self._output]

    def measure(self, F, label, values):
        return F.sum(values)
