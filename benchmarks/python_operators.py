"""Proposal targets and OHEM as Python CustomOps on NumPy, the way that DFF's networks had them:
what the benchmark compares with.
"""
import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.boxes.transform import bbox_overlaps, bbox_transform


class ProposalTarget(mx.operator.CustomOp):
    """Every proposal and ground-truth box with its class and its class-agnostic box target, foreground first."""

    def forward(self, is_train, req, in_data, out_data, aux):
        """See mx.operator.CustomOp for is_train, req, in_data, out_data and aux."""
        boxes = np.vstack((in_data[0].asnumpy()[:, 1:], in_data[1].asnumpy()[0, :, :4]))
        truth = in_data[1].asnumpy()[0]
        overlaps = bbox_overlaps(boxes.astype(np.float64), truth[:, :4].astype(np.float64))
        best = overlaps.argmax(axis=1)
        foreground = np.where(overlaps.max(axis=1) >= 0.5)[0]
        order = np.append(foreground, np.where(overlaps.max(axis=1) < 0.5)[0])
        label = truth[best, 4]
        label[overlaps.max(axis=1) < 0.5] = 0
        label, boxes, best = label[order], boxes[order], best[order]
        deltas = bbox_transform(boxes, truth[best, :4]) / np.array([0.1, 0.1, 0.2, 0.2])
        target, weight = np.zeros((len(boxes), 8)), np.zeros((len(boxes), 8))
        for row in np.where(label > 0)[0]:
            target[row, 4:8] = deltas[row]
            weight[row, 4:8] = 1
        rois = np.hstack((np.zeros((len(boxes), 1)), boxes))
        for index, value in enumerate((rois, label, target, weight)):
            self.assign(out_data[index], req[index], mx.nd.array(value))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        """See mx.operator.CustomOp; all gradients are 0."""
        for index, gradient in enumerate(in_grad):
            self.assign(gradient, req[index], 0)


@mx.operator.register('benchmark_proposal_target')
class ProposalTargetProp(mx.operator.CustomOpProp):
    """Names and shapes of ProposalTarget, for MXNet."""

    def __init__(self):
        super().__init__(need_top_grad=False)

    def list_arguments(self):
        """Return the names of the inputs."""
        return ['rois', 'gt_boxes']

    def list_outputs(self):
        """Return the names of the outputs."""
        return ['rois_output', 'label', 'bbox_target', 'bbox_weight']

    def infer_shape(self, in_shape):
        """Return the shapes of inputs, outputs and auxiliary states, from those in `in_shape`."""
        count = in_shape[0][0] + in_shape[1][1]
        return in_shape, [(count, 5), (count,), (count, 8), (count, 8)], []

    def create_operator(self, ctx, shapes, dtypes):
        """See mx.operator.CustomOpProp for ctx, shapes and dtypes."""
        return ProposalTarget()


class HardExamples(mx.operator.CustomOp):
    """Labels and box weights of the `keep` RoIs of highest loss."""

    def __init__(self, keep):
        super().__init__()
        self._keep = keep

    def forward(self, is_train, req, in_data, out_data, aux):
        """See mx.operator.CustomOp for is_train, req, in_data, out_data and aux."""
        score, bbox_pred, label, target, weight = (value.asnumpy() for value in in_data)
        exp = np.exp(score - score.max(axis=1, keepdims=True))
        loss = -np.log((exp / exp.sum(axis=1, keepdims=True))[np.arange(len(label)), label.astype(int)] + 1e-14)
        difference = abs(weight * (bbox_pred - target))
        loss += np.where(difference < 1, 0.5 * difference ** 2, difference - 0.5).sum(axis=1)
        dropped = np.argsort(loss)[::-1][self._keep:]
        label[dropped] = -1
        weight[dropped] = 0
        self.assign(out_data[0], req[0], mx.nd.array(label))
        self.assign(out_data[1], req[1], mx.nd.array(weight))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        """See mx.operator.CustomOp; all gradients are 0."""
        for index, gradient in enumerate(in_grad):
            self.assign(gradient, req[index], 0)


@mx.operator.register('benchmark_hard_examples')
class HardExamplesProp(mx.operator.CustomOpProp):
    """Names and shapes of HardExamples, for MXNet."""

    def __init__(self, keep):
        super().__init__(need_top_grad=False)
        self._keep = int(keep)

    def list_arguments(self):
        """Return the names of the inputs."""
        return ['score', 'bbox_pred', 'label', 'bbox_target', 'bbox_weight']

    def list_outputs(self):
        """Return the names of the outputs."""
        return ['label_output', 'weight_output']

    def infer_shape(self, in_shape):
        """Return the shapes of inputs, outputs and auxiliary states, from those in `in_shape`."""
        return in_shape, [in_shape[2], in_shape[4]], []

    def create_operator(self, ctx, shapes, dtypes):
        """See mx.operator.CustomOpProp for ctx, shapes and dtypes."""
        return HardExamples(self._keep)
