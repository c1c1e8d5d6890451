"""AP by speed, COCO's AP, and what an evaluation writes."""
import builtins
import csv
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from dff.errors import SetupError
from lib.dataset.formats.classes import load_classes
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.evaluation.coco_eval import coco_ap
from lib.evaluation.motion import motion_iou, speeds
from lib.evaluation.vid_eval import GroundTruth, evaluate
from lib.evaluation.vid_eval_files import curve, write_csv, write_plots
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml

NAMES = ['__background__', 'cat', 'dog']


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    inner = max(width, 0) * max(height, 0)
    return inner / sum(((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)), -inner)


def test_motion_iou_agrees_with_a_loop():
    rng = np.random.RandomState(0)
    rows = sorted(set((clip, frame, track) for clip, frame, track in rng.randint(0, (3, 40, 4), (150, 3)).tolist()))
    clips, frames, tracks = np.array(rows).T
    corner = rng.randint(0, 20, (len(rows), 2))
    boxes = np.hstack([corner, corner + rng.randint(10, 30, (len(rows), 2))]).astype(float)
    tracks = tracks - 1
    expected = []
    for i, (clip, frame, track) in enumerate(zip(clips, frames, tracks)):
        others = [j for j in range(len(rows)) if j != i and clips[j] == clip and tracks[j] == track
                  and abs(frames[j] - frame) <= 10]
        expected.append(np.mean([iou(boxes[i], boxes[j]) for j in others]) if others and track >= 0 else np.nan)
    found = motion_iou(clips, frames, tracks, boxes)
    assert np.isnan(expected).any() and (~np.isnan(expected)).sum() > 50
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_speeds():
    assert speeds(np.array([0.95, 0.9, 0.7, 0.69, np.nan])).tolist() == [0, 1, 1, 2, -1]
    assert speeds(np.array([np.nan])) is None
    assert speeds(motion_iou(*np.zeros((2, 1), int), np.array([-1]), np.zeros((1, 4)))) is None


def test_ap_by_speed_leaves_out_objects_of_other_speeds(tmp_path):
    """Two slow objects and one fast one: ranks 1 slow, 2 fast, 3 nothing, 4 slow."""
    boxes = np.array([[0, 0, 99, 99], [200, 0, 299, 99], [400, 0, 499, 99.0]])
    truth = GroundTruth(np.array([1]), np.array([0, 3]), boxes, np.array([1, 1, 1]), np.array([0, 2, 0], np.int8))
    (tmp_path / 'd.txt').write_text('1 1 0.9 0 0 99 99\n1 1 0.8 200 0 299 99\n1 1 0.7 600 0 699 99\n'
                                    '1 1 0.6 400 0 499 99\n')
    result = evaluate(truth, str(tmp_path / 'd.txt'), NAMES)
    assert result.speeds['slow'].ap['cat'] == pytest.approx((1 + 2 / 3) / 2)     # without the fast one: hit, false, hit
    assert result.speeds['fast'].ap['cat'] == pytest.approx(1)
    assert result.speeds['medium'].mean_ap is None and result.speeds['slow'].ap['dog'] is None
    assert result.lines()[-4:] == ['Mean AP@0.5 of slow objects = 0.8333 (motion IoU > 0.9, 2 boxes)',
                                   'Mean AP@0.5 of medium objects = none (motion IoU 0.7 to 0.9, 0 boxes)',
                                   'Mean AP@0.5 of fast objects = 1.0000 (motion IoU < 0.7, 1 boxes)',
                                   'Mean AP@0.5 = 0.4583']


@pytest.fixture
def clip(tmp_path):
    """(data set, detections file): 12 frames with a standing cat and a running dog, found nearly;
    track ids are texts."""
    folder = DatasetFolder(tmp_path / 'clips ü')
    folder.image_set('VID_val_videos', 'v 1 0 12')
    lines = []
    for i in range(12):
        objects = [object_xml('cat', 5, 5, 24, 24, '<trackid>a</trackid>'),
                   object_xml('dog', 2 + 4 * i, 20, 11 + 4 * i, 34, '<trackid>7</trackid>')]
        folder.image('VID', 'v/%06d' % i, annotation(*objects))
        lines += ['%d 1 0.9 5 5 24 %d' % (i + 1, 24 + i % 3),
                  '%d 2 0.%d %d 20 %d 34' % (i + 1, 9 - i % 5, 3 + 4 * i, 11 + 4 * i)]
    (tmp_path / 'd.txt').write_text('\n'.join(lines))
    (folder.path / 'classes.txt').write_text('cat\ndog\n')
    return ImageNetVID('VID_val_videos', str(folder.path), load_classes(['cat', 'dog']),
                       str(tmp_path / 'cache')), str(tmp_path / 'd.txt')


def test_speeds_of_a_data_set(clip):
    dataset, file = clip
    for _ in range(2):       # the second time from the cache
        result = dataset.evaluate(file)
        assert {name: of.ground_truths for name, of in result.speeds.items()} == {'slow': 12, 'medium': 0, 'fast': 12}
        assert result.speeds['slow'].ap['dog'] is None and result.speeds['fast'].ap['dog'] == result.ap['dog'] == 1
    assert result.as_dict()['speeds']['fast'] == {'mean_ap': 1.0, 'ap': {'cat': None, 'dog': 1.0}, 'ground_truths': 12}


def test_objects_of_different_clips_are_different(tmp_path):
    folder = DatasetFolder(tmp_path / 'data')
    folder.image_set('VID_val_videos', 'v 1 0 1', 'w 2 0 1')
    for name in 'vw':
        folder.image('VID', name + '/000000', annotation(object_xml('cat', 5, 5, 24, 24, '<trackid>0</trackid>')))
    dataset = ImageNetVID('VID_val_videos', str(folder.path), load_classes(['cat']))
    (tmp_path / 'd.txt').write_text('')
    lines = dataset.evaluate(str(tmp_path / 'd.txt')).lines()
    assert 'no AP by speed: no object has a track id and a second box within 10 frames' in lines


def test_coco(clip):
    pytest.importorskip('pycocotools', reason='optional: requirements-coco.txt')
    dataset, file = clip
    truth = dataset.ground_truth()
    found = coco_ap(truth, file, dataset.classes)
    assert found['AP50'] == 1 and found['classes']['cat'] > 0.8
    assert found['AP'] == pytest.approx(np.mean(list(found['classes'].values())))
    # The dog is 9 of 10 pixels wide: IoU 0.9, a hit for the thresholds 0.5 to 0.9 of the ten.
    assert found['classes']['dog'] == pytest.approx(0.9)
    assert coco_ap(truth, file, dataset.classes, (1, 1))['classes'] == {'cat': pytest.approx(1),
                                                                        'dog': pytest.approx(0.9)}


def test_coco_takes_the_best_100_of_a_frame(tmp_path):
    pytest.importorskip('pycocotools', reason='optional: requirements-coco.txt')
    truth = GroundTruth(np.array([1, 2]), np.array([0, 1, 2]), np.array([[0, 0, 99, 99], [0, 0, 99, 99.0]]),
                        np.array([1, 1]))
    lines = ['1 1 0.5%03d 500 500 520 520' % i for i in range(99)] + ['1 1 0.3 0 0 99 99', '2 1 0.2 0 0 99 99',
                                                                      '9 1 0.9 0 0 9 9']
    for missing, expected in ((0, True), (1, False)):       # the hundredth counts, the next does not
        (tmp_path / 'd.txt').write_text('\n'.join(lines + ['1 1 0.4 500 500 520 520'] * missing))
        assert (coco_ap(truth, str(tmp_path / 'd.txt'), NAMES)['AP50'] > 0.01) == expected


def test_coco_is_optional(clip, monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith('pycocotools'):
            raise ImportError(name)
        return original(name, *arguments, **named)
    monkeypatch.setattr(builtins, '__import__', without)
    dataset, file = clip
    with pytest.raises(SetupError,
                       match='COCO-style AP needs pycocotools, .*python -m pip install -r requirements-coco.txt'):
        coco_ap(dataset.ground_truth(), file, dataset.classes)


def test_table_and_plots(clip, tmp_path):
    dataset, file = clip
    result = dataset.evaluate(file)
    result.ap, result.ranks, result.ground_truths = ({'a/b $x': item['cat'], 'dog': item['dog'], 'none': nothing}
                                                     for item, nothing in (
        (result.ap, None), (result.ranks, np.empty(0, int)), (result.ground_truths, 0)))
    paths = write_plots(result, str(tmp_path / 'plots'))
    assert [os.path.basename(path) for path in paths] == ['all.png', '001_a_b_x.png', '002_dog.png']
    assert all(os.path.getsize(path) > 5000 for path in paths)
    write_csv(dataset.evaluate(file), str(tmp_path / 'r.csv'))
    with open(str(tmp_path / 'r.csv'), encoding='utf-8', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert [row['class'] for row in rows] == ['cat', 'dog', 'mean'] and list(rows[0]) == [
        'class', 'ap', 'ground_truths', 'detections', 'ap_slow', 'ap_medium', 'ap_fast']
    assert (rows[0]['ground_truths'], rows[0]['ap_slow'], rows[0]['ap_fast'],
            rows[2]['detections']) == ('12', '1.0', '', '24')


def test_curve():
    recall, precision = curve(np.array([1, 3]), 4)
    assert recall.tolist() == [0, 0.25, 0.5] and precision.tolist() == [1, 1, 2 / 3]
    assert [part.tolist() for part in curve(np.array([], int), 4)] == [[0], [0]]


@pytest.mark.slow
def test_command(clip, root, tmp_path):
    dataset, file = clip
    options = ['--json', str(tmp_path / 'r.json'), '--csv', str(tmp_path / 'r.csv'), '--plots', str(tmp_path / 'plots')]
    command = [sys.executable, str(root / 'tools' / 'evaluate_vid.py'), '--dataset', dataset.path, '--detections', file,
               '--classes', dataset.path + '/classes.txt', '--image_set', 'VID_val_videos']
    done = subprocess.run(command + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode, done.stderr) == (0, '3 plots in %s\n' % (tmp_path / 'plots'))
    assert done.stdout.splitlines()[2] == 'Mean AP@0.5 of slow objects = 1.0000 (motion IoU > 0.9, 12 boxes)'
    with open(str(tmp_path / 'r.json')) as stream:
        assert list(itertools.islice(json.load(stream)['speeds'], 2)) == ['slow', 'medium']
    done = subprocess.run(command + ['--csv', '/proc/none/r.csv'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    assert done.returncode == 2 and done.stderr.startswith('error: cannot write /proc/none')
    assert 'Mean AP' in done.stdout
