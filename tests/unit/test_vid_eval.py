"""Evaluation: the recorded example, the rules one by one, and the files it reads."""
import json
import os

import numpy as np
import pytest

from lib.dataset.formats.classes import load_classes
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.evaluation import detections as detections_module
from lib.evaluation.detections import Detections, read_detections
from lib.evaluation.vid_eval import GroundTruth, average_precision, evaluate
from lib.evaluation.vid_match import TruthIndex, join_pairs, match, ranks
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'vid_eval.json')


@pytest.fixture(scope='module')
def example(tmp_path_factory):
    """(data set folder, detections file, recorded values): the recorded example, written out again."""
    with open(DATA, encoding='utf-8') as stream:
        recorded = json.load(stream)
    path = tmp_path_factory.mktemp('vid_eval')
    folder = DatasetFolder(path / 'data')
    folder.image_set('VID_val_videos', *recorded['videos'])
    frames = []
    for line in recorded['videos']:
        clip, first, _, length = line.split()
        frames += ['%s/%06d %d' % (clip, i, int(first) + i) for i in range(int(length))]
    folder.image_set('VID_val_frames', *frames)
    size = '<size><width>%d</width><height>%d</height></size>' % tuple(recorded['size'])
    for name, objects in recorded['annotations'].items():
        file = folder.path / 'Annotations' / 'VID' / (name + '.xml')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(annotation(*(object_xml(*values) for values in objects), size=size))
    (path / 'detections.txt').write_text('\n'.join(recorded['detections']) + '\n')
    return folder, str(path / 'detections.txt'), recorded


def agrees(result, recorded):
    assert list(result.ap.values()) == [None if ap is None else pytest.approx(ap, abs=1e-12)
                                        for ap in recorded['ap_per_class']]
    assert result.mean_ap == pytest.approx(recorded['mean_ap'], abs=1e-12)


@pytest.mark.parametrize('image_set', ['VID_val_videos', 'VID_val_frames'])
def test_recorded_example(example, image_set):
    folder, file, recorded = example
    result = ImageNetVID(image_set, str(folder.path), load_classes()).evaluate(file)
    agrees(result, recorded)
    lines = result.lines()
    assert lines[0] == 'AP for airplane = 0.4522' and lines[11] == 'AP for fox = nan'
    assert lines[-1] == 'Mean AP@0.5 = 0.3371'


def test_reference_folder(reference):
    with open(str(reference / 'vid_eval' / 'expected_ap.json')) as stream:
        expected = json.load(stream)
    dataset = ImageNetVID('VID_val_videos', str(reference / 'vid_eval'), load_classes())
    assert dataset.class_ids[1:] == expected['classes_wnid']
    agrees(dataset.evaluate(str(reference / 'vid_eval' / 'detections.txt')),
           {'ap_per_class': expected['ap_per_class'], 'mean_ap': expected['mean_ap_over_classes_with_ground_truth']})


def test_order_of_frames_and_blocks_change_nothing(example, tmp_path, monkeypatch):
    folder, file, recorded = example
    with open(file) as stream:
        lines = stream.read().splitlines()
    frames = np.array([int(line.split()[0]) for line in lines])
    shuffled = np.random.RandomState(0).permutation(frames.max() + 1)[frames]
    moved = [lines[i] for i in np.argsort(shuffled, kind='stable')]
    (tmp_path / 'moved.txt').write_text('\n'.join(moved))    # no newline at the end either
    monkeypatch.setattr(detections_module, 'BLOCK', 1000)
    agrees(ImageNetVID('VID_val_frames', str(folder.path), load_classes()).evaluate(str(tmp_path / 'moved.txt')),
           recorded)


def per_box_loop(truth, found, num_classes):
    """The rules as loops over single boxes: [(AP, ranks of the hits)] by class from 1."""
    rows = []
    for i in np.argsort(truth.frames):     # ties go by frame number, then by the order of the file
        own = range(truth.offsets[i], truth.offsets[i + 1])
        for c in range(1, num_classes):
            inside = np.flatnonzero(found[c].frames == truth.frames[i])
            taken = set()
            for k in inside[np.argsort(-found[c].scores[inside], kind='stable')]:
                x1, y1, x2, y2 = found[c].boxes[k]
                best, best_overlap = None, -1
                for j in own:
                    a1, b1, a2, b2 = truth.boxes[j]
                    width, height = min(x2, a2) - max(x1, a1) + 1, min(y2, b2) - max(y1, b1) + 1
                    if truth.classes[j] != c or j in taken or width <= 0 or height <= 0:
                        continue
                    w, h = a2 - a1 + 1, b2 - b1 + 1
                    overlap = width * height / ((x2 - x1 + 1) * (y2 - y1 + 1) + w * h - width * height)
                    if overlap >= min(0.5, w * h / ((w + 10) * (h + 10))) and overlap > best_overlap:
                        best, best_overlap = j, overlap
                taken.add(best)
                rows.append((c, -found[c].scores[k], best is not None))
    return [_ap_loop([hit for d, _, hit in sorted((row for row in rows if row[0] == c), key=lambda row: row[1])],
                     int((truth.classes == c).sum())) for c in range(1, num_classes)]


def _ap_loop(hits, positives):
    """(AP, ranks): the area under the highest precision at this recall or a larger one."""
    places = [place for place, hit in enumerate(hits, 1) if hit]
    if not positives:
        return (None if hits else 0.0), places
    precisions = [(i + 1) / place for i, place in enumerate(places)]
    return sum(max(precisions[i:]) for i in range(len(places))) / positives, places


@pytest.mark.parametrize('seed', range(12))
def test_agrees_with_a_loop_over_boxes(tmp_path, monkeypatch, seed):
    rng = np.random.RandomState(seed)
    frames = rng.randint(1, 40)
    counts = rng.randint(0, 7, frames)
    counts[0] += 1
    total = counts.sum()
    corners = rng.randint(0, 60, (total, 2))
    boxes = np.hstack([corners, corners + rng.randint(5, 50, (total, 2))]).astype(float)
    truth = GroundTruth(rng.permutation(frames) + 1, np.concatenate([[0], np.cumsum(counts)]), boxes,
                        rng.randint(1, 4, total))
    owners = np.repeat(truth.frames, counts)
    lines = []
    # near every box some detections, some of the wrong class; with one decimal, many equal scores
    for _ in range(rng.randint(0, 8)):
        for i in range(total):
            head = (owners[i], truth.classes[i] if rng.rand() < 0.8 else 2, 1 if seed % 2 else 4, rng.rand())
            lines.append('%d %d %.*f %.2f %.2f %.2f %.2f\n' % (head + tuple(boxes[i] + rng.normal(0, 4, 4))))
    if seed % 3:
        rng.shuffle(lines)                 # else by box
    (tmp_path / 'detections.txt').write_text(''.join(lines))
    monkeypatch.setattr(detections_module, 'BLOCK', [300, 5000, 1 << 20][seed % 3])
    if seed >= 6:                          # as where the compiled reader is not built
        monkeypatch.setattr(detections_module, '_parse', detections_module.parse_numpy)
    names = ['__background__', 'a', 'b', 'c', 'never']
    result = evaluate(truth, str(tmp_path / 'detections.txt'), names)
    expected = per_box_loop(truth, read_detections(str(tmp_path / 'detections.txt'), len(names)), len(names))
    assert list(result.ap.values()) == [None if ap is None else pytest.approx(ap, abs=1e-12) for ap, _ in expected]
    assert [places.tolist() for places in result.ranks.values()] == [places for _, places in expected]


def test_the_loop_is_no_trivial_example(tmp_path):
    truth = GroundTruth(np.array([1]), np.array([0, 2]), np.array([[0, 0, 9, 9], [50, 50, 59, 59.0]]), np.array([1, 1]))
    found = [None, Detections(np.array([1, 1, 1]), np.array([1, 1, 1]), np.array([0.5, 0.9, 0.7]),
                              np.array([[0, 0, 9, 9], [20, 20, 29, 29], [50, 50, 59, 59.0]]))]
    assert per_box_loop(truth, found, 2) == [(pytest.approx(2 / 3), [2, 3])]


def hits(truth, found, scores=None):
    """Hits, by falling score, of boxes in one frame."""
    truth, found = np.array(truth, float).reshape(-1, 4), np.array(found, float)
    scores = np.arange(len(found), 0, -1.0) if scores is None else np.array(scores)
    elsewhere = [[1000, 1000, 1009, 1009]]      # so that there is a box of the class
    index = TruthIndex(np.array([1]), np.ones(len(truth) + 1, int), np.vstack([truth, elsewhere]),
                       np.ones(len(truth) + 1, int), 2)
    shares, _ = index.shares(Detections(np.ones(len(found), np.int32), np.ones(len(found), np.int32), scores, found))
    places = ranks(match(join_pairs(shares[1:])), shares[1:])
    return np.isin(np.arange(1, len(found) + 1), places).tolist()


def test_matching_rules():
    box, other = [0, 0, 99, 99], [200, 200, 299, 299]
    assert hits([box], [box, box]) == [True, False]                        # a second detection of one box is false
    assert hits([box], [other, box], scores=[0.5, 0.9]) == [True, False]   # by score
    assert hits([box], [[0, 0, 99, 49]]) == [True]                         # IoU 0.5 is enough
    assert hits([box], [[0, 0, 99, 48]]) == [False]
    assert hits([], [box]) == [False]
    # The first detection takes the box it overlaps most, the second the one that is left.
    assert hits([[0, 0, 99, 99], [10, 0, 109, 99]], [[9, 0, 108, 99], [8, 0, 107, 99]]) == [True, True]
    # Where the best box is taken, the next best in reach counts.
    assert hits([[0, 0, 99, 99], [30, 0, 129, 99]], [[0, 0, 99, 99], [1, 0, 100, 99]]) == [True, True]


def test_small_boxes_may_be_off_by_pixels():
    assert hits([[0, 0, 9, 9]], [[5, 0, 14, 9]]) == [True]                 # 10x10: threshold 0.25, IoU 1/3
    assert hits([[0, 0, 9, 9]], [[7, 0, 16, 9]]) == [False]                # IoU 3/17


def test_average_precision():
    assert average_precision(np.array([1, 3]), 2) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision(np.array([2]), 4) == pytest.approx(0.25 * 0.5)
    assert average_precision(np.array([2, 3]), 2) == pytest.approx(2 / 3)     # a later, higher precision counts
    assert average_precision(np.array([], int), 3) == 0
