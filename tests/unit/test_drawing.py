"""Drawn boxes and labels leave what was detected to be seen."""
import cv2
import numpy as np
import pytest

from dff.drawing import class_colour, draw_detections
from tests.conftest import shared_folder

NAMES = ['bg', 'person', 'bus']


def rows(boxes, label=1, score=0.9):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return np.column_stack([np.full(len(boxes), label), np.full(len(boxes), score), boxes]).astype(np.float32)


def hidden(image, drawn, boxes, line=1):
    """Share of the pixels within the lines of each box that are another colour than before."""
    changed = (image != drawn).any(axis=2)
    found = []
    for x1, y1, x2, y2 in np.array(boxes, int):
        part = changed[max(y1, 0) + line:y2 + 1 - line, max(x1, 0) + line:x2 + 1 - line]
        found.append(part.mean())
    return np.array(found)


def strips(drawn, colour):
    return int((drawn == colour).all(axis=2).sum())


def test_a_label_stands_above_its_box_and_within_the_picture():
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw_detections(image, rows([100, 80, 140, 160]), NAMES)
    assert hidden(image, drawn, [[100, 80, 140, 160]]).max() == 0
    assert (drawn[:79, 100:] == class_colour(1)).all(axis=2).sum() > 200
    for corner in ([0, 0, 30, 60], [270, 0, 299, 60], [270, 150, 299, 199], [-20, 100, 10, 199]):
        drawn = draw_detections(image, rows(corner), NAMES)
        assert hidden(image, drawn, [corner]).max() < 0.05
        assert strips(drawn, class_colour(1)) > 400, 'its label is there'


def test_a_box_as_large_as_the_picture_has_its_label_inside():
    image = np.zeros((240, 320, 3), np.uint8)
    drawn = draw_detections(image, rows([0, 0, 319, 239]), NAMES)
    assert (drawn[3:18, 3:40] == class_colour(1)).all(axis=2).sum() > 100


def test_a_small_object_within_a_large_one_is_not_hidden():
    image = np.zeros((400, 600, 3), np.uint8)
    small = [[300 + 40 * i, 60, 312 + 40 * i, 90] for i in range(5)]
    found = np.vstack([rows([10, 40, 590, 390], 2, 0.95), rows(small)])
    assert hidden(image, draw_detections(image, found, NAMES), small).max() < 0.05


@pytest.mark.parametrize('ids', [None, np.arange(1, 201)])
def test_a_crowd_is_not_hidden_and_small_boxes_have_thin_lines(ids):
    rng = np.random.RandomState(0)
    corners = rng.uniform(0, 1, (200, 2)) * (620, 440)
    boxes = np.hstack([corners, corners + rng.uniform(10, 40, (200, 2))]).round()
    image = np.zeros((480, 640, 3), np.uint8)
    only_lines = image.copy()
    for box in boxes.astype(int).tolist():
        cv2.rectangle(only_lines, tuple(box[:2]), tuple(box[2:]), (255, 255, 255), 1)
    drawn = draw_detections(image, rows(boxes), NAMES, ids=ids)
    # Lines of other boxes cross; of labels next to nothing may lie on a person.
    labels = (drawn != 0).any(axis=2) & (only_lines == 0).all(axis=2)
    for x1, y1, x2, y2 in boxes.astype(int):
        part = labels[y1:y2 + 1, x1:x2 + 1]
        assert part.sum() <= 0.2 * part.size
    assert labels.sum() > 1000, 'there are labels where there is room'


def test_where_nothing_fits_there_is_no_label():
    image = np.zeros((20, 20, 3), np.uint8)
    drawn = draw_detections(image, rows([2, 2, 17, 17]), NAMES)
    assert strips(drawn, class_colour(1)) == 4 * 15


def test_absurd_boxes_are_drawn():
    image = np.zeros((40, 60, 3), np.uint8)
    draw_detections(image, rows([[-1e9, -1e9, 1e9, 1e9], [30, 30, 20, 20]]), NAMES)


def test_people_of_a_real_street_stay_visible():
    video = cv2.VideoCapture(str(shared_folder('video') / 'person' / 'PETS09-S2L1.avi'))
    video.set(cv2.CAP_PROP_POS_FRAMES, 132)      # eight people
    truth = np.loadtxt(str(shared_folder('video') / 'person' / 'PETS09-S2L1.txt'), delimiter=',')
    frame = video.read()[1]
    own = truth[truth[:, 0] == 133]
    boxes = np.column_stack([own[:, 2:4], own[:, 2:4] + own[:, 4:6] - 1]).round()
    assert len(boxes) == 8
    drawn = draw_detections(frame, rows(boxes), NAMES, ids=own[:, 1].astype(int))
    assert hidden(frame, drawn, np.clip(boxes, 0, [767, 575, 767, 575])).max() < 0.15
