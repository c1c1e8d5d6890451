"""The confusion matrix against a count by hand, and what it refuses."""
import numpy as np
import pytest

from lib.evaluation.confusion import ConfusionMatrix


def maps(seed, num_classes, shape=(30, 40)):
    rng = np.random.RandomState(seed)
    label = rng.randint(0, num_classes, shape).astype(np.uint8)
    predicted = np.where(rng.rand(*shape) < 0.6, label, rng.randint(0, num_classes, shape)).astype(np.uint8)
    label[rng.rand(*shape) < 0.1] = 255
    return label, predicted


def test_intersection_over_union_of_sets_of_pixels():
    label, predicted = maps(0, 5)
    matrix = ConfusionMatrix(5)
    matrix.update(label, predicted)
    counted = label != 255
    expected = [((label == i) & (predicted == i)).sum() / (((label == i) | (predicted == i)) & counted).sum()
                for i in range(5)]
    np.testing.assert_allclose(matrix.iou(), expected, rtol=1e-12)
    assert matrix.mean_iou() == pytest.approx(np.mean(expected), rel=1e-12)
    assert matrix.counts.sum() == counted.sum() and matrix.counts[1, 3] == ((label == 1) & (predicted == 3)).sum()


def test_images_add_up_and_matrices_merge():
    parts = [maps(seed, 4) for seed in range(3)]
    whole, first, second = ConfusionMatrix(4), ConfusionMatrix(4), ConfusionMatrix(4)
    whole.update(np.concatenate([label for label, _ in parts]), np.concatenate([predicted for _, predicted in parts]))
    for matrix, part in ((first, parts[0]), (second, parts[1]), (second, parts[2])):
        matrix.update(*part)
    first.merge(second)
    np.testing.assert_array_equal(first.counts, whole.counts)


def test_by_hand():
    matrix = ConfusionMatrix(4)
    matrix.update(np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 3]]))
    np.testing.assert_allclose(matrix.iou(), [0.5, 0.5, np.nan, np.nan])
    assert matrix.lines(['sky', 'road', 'car', 'bus']) == [
        'IoU for sky = 0.5000', 'IoU for road = 0.5000', 'IoU for car = none: it does not occur',
        'IoU for bus = none: it does not occur', 'Mean IoU = 0.5000']


def test_a_class_only_in_predictions_counts_as_missed():
    matrix = ConfusionMatrix(3)
    matrix.update(np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 2]], np.uint8))
    np.testing.assert_allclose(matrix.iou(), [0.75, np.nan, 0.0])
    assert matrix.mean_iou() == 0.375


def test_nothing_counted():
    matrix = ConfusionMatrix(2)
    matrix.update(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8))
    assert np.isnan(matrix.mean_iou()) and matrix.lines(['a', 'b'])[-1] == 'Mean IoU = nan'


@pytest.mark.parametrize('label, predicted, message', [
    ([[0, 1]], [[0]], 'the label map has shape (1, 2), the prediction (1, 1)'),
    ([[0, 2]], [[0, 0]], 'ids must be 0 to 1 (labels also 255); found labels up to 2 and predictions up to 0'),
    ([[0, 1]], [[0, 255]], 'ids must be 0 to 1 (labels also 255); found labels up to 1 and predictions up to 255'),
])
def test_what_does_not_fit_is_refused_and_not_counted(label, predicted, message):
    matrix = ConfusionMatrix(2)
    with pytest.raises(ValueError) as error:
        matrix.update(np.array(label), np.array(predicted))
    assert str(error.value) == message and not matrix.counts.any()
