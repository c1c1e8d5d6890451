"""The training metrics against plain NumPy."""
import mxnet as mx
import numpy as np
import pytest

from lib.train.metric import detection_metrics, segmentation_metrics

NAMES = ['RPNAcc', 'RPNLogLoss', 'RPNL1Loss', 'RCNNAcc', 'RCNNLogLoss', 'RCNNL1Loss']


def softmax(array, axis):
    array = np.exp(array - array.max(axis, keepdims=True))
    return array / array.sum(axis, keepdims=True)


def batch(seed, images=1, height=4, width=5, rois=7, classes=4):
    """(labels, outputs) as NumPy arrays: A = 3 anchors, an RPN label and a RoI label in three are -1."""
    rng = np.random.RandomState(seed)
    label = rng.randint(-1, 2, (images, 3 * height * width)).astype(np.float32)
    outputs = [softmax(rng.randn(images, 2, 3 * height, width), 1), rng.rand(images, 12, height, width),
               softmax(rng.randn(images, rois, classes), 2), rng.rand(images, rois, 8),
               rng.randint(-1, classes, (images, rois))]
    return [label, np.zeros((images, 12, height, width))], [output.astype(np.float32) for output in outputs]


def expected(batches):
    """Values of the six metrics over all (labels, outputs), by loops."""
    sums, counts = np.zeros(6), np.zeros(6)
    for labels, (rpn_prob, rpn_loss, prob, loss, rcnn_label) in batches:
        rpn_prob = rpn_prob.reshape(len(rpn_prob), 2, -1)
        for image in range(len(rpn_prob)):
            for first, image_label, image_prob in ((0, labels[0][image], rpn_prob[image].T),
                                                   (3, rcnn_label[image], prob[image])):
                for target, p in zip(image_label.astype(int), image_prob):
                    if target >= 0:
                        sums[first:first + 2] += [p.argmax() == target, -np.log(p[target])]
                        counts[first:first + 3] += 1
        sums[[2, 5]] += [rpn_loss.sum(), loss.sum()]
    return sums / counts


def feed(metrics, labels, outputs):
    metrics.update_dict({str(i): mx.nd.array(a) for i, a in enumerate(labels)},
                        {str(i): mx.nd.array(a) for i, a in enumerate(outputs)})


@pytest.mark.parametrize('images', [1, 3])
def test_values_of_several_devices_and_batches(images):
    batches = [batch(0, images), batch(1, images, height=3), batch(2, images, width=2, rois=9), batch(3, images)]
    metrics = detection_metrics()
    for one in batches:
        feed(metrics, *one)
    assert metrics.get()[0] == NAMES
    np.testing.assert_allclose(metrics.get()[1], expected(batches), rtol=1e-5)


def test_local_means_start_anew_and_global_ones_go_on():
    batches = [batch(seed) for seed in range(4)]
    metrics = detection_metrics()
    for one in batches[:2]:
        feed(metrics, *one)
    metrics.reset_local()
    for one in batches[2:]:
        feed(metrics, *one)
    np.testing.assert_allclose(metrics.get()[1], expected(batches[2:]), rtol=1e-5)
    np.testing.assert_allclose([value for _, value in metrics.get_global_name_value()], expected(batches), rtol=1e-5)
    metrics.reset()
    assert np.isnan(metrics.get()[1]).all()


def test_rois_in_one_row_are_understood():
    labels, outputs = batch(0)
    flat = outputs[:2] + [outputs[2][0], outputs[3][0], outputs[4].reshape(-1)]
    metrics = detection_metrics()
    feed(metrics, labels, flat)
    np.testing.assert_allclose(metrics.get()[1], expected([(labels, outputs)]), rtol=1e-5)


def test_a_bad_batch_is_noted_and_left_out():
    good, bad = batch(0), batch(1)
    bad[1][3][:] = np.nan
    bad[1][2][0, 0] = np.nan
    bad[1][4][0, 0] = 1
    metrics = detection_metrics()
    feed(metrics, *good)
    feed(metrics, *bad)
    values = dict(metrics.get_name_value())
    assert np.isfinite(list(values.values())).all()
    np.testing.assert_allclose(values['RCNNL1Loss'], expected([good])[5], rtol=1e-5)
    assert [metric.alarm and metric.alarm[0] for metric in metrics.metrics] == [None, None, None, None, 1, 1]
    feed(metrics, *bad)
    metrics.reset()
    assert np.isnan(metrics.metrics[5].alarm[1]) and metrics.metrics[5].alarm[0] == 1      # the first one is kept
    assert np.isnan(dict(metrics.get_name_value())['RCNNL1Loss'])


def test_a_loss_above_its_limit_is_noted():
    metrics = detection_metrics()
    metrics.metrics[2].limit = 1e-3
    feed(metrics, *batch(0))
    metrics.get()
    assert metrics.metrics[2].alarm == (0, pytest.approx(expected([batch(0)])[2], rel=1e-5))
    assert metrics.metrics[5].alarm is None


def test_nan_of_an_ignored_roi_is_no_matter():
    labels, outputs = batch(0)
    outputs[2][0, 2], outputs[4][0, 2] = np.nan, -1
    metrics = detection_metrics()
    feed(metrics, labels, outputs)
    assert np.isfinite(metrics.get()[1][4]) and metrics.metrics[4].alarm is None


def test_nothing_valid_gives_nan_and_no_warning(recwarn):
    labels, outputs = batch(0)
    labels[0][:] = -1
    metrics = detection_metrics()
    feed(metrics, labels, outputs)
    assert np.isnan(metrics.get()[1][0])
    assert not recwarn.list


@pytest.mark.parametrize('ignored', [0.0, 0.3, 1.0])
def test_segmentation_takes_every_fourth_pixel_and_ignores_255(ignored):
    metrics, values = segmentation_metrics(), []
    for seed in range(3):
        rng = np.random.RandomState(seed)
        label = np.where(rng.rand(2, 1, 26, 31) < ignored, 255, rng.randint(5, size=(2, 1, 26, 31)))
        prob = softmax(rng.randn(2, 5, 26, 31), 1).astype(np.float32)
        feed(metrics, [label.astype(np.float32)], [prob, np.zeros((2, 3, 6, 7)), np.zeros(2)])
        for image, row, column in zip(*np.nonzero(label[:, 0, ::4, ::4] != 255)):
            target, scores = label[image, 0, 4 * row, 4 * column], prob[image, :, 4 * row, 4 * column]
            values.append([scores.argmax() == target, -np.log(scores[target])])
    found = dict(metrics.get_name_value())
    assert list(found) == ['PixelAcc', 'FCNLogLoss']
    if ignored == 1:
        assert np.isnan(list(found.values())).all()
    else:
        np.testing.assert_allclose(list(found.values()), np.mean(values, axis=0), rtol=1e-5)
