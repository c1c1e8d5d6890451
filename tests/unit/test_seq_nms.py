"""Seq-NMS: recorded values of the original, the rules one by one, the boxes that wait for it."""
import json
import os

import numpy as np
import pytest

from dff import boxes as frame_boxes
from dff.tracking import clip_boxes
from dff.tracking import seq_nms as plain
from dff.tracking.clip_boxes import ROW, ClipBoxes, SavedBoxes, Selection
from dff.errors import DataError
from lib.boxes import seq_nms as native
from lib.boxes.seq_nms import select
from lib.evaluation.vid_eval import GroundTruth, evaluate
from lib.inference.clip_results import format_detections
from tests.helpers.made_clips import frames_of, moving_boxes

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'seq_nms.json')
ONE = [10, 10, 49, 49]
NEAR = [12, 10, 51, 49]          # IoU with ONE 0.9
FAR = [200, 200, 239, 239]


def clip(*frames):
    """(offsets, boxes, scores) of frames of (box, score)."""
    rows = [row for frame in frames for row in frame]
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return (np.concatenate(([0], np.cumsum([len(frame) for frame in frames]))), boxes,
            np.array([score for _, score in rows]))


def stored(name, _request):
    """What was recorded of a small clip, kept with the tests."""
    with open(DATA, encoding='utf-8') as stream:
        values = json.load(stream)[name]
    return {key: np.array(value) for key, value in values.items()}


def shared(name, request):
    """The same of a larger clip, from the folder of reference values."""
    with np.load(str(request.getfixturevalue('reference') / 'seq_nms.npz')) as arrays:
        values = {key: arrays['%s/%s' % (name, key)] for key in (
            'size', 'input', 'seq_index', 'seq', 'final_index', 'final', 'paths')}
    return dict(values, seq=values['seq'][:, 6], final=values['final'][:, 6])


@pytest.mark.parametrize('form', [plain, native], ids=['numpy', 'native'])
@pytest.mark.parametrize('name, read', [
    ('gaps', stored), ('faint', stored), ('void', stored), ('clip12', shared), ('clip1', shared),
    ('clip30', shared)])
def test_recorded_values(request, name, read, form):
    recorded = read(name, request)
    size, rows = recorded['size'], recorded['input']
    found = {'seq_index': [], 'seq': [], 'final_index': [], 'final': [], 'paths': []}
    for label in range(size[0]):
        own = np.flatnonzero(rows[:, 0] == label)
        frames, boxes, scores = rows[own, 1], rows[own, 2:6].astype(np.float32), rows[own, 6]
        offsets = np.searchsorted(frames, np.arange(size[1] + 1))
        found['paths'] += [(label, path.first, len(path.places), path.total)
                           for path in plain.paths(offsets, boxes, scores)]
        keep, new = form.seq_nms(offsets, boxes, scores)
        offsets = np.searchsorted(frames[keep], np.arange(size[1] + 1))
        last = form.nms_of_frames(offsets, boxes[keep], new, 0.3)
        for key, part in (
                ('seq_index', own[keep]), ('seq', new),
                ('final_index', own[keep][last]), ('final', new[last])):
            found[key].extend(part)
    for key in ('seq_index', 'final_index'):
        np.testing.assert_array_equal(found[key], recorded[key])
    for key in ('seq', 'final', 'paths'):
        np.testing.assert_allclose(np.ravel(found[key]), np.ravel(recorded[key]), rtol=1e-12)


@pytest.mark.parametrize('form', [plain, native], ids=['numpy', 'native'])
@pytest.mark.parametrize('rescore, expected', [('avg', [0.5, 0.5, 0.5]), ('max', [0.9, 0.9, 0.9])])
def test_a_path_shares_its_score(form, rescore, expected):
    keep, scores = form.seq_nms(*clip([(ONE, 0.9)], [(NEAR, 0.2)], [(ONE, 0.4)]), rescore)
    assert keep.tolist() == [0, 1, 2] and scores == pytest.approx(expected)


@pytest.mark.parametrize('form', [plain, native], ids=['numpy', 'native'])
def test_what_a_path_suppresses(form):
    # The second box of frame 0 overlaps the path's, the third does not, and has no link.
    keep, scores = form.seq_nms(*clip([(ONE, 0.9), (NEAR, 0.3), (FAR, 0.6)], [(ONE, 0.7)]))
    assert keep.tolist() == [0, 2, 3] and scores == pytest.approx([0.8, 0.6, 0.8])
    # Single boxes are paths, too, as long as some other boxes are linked.
    lonely = [(FAR, 0.9), ([202, 200, 241, 239], 0.1)]
    linked = [(ONE, 0.2)]
    keep, _ = form.seq_nms(*clip(lonely + linked, linked))
    assert keep.tolist() == [0, 2, 3]
    keep, _ = form.seq_nms(*clip(lonely, []))
    assert keep.tolist() == [0, 1], 'no links: nothing is taken'


@pytest.mark.parametrize('form', [plain, native], ids=['numpy', 'native'])
@pytest.mark.parametrize('frames', [[], [[]], [[], []], [[(ONE, 0.5)]]])
def test_degenerate_clips(form, frames):
    keep, scores = form.seq_nms(*clip(*frames))
    assert len(keep) == len(scores) == sum(map(len, frames))
    assert len(form.nms_of_frames(*clip(*frames), 0.3)) == len(keep)


def test_boxes_before_nms_are_those_that_nms_takes():
    rng = np.random.RandomState(0)
    for columns in (8, 24):
        corners = rng.uniform(0, (300, 200), (50, 2, 2))
        rois = np.hstack((corners.min(axis=1), corners.max(axis=1)))
        scores, deltas = rng.dirichlet(np.full(6, 0.3), 50), rng.randn(50, columns) * 0.4
        scores[3, 2], deltas[5, 4:] = np.nan, np.inf
        outputs = rois, scores, deltas, (200, 300, 1.5)
        boxes = ClipBoxes()
        boxes.add(frame_boxes.boxes_before_nms(*outputs, 0.05))
        for limit in (0, 20):
            found, = select(boxes, Selection(None, 0.3, limit, 0.05))
            expected = frame_boxes.frame_detections(*outputs, 0.05, 0.3, limit)
            np.testing.assert_array_equal(found, expected)
    outputs = rois, scores[:, :1], deltas[:, :4], (200, 300, 1)
    assert frame_boxes.boxes_before_nms(*outputs, 0).shape == (0, 6)


def filled(boxes, classes=3, frames=20):
    """`boxes`, a ClipBoxes, with the boxes of a made-up clip."""
    parts = [frames_of(*moving_boxes(label, frames, 30), label=label)
             for label in range(1, classes + 1)]
    for frame in zip(*parts):
        boxes.add(np.concatenate(frame))
    return boxes


def same_boxes(one, other):
    assert (one.length, one.labels()) == (other.length, other.labels())
    for label in one.labels():
        np.testing.assert_array_equal(one.of_class(label), other.of_class(label))


def test_what_is_beyond_memory_waits_on_disk(tmp_path):
    whole, spilled = filled(ClipBoxes()), filled(ClipBoxes(str(tmp_path), in_memory=2000))
    assert sum(len(part) for part in spilled._parts) * ROW.itemsize <= 2000 < sum(
        len(whole.of_class(label)) for label in whole.labels()) * ROW.itemsize
    same_boxes(whole, spilled)
    assert not len(spilled.of_class(7))
    spilled.close()


@pytest.mark.parametrize('in_memory', [1 << 20, 2000])
def test_saved_boxes_are_the_same(tmp_path, in_memory):
    boxes, path = filled(ClipBoxes(in_memory=in_memory)), str(tmp_path / 'clip.raw.npy')
    boxes.save(path)
    saved = SavedBoxes(path, boxes.length, 4)
    same_boxes(boxes, saved)
    for rescore in (None, 'avg', 'max'):
        selection = Selection(rescore, 0.3, 300, 1e-3)
        for one, other in zip(select(boxes, selection), select(saved, selection)):
            np.testing.assert_array_equal(one, other)
    empty = ClipBoxes()
    empty.add(np.empty((0, 6), np.float32))
    empty.save(path)
    assert [len(found) for found in select(SavedBoxes(path, 1, 4), selection)] == [0]


def write_rows(path, *rows):
    np.save(path, np.array(list(rows), ROW))


@pytest.mark.parametrize('write, message', [
    (lambda path: None, 'cannot read the boxes in .*clip.raw.npy'),
    (lambda path: open(path, 'wb').close(), 'cannot read the boxes in .*clip.raw.npy'),
    (lambda path: np.save(path, np.array([{}], object)), 'cannot read the boxes in .*clip.raw.npy'),
    (lambda path: open(path, 'wb').write(b"\x93NUMPY\x01\0\x0a\0{'shape': ("),
     'cannot read the boxes in .*clip.raw.npy'),
    (lambda path: np.save(path, np.zeros((3, 7))),
     'clip.raw.npy holds no boxes before NMS, as a test with TEST.SAVE_RAW writes them'),
    (lambda path: write_rows(path, (0, 4, .5, ONE)),
     'clip.raw.npy: classes must rise from 1 to at most 3'),
    (lambda path: write_rows(path, (0, 2, .5, ONE), (0, 1, .5, ONE)), 'classes must rise from 1'),
    (lambda path: write_rows(path, (0, 3, .5, ONE), (0, -2 ** 31, .5, ONE), (0, 3, .5, ONE)),
     'classes must rise from 1'),
    (lambda path: write_rows(path, (5, 1, .5, ONE)),
     'boxes of class 1 are not finite, or not of 5 frames in their order'),
    (lambda path: write_rows(path, (1, 1, .5, ONE), (0, 1, .5, ONE)),
     'not of 5 frames in their order'),
    (lambda path: write_rows(path, (0, 1, np.nan, ONE)), 'are not finite'),
], ids=['absent', 'empty', 'pickle', 'header', 'other', 'class', 'order', 'wrap', 'frame',
        'frames', 'nan'])
def test_damaged_files(tmp_path, write, message):
    path = str(tmp_path / 'clip.raw.npy')
    write(path)
    with pytest.raises(DataError, match=message):
        list(select(SavedBoxes(path, 5, 4), Selection('avg', 0.3, 300, 1e-3)))


def test_faint_boxes_take_no_part():
    boxes = ClipBoxes()
    for score in (0.9, 5e-4):
        boxes.add(np.array([[1, score, *ONE]], np.float32))
    ordinary, rescored = (list(select(boxes, Selection(rescore, 0.3, 300, 0.0)))
                          for rescore in (None, 'avg'))
    assert [len(frame) for frame in ordinary] == [1, 1]
    assert [frame[:, 1].tolist() for frame in rescored] == [[pytest.approx(0.9)], []]


def test_the_threshold_is_for_the_new_scores():
    boxes = ClipBoxes()
    for score in (0.9, 0.2, 0.85):
        boxes.add(np.array([[1, score, *ONE]], np.float32))
    found = list(select(boxes, Selection('avg', 0.3, 300, 0.6)))
    assert [frame[0, 1] for frame in found] == pytest.approx([0.65] * 3)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_boxes.tempfile, 'TemporaryFile',
                        lambda dir: open('/dev/full', 'r+b', buffering=0))
    message = 'cannot keep the boxes of a clip in %s: No space left' % tmp_path
    with pytest.raises(DataError, match=message):
        filled(ClipBoxes(str(tmp_path), in_memory=100))


def test_what_flickers_is_found(tmp_path):
    # An object is recognised well in every other frame; something looks like one for a frame.
    rng, boxes = np.random.RandomState(0), ClipBoxes()
    truth = np.array([[10 + 2 * t, 20, 49 + 2 * t, 59] for t in range(30)], np.float64)
    for t in range(30):
        corner = rng.uniform((150, 0), (400, 300))
        boxes.add(np.array([[1, 0.2 if t % 2 else 0.9, *truth[t] + rng.uniform(-2, 2, 4)],
                            [1, 0.5, *corner, *corner + 30]], np.float32))
    ground_truth = GroundTruth(np.arange(30), np.arange(31), truth, np.ones(30, np.int64))
    found = {}
    for rescore in (None, 'avg', 'max'):
        path = tmp_path / 'detections.txt'
        path.write_text(''.join(format_detections(t, rows) for t, rows in enumerate(
            select(boxes, Selection(rescore, 0.3, 300, 1e-3)))))
        found[rescore] = evaluate(ground_truth, str(path), ['background', 'thing']).mean_ap
    assert found[None] < 0.85 and found['avg'] == found['max'] == 1
