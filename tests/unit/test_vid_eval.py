"""Evaluation: the recorded example, the rules one by one, and the files it reads."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.formats.classes import load_classes
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.evaluation import detections as detections_module
from lib.evaluation.detections import Detections, read_detections
from lib.evaluation.vid_eval import GroundTruth, average_precision, evaluate
from lib.evaluation.vid_match import TruthIndex, join_pairs, match, ranks
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml
from tests.helpers.marks import slow

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


@pytest.fixture
def two_frames(tmp_path):
    """A data set of two frames, a cat in each, and a function that writes detections."""
    folder = DatasetFolder(tmp_path / 'a folder')
    folder.image_set('VID_val_videos', 'v 1 0 2')
    folder.image_set('VID_val_frames', 'v/000001 2')
    for i in range(2):
        folder.image('VID', 'v/%06d' % i, annotation(object_xml('cat', 1, 2, 30, 20)))
    (folder.path / 'classes.txt').write_text('cat\ndog\n')

    def write(*lines):
        (tmp_path / 'detections.txt').write_text('\n'.join(lines))
        return str(tmp_path / 'detections.txt')
    return ImageNetVID('VID_val_videos', str(folder.path), load_classes(['cat', 'dog'])), write


def test_some_frames_only(two_frames):
    dataset, write = two_frames
    file = write('1 1 0.9 1 2 30 20', '2 1 0.8 50 2 59 20', '2 2 0.8 50 2 59 20')
    assert dataset.evaluate(file).mean_ap == 0.5
    first = dataset.evaluate(file, numbers=(1, 1))
    assert (first.ap['cat'], first.frames, first.ignored, first.detections['cat']) == (1.0, 1, 2, 1)
    assert '2 detections are of frames that are not evaluated' in first.lines()
    assert dataset.evaluate(file, numbers=(2, 9)).ap == {'cat': 0.0, 'dog': None}
    listed = ImageNetVID('VID_val_frames', dataset.path, load_classes(['cat', 'dog'])).evaluate(file)
    assert listed.as_dict() == dataset.evaluate(file, numbers=(2, 2)).as_dict()
    with pytest.raises(DataError,
                       match='nothing to evaluate: no box of a listed class in the 0 frames numbered 5 to 9'):
        dataset.evaluate(file, numbers=(5, 9))


def test_classes_without_ground_truth_are_named(two_frames):
    dataset, write = two_frames
    for line, expected in (('1 2 0.9 1 2 30 20', 'no ground truth, left out of the mean, having detections: dog'),
                           ('1 1 0.9 1 2 30 20', 'no ground truth, counted as 0, having no detections: dog')):
        assert expected in dataset.evaluate(write(line)).lines()


def test_an_empty_file_is_no_detection(two_frames):
    dataset, write = two_frames
    assert dataset.evaluate(write()).mean_ap == 0


@pytest.mark.parametrize('line, expected', [
    ('1 1 0.9 1 2 30', "expected 'frame_number class_index score x1 y1 x2 y2', found '1 1 0.9 1 2 30'"),
    ('1 1 0.9 1 2 30 20 5', 'expected '),
    ('1 1 0.9 1 2 30 20,5', 'expected '),
    ('1 1 high 1 2 30 20', 'expected '),
    ('1 1 nan 1 2 30 20', 'expected '),
    ('1 1 0.9 1 2 inf 20', 'expected '),
    ('1.5 1 0.9 1 2 30 20', 'expected '),
    ('-1 1 0.9 1 2 30 20', 'expected '),
    ('1 3 0.9 1 2 30 20', 'class index 3 is not one of 1 to 2, the classes of the class list; found '),
    ('1 0 0.9 1 2 30 20', 'class index 0 is not one of 1 to 2'),
])
@pytest.mark.parametrize('block', [20, 1 << 20])
def test_malformed_detections(two_frames, monkeypatch, line, expected, block):
    dataset, write = two_frames
    monkeypatch.setattr(detections_module, 'BLOCK', block)
    with pytest.raises(DataError) as error:
        dataset.evaluate(write('1 1 0.9 1 2 30 20', '1 1 0.8 1 2 30 20', line, '1 1 0.7 1 2 30 20'))
    assert 'detections.txt, line 3: ' + expected in str(error.value)


def test_a_short_and_a_long_line_do_not_make_up_for_each_other(two_frames):
    dataset, write = two_frames
    with pytest.raises(DataError, match='detections.txt, line 1: expected'):
        dataset.evaluate(write('1 1 0.9 1 2 30', '20 1 1 0.8 1 2 30 20'))


def test_other_white_space_and_number_forms(two_frames):
    dataset, write = two_frames
    expected = read_detections(write('1 1 0.9 1 2 30 20', '2 1 0.25 1 2 30 20'), 3)
    found = read_detections(write('1\t1  0.9 1e0 2 30. 20\r', '', ' 2 1.0 2.5e-1 +1 2 30 20 '), 3)
    assert all((a == b).all() for a, b in zip(expected[1], found[1])) and len(found[2].frames) == 0


def test_missing_detections(two_frames):
    with pytest.raises(DataError, match='cannot read the detections file none.txt: No such file'):
        two_frames[0].evaluate('none.txt')


def run_tool(root, *arguments):
    return subprocess.run([sys.executable, str(root / 'tools' / 'evaluate_vid.py')] + list(arguments),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                          cwd=os.path.dirname(DATA))


def test_command_line(two_frames, root, tmp_path):
    dataset, write = two_frames
    file = write('1 1 0.9 1 2 30 20', '2 2 0.8 50 2 59 20')
    common = ['--detections', file, '--image_set', 'VID_val_videos']
    done = run_tool(root, '--dataset', dataset.path, '--classes', dataset.path + '/classes.txt',
                    '--json', str(tmp_path / 'out' / 'r.json'), *common)
    assert done.stderr == '' and done.returncode == 0
    assert done.stdout.splitlines()[0] == 'AP for cat = 0.5000'
    assert done.stdout.splitlines()[-1] == 'Mean AP@0.5 = 0.5000'
    with open(str(tmp_path / 'out' / 'r.json')) as stream:
        assert json.load(stream) == {'mean_ap': 0.5, 'ap': {'cat': 0.5, 'dog': None},
                                     'ground_truths': {'cat': 2, 'dog': 0}, 'detections': {'cat': 1, 'dog': 1},
                                     'frames': 2, 'ignored_detections': 0}
    settings = 'dataset:\n  dataset_path: "%s"\n  root_path: "%s"\n  CLASSES: [cat, dog]\n  NUM_CLASSES: 3\n'
    (tmp_path / 'x.yaml').write_text(settings % (dataset.path, tmp_path))
    done = run_tool(root, '--cfg', str(tmp_path / 'x.yaml'), '--detections', file, '--numbers', '1-1')
    assert done.stdout.splitlines()[0] == 'AP for cat = 1.0000'


@pytest.mark.parametrize('arguments, expected', [
    ([], 'give either --cfg FILE.yaml or --dataset FOLDER'),
    slow(['--dataset', 'x'], '--dataset needs --image_set, for instance VID_val_videos'),
    slow(['--cfg', 'x.yaml', '--classes', 'c'],
         '--classes goes with --dataset; with --cfg, dataset.CLASSES says the classes'),
    slow(['--cfg', 'x.yaml', '--numbers', '9-1'], "--numbers: expected FIRST-LAST, as in 51-101; found '9-1'"),
])
def test_command_line_errors(root, arguments, expected):
    done = run_tool(root, '--detections', 'd.txt', *arguments)
    assert (done.returncode, done.stderr) == (2, 'error: %s\n' % expected)
