"""MOTA, ID switches, fragments and IDF1: by hand, by every assignment, and beside py-motmetrics."""
import itertools

import numpy as np
import pytest

from dff.errors import DataError
from dff.tracking.mot import mot_lines
from lib.evaluation.assignment import best_assignment
from lib.evaluation.track_eval import evaluate_tracks
from lib.evaluation.tracks_file import Tracks, read_tracks
from lib.evaluation.vid_eval import GroundTruth

CLASSES = ['__background__', 'cat', 'dog']


def truth_of(rows):
    """GroundTruth of [(frame, object, x, class)], boxes of 10 x 10 pixels."""
    rows = sorted(rows)
    frames = sorted({row[0] for row in rows})
    counts = [sum(row[0] == frame for row in rows) for frame in frames]
    return GroundTruth(np.array(frames), np.cumsum([0] + counts), boxes_at([row[2] for row in rows]),
                       np.array([row[3] for row in rows]), tracks=np.array([row[1] for row in rows]))


def boxes_at(xs):
    """10 x 10 boxes."""
    return np.array([[x, 0, x + 9, 9] for x in xs], float).reshape(-1, 4)


def tracks_of(rows):
    """Tracks of [(frame, id, x, class)]."""
    return Tracks(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]),
                  boxes_at([row[2] for row in rows]), np.array([row[3] for row in rows]))


def test_perfect_tracks():
    rows = [(frame, name, 100 * name + frame, 1) for frame in range(1, 6) for name in (1, 2)]
    total = evaluate_tracks(truth_of(rows), tracks_of(rows), CLASSES).total
    assert (total.idf1, total.mota, total.switches, total.fragments) == (1, 1, 0, 0)


def test_a_case_by_hand():
    """One cat in frames 1 to 6: id 7 in 1, 2; lost in 3; id 8 in 4, 5, 6. A false box in frame 2.

    Misses 1, false boxes 1, switches 1: MOTA 1 - 3/6. Of the ids 8 fits best, 3 frames: IDF1 2*3/(6+6).
    """
    truth = truth_of([(frame, 1, 0, 1) for frame in range(1, 7)])
    found = [(1, 7, 1, 1), (2, 7, 1, 1), (2, 9, 300, 1), (4, 8, 1, 1), (5, 8, 1, 1), (6, 8, 1, 1)]
    result = evaluate_tracks(truth, tracks_of(found + [(99, 8, 0, 1)]), CLASSES)
    assert (result.total.switches, result.total.fragments, result.ignored) == (1, 1, 1)
    assert result.total.mota == pytest.approx(0.5) and result.total.idf1 == pytest.approx(0.5)
    assert result.lines() == [
        'tracks of cat: IDF1 = 0.5000, MOTA = 0.5000, 1 ID switches, 1 fragments (6 boxes, 6 annotated)',
        '1 boxes of tracks are of frames that are not evaluated',
        'tracks of all classes: IDF1 = 0.5000, MOTA = 0.5000, 1 ID switches, 1 fragments (6 boxes, 6 annotated)']
    assert result.as_dict()['classes']['cat']['switches'] == 1


def test_who_was_matched_last_stays():
    """Id 2 fits better in frame 2, but id 1 still fits: no switch."""
    truth = truth_of([(1, 1, 0, 1), (2, 1, 0, 1)])
    total = evaluate_tracks(truth, tracks_of([(1, 1, 0, 1), (2, 1, 3, 1), (2, 2, 0, 1)]), CLASSES).total
    assert (total.switches, total.matches) == (0, 2)


def test_classes_are_apart_and_boxes_without_ids_are_objects():
    truth = truth_of([(1, 1, 0, 1), (2, -1, 0, 2)])
    result = evaluate_tracks(truth, tracks_of([(1, 1, 0, 2), (2, 1, 0, 2)]), CLASSES)
    assert result.classes['cat'].matches == 0 and result.classes['dog'].matches == 1
    with pytest.raises(DataError, match='have no track ids'):
        evaluate_tracks(truth_of([(1, -1, 0, 1)]), tracks_of([(1, 1, 0, 1)]), CLASSES)


def test_best_assignment_by_trying_all():
    random = np.random.RandomState(0)
    for shape in [(1, 1), (3, 3), (2, 5), (5, 2), (4, 4), (0, 3), (3, 0)] * 8:
        gain = random.rand(*shape) * (random.rand(*shape) > 0.4)
        rows, columns = best_assignment(gain)
        assert len(set(rows)) == len(set(columns)) == len(rows) and (gain[rows, columns] > 0).all()
        wide = gain if shape[0] <= shape[1] else gain.T
        most = max(sum(wide[row, column] for row, column in enumerate(order))
                   for order in itertools.permutations(range(wide.shape[1]), wide.shape[0]))
        assert gain[rows, columns].sum() == pytest.approx(most)


def random_clip(seed):
    """(truth rows, track rows) of a clip in which ids change, boxes are missing and others are false."""
    random = np.random.RandomState(seed)
    truth, found = [], []
    for name in range(1, 6):
        track = name
        for frame in range(1, 31):
            x = 40 * name + frame * (name - 3) * 1.7
            if random.rand() < 0.9:
                truth.append((frame, name, x, 1))
            if random.rand() < 0.07:
                track += 10
            if random.rand() < 0.8:
                found.append((frame, track, x + random.randint(-3, 4), 1))
    return truth, found + [(int(frame), 900 + int(frame), 777, 1) for frame in random.choice(30, 5, False) + 1]


@pytest.mark.parametrize('seed', range(5))
def test_beside_motmetrics(seed):
    motmetrics = pytest.importorskip('motmetrics', reason='not installed: pip install motmetrics')
    truth, found = random_clip(seed)
    own = evaluate_tracks(truth_of(truth), tracks_of(found), CLASSES).total
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in range(1, 31):
        rows, others = ([row for row in each if row[0] == frame] for each in (sorted(truth), found))
        distance = np.array([[1 - _overlap(a[2], b[2]) for b in others] for a in rows]).reshape(len(rows), len(others))
        distance[distance > 0.5] = np.nan
        accumulator.update([row[1] for row in rows], [row[1] for row in others], distance)
    names = ['idf1', 'mota', 'num_switches', 'num_fragmentations', 'num_objects', 'num_predictions']
    theirs = motmetrics.metrics.create().compute(accumulator, metrics=names, return_dataframe=False)
    assert own.idf1 == pytest.approx(theirs['idf1']) and own.mota == pytest.approx(theirs['mota'])
    assert (own.switches, own.fragments) == (theirs['num_switches'], theirs['num_fragmentations'])
    assert (own.objects, own.found) == (theirs['num_objects'], theirs['num_predictions'])


def _overlap(a, b):
    width = max(0.0, 10 - abs(a - b))
    return width / (20 - width)


def test_the_file(tmp_path):
    path = tmp_path / 'tracks.txt'
    rows = np.array([[2, 0.5, 3, 4, 12, 23], [1, 0.9, 0, 0, 9, 9]])
    path.write_text(mot_lines(4, rows, np.array([8, 0])) + '\n' + mot_lines(5, rows, np.array([8, 9])))
    tracks = read_tracks(str(path), 3)
    assert tracks.frames.tolist() == [4, 5, 5] and tracks.ids.tolist() == [8, 8, 9]
    assert tracks.boxes[0].tolist() == [3, 4, 12, 23] and tracks.classes.tolist() == [2, 2, 1]


@pytest.mark.parametrize('text,error', [
    ('1,1,2', 'line 1: expected frame,id,left,top,width,height,score,class; found 1,1,2'),
    ('1,1,0,0,5,5,1,3,-1', 'line 1: class 3 is none of 1 to 2'), ('1,1,nan,0,5,5,1,1', 'not finite'),
    ('1,-1,0,0,5,5,1,1,-1', 'no box in it has an id'), ('', 'no box in it has an id'),
    ('1,4,0,0,5,5,1,1,-1\n1,4,9,0,5,5,1,1,-1', 'id 4 is twice in frame 1')])
def test_a_bad_file(tmp_path, text, error):
    path = tmp_path / 'tracks.txt'
    path.write_text(text)
    with pytest.raises(DataError, match=error):
        read_tracks(str(path), 3)
    with pytest.raises(DataError, match='cannot read'):
        read_tracks(str(tmp_path / 'none.txt'), 3)
