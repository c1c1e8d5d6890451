"""The figures behind a report: kinds of error, what they cost, AP by size, speed, clip and camera."""
import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.formats.records import Clip
from lib.evaluation import detections as detections_module
from lib.evaluation.error_costs import COSTS, error_costs
from lib.evaluation.groups import by_frames, by_size, by_speed, clip_names, clip_of_frames, read_cameras
from lib.evaluation.outcomes import KINDS, outcomes
from lib.evaluation.vid_eval import GroundTruth, evaluate
from lib.report.facts import best_score, choose

NAMES = ['bg', 'cat', 'dog']


def truth_of(*rows, frames=1, first=1):
    """GroundTruth of (frame from 0, class, x1, y1, x2, y2) in order of frames."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    offsets = np.searchsorted(table[:, 0], np.arange(frames + 1))
    return GroundTruth(np.arange(first, first + frames), offsets, table[:, 2:], table[:, 1].astype(np.int64))


def write(tmp_path, *rows):
    path = tmp_path / 'detections.txt'
    path.write_text(''.join('%d %d %.4f %.2f %.2f %.2f %.2f\n' % row for row in rows))
    return str(path)


def random_test(tmp_path, seed, frames=40, classes=3):
    """A GroundTruth and a file of detections, some near objects, of scores that often tie."""
    rng = np.random.RandomState(seed)
    rows, found = [], []
    for frame in range(frames):
        for _ in range(rng.randint(0, 4)):
            corner, size = rng.uniform(0, 100, 2), rng.uniform(5, 120, 2)
            rows.append((frame, rng.randint(1, classes), *corner, *(corner + size)))
            for _ in range(rng.randint(0, 4)):
                box = np.array(rows[-1][2:]) + rng.normal(0, 0.15, 4) * [*size, *size]
                label = rows[-1][1] if rng.rand() < 0.7 else rng.randint(1, classes)
                found.append((frame + 1, label, round(rng.rand(), 1), *box))
        for _ in range(rng.randint(0, 3)):
            corner = rng.uniform(0, 200, 2)
            found.append((frame + 1, rng.randint(1, classes), round(rng.rand(), 1), *corner, *(corner + 20)))
    truth = truth_of(*rows, frames=frames)
    truth.speeds = rng.randint(-1, 3, len(rows)).astype(np.int8)
    rng.shuffle(found)
    return truth, write(tmp_path, *found)


def kinds_of(found, c=1):
    return [KINDS[kind] for kind in found.classes[c].kinds]


@pytest.mark.parametrize('box, label, expected', [
    ((100, 100, 199, 199), 1, 'hit'), ((100, 100, 199, 199), 2, 'class'),
    ((150, 100, 249, 199), 1, 'place'),            # IoU 1/3
    ((150, 100, 249, 199), 2, 'both'), ((190, 190, 289, 289), 1, 'background'),      # IoU 0.005
    ((300, 300, 350, 350), 1, 'background')])
def test_the_kind_of_a_detection(tmp_path, box, label, expected):
    truth = truth_of((0, 1, 100, 100, 199, 199))
    found = outcomes(truth, write(tmp_path, (1, label, 0.9, *box)), NAMES)
    assert kinds_of(found, label) == [expected]
    assert found.found.tolist() == [expected == 'hit']
    assert found.missed.tolist() == [expected in ('both', 'background')], 'an error of class or place is near it'


def test_a_double_is_the_worse_of_two(tmp_path):
    truth = truth_of((0, 1, 100, 100, 199, 199))
    found = outcomes(truth, write(tmp_path, (1, 1, 0.3, 100, 100, 199, 199), (1, 1, 0.8, 101, 100, 199, 199),
                                  (7, 1, 0.9, 0, 0, 9, 9)), NAMES)
    assert kinds_of(found) == ['hit', 'double'] and found.classes[1].scores.tolist() == [0.8, 0.3]
    assert found.ignored == 1


def test_what_each_kind_costs(tmp_path):
    """Four cats: one hit at .5 behind a wrong box at .9, one misplaced, one named dog, one missed."""
    cats = [(0, 1, x, 0, x + 99, 99) for x in (0, 200, 400, 600)]
    truth = truth_of(*cats)
    file = write(tmp_path, (1, 1, 0.9, 0, 500, 50, 550), (1, 1, 0.5, 0, 0, 99, 99),
                 (1, 1, 0.4, 250, 0, 349, 99), (1, 2, 0.3, 400, 0, 499, 99))
    costs = error_costs(outcomes(truth, file, NAMES), truth.classes)
    assert costs.ap == [None, 0.125, None]            # 1 / 2 at a quarter of the objects
    gain = {name: values[1] for name, values in costs.gains.items()}
    assert gain['background'] == pytest.approx(1 / 4 - 0.125)      # the hit is the first
    assert gain['place'] == pytest.approx((2 / 3 + 2 / 3) / 4 - 0.125)
    # Wrong, hit, wrong, then the mended one: 1/2 and 2/4
    assert gain['class'] == pytest.approx((1 / 2 + 1 / 2) / 4 - 0.125)
    assert gain['missed'] == pytest.approx(1 / 2 / 3 - 0.125)
    assert gain['double'] == gain['both'] == 0
    assert gain['false'] == pytest.approx(1 / 4 - 0.125) and gain['unfound'] == pytest.approx(1 / 2 - 0.125)
    assert costs.mean(costs.gains['place']) == gain['place'], 'no dog is there: it does not count'


def test_only_the_best_of_several_is_mended_and_none_where_a_hit_is(tmp_path):
    truth = truth_of((0, 1, 0, 0, 99, 99), (0, 1, 300, 0, 399, 99))
    file = write(tmp_path, (1, 1, 0.9, 0, 0, 99, 99), (1, 1, 0.8, 50, 0, 149, 99),
                 (1, 1, 0.6, 350, 0, 449, 99), (1, 1, 0.5, 345, 0, 444, 99), (1, 2, 0.7, 0, 0, 99, 99))
    found = outcomes(truth, file, NAMES)
    assert kinds_of(found) == ['hit', 'place', 'place', 'place'] and kinds_of(found, 2) == ['class']
    costs = error_costs(found, truth.classes)
    assert costs.ap[1] + costs.gains['place'][1] == 1.0      # hit, then the mended one at .6; the others gone
    assert costs.gains['class'][1] == 0


def test_all_missed_costs_everything(tmp_path):
    truth = truth_of((0, 1, 0, 0, 99, 99))
    costs = error_costs(outcomes(truth, write(tmp_path), NAMES), truth.classes)
    assert costs.ap[1] == 0 and costs.gains['missed'][1] == costs.gains['unfound'][1] == 1


@pytest.mark.parametrize('seed', range(4))
def test_ap_agrees_with_the_evaluation(tmp_path, monkeypatch, seed):
    truth, file = random_test(tmp_path, seed)
    if seed % 2:
        monkeypatch.setattr(detections_module, 'BLOCK', 300)      # a frame's lines in several blocks
    expected, found = evaluate(truth, file, NAMES), outcomes(truth, file, NAMES)
    costs = error_costs(found, truth.classes)
    assert costs.ap[1:] == list(expected.ap.values())
    for part, speed in zip(by_speed(found, truth), expected.speeds.values()):
        assert part.ap == {c: speed.ap[NAMES[c]] for c in (1, 2) if speed.ap[NAMES[c]] is not None}
        assert part.ground_truths == speed.ground_truths
    # Mending something never costs; a part of the false ones not more than all of them.
    for name in COSTS:
        for c in (1, 2):
            assert costs.gains[name][c] >= -1e-12, name
    for name in ('both', 'double', 'background'):
        assert all(costs.gains[name][c] <= costs.gains['false'][c] + 1e-12 for c in (1, 2))


@pytest.mark.parametrize('seed', range(2))
def test_ap_of_a_clip_is_that_of_its_frames_alone(tmp_path, seed):
    truth, file = random_test(tmp_path, seed)
    clips = [Clip('val/a', 'a/%06d', 1, 25), Clip('val/b', 'b/%06d', 26, 15)]
    found = outcomes(truth, file, NAMES)
    parts = by_frames(found, truth, clip_names(clips), clip_of_frames(clips, truth.frames))
    for part, numbers in zip(parts, ((1, 25), (26, 40))):
        alone = evaluate(truth, file, NAMES, numbers)
        assert part.ap == {c: alone.ap[NAMES[c]] for c in (1, 2) if alone.ground_truths[NAMES[c]]}
    assert sum(part.ground_truths for part in parts) == len(truth.boxes)


def test_ap_by_size_leaves_others_out(tmp_path):
    truth = truth_of((0, 1, 0, 0, 11, 11), (0, 1, 100, 0, 199, 99))
    file = write(tmp_path, (1, 1, 0.9, 300, 300, 399, 399), (1, 1, 0.8, 0, 0, 11, 11), (1, 1, 0.7, 100, 0, 199, 99))
    found = {part.name: part for part in by_size(outcomes(truth, file, NAMES), truth)}
    assert found['below 16 pixels'].ap == {1: 1.0}, 'the large wrong box is none of its'
    assert found['96 and more pixels'].ap == {1: 0.5}
    assert found['16 to 32 pixels'].mean_ap is None and found['16 to 32 pixels'].ground_truths == 0


def test_cameras_by_a_file(tmp_path):
    names = 'val/PETS1', 'val/PETS2', 'val/street', 'val/x'
    clips = [Clip(name, 'x/%06d', 10 * i, 10) for i, name in enumerate(names)]
    file = tmp_path / 'cameras.txt'
    file.write_text('park PETS*\n\nshop val/street\n')
    found, of = read_cameras(str(file), clips)
    assert [found[i] for i in of] == ['park', 'park', 'shop', 'val/x']
    for content, message in (('park', 'line 1: expected `camera pattern ...`'),
                             ('a PETS*\nb PETS2', 'line 2: clip val/PETS2 is of camera a already'),
                             ('a none*', "line 1: no clip fits 'none\\*'; there is for instance val/PETS1")):
        file.write_text(content)
        with pytest.raises(DataError, match=message):
            read_cameras(str(file), clips)
    with pytest.raises(DataError, match='cannot read the cameras .*nothing: No such file'):
        read_cameras(str(tmp_path / 'nothing'), clips)


def test_parts_of_one_video_have_names_of_their_own():
    clips = [Clip('v', 'v/%06d', 0, 5), Clip('v', 'v/%06d', 5, 5, 100), Clip('w', 'w/%06d', 10, 5)]
    assert clip_names(clips) == ['v from frame 0', 'v from frame 100', 'w']
    assert clip_of_frames(clips, np.array([12, 0, 4, 5])).tolist() == [2, 0, 0, 1]


def test_the_score_of_best_f1_and_what_it_finds(tmp_path):
    truth = truth_of((0, 1, 0, 0, 99, 99), (0, 2, 200, 0, 299, 99), (0, 1, 400, 0, 499, 99))
    file = write(tmp_path, (1, 1, 0.9, 0, 0, 99, 99), (1, 1, 0.8, 200, 0, 299, 99), (1, 2, 0.7, 200, 0, 299, 99),
                 (1, 1, 0.2, 600, 0, 699, 99), (1, 1, 0.1, 400, 0, 499, 99))
    found = outcomes(truth, file, NAMES)
    assert best_score(found, truth) == 0.1            # 2 * 3 / (5 + 3) against 2 * 2 / (3 + 3)
    chosen = choose(found, truth, 0.5)
    assert chosen.found.tolist() == [True, True, False]
    assert chosen.wrong.tolist() == [1] and chosen.missed.tolist() == [1]
    # The dog taken for a cat was found as a dog as well: the cat of it found no object of its own.
    assert chosen.confusion.tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert choose(found, truth, 0.75).confusion.tolist() == [[0, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert best_score(outcomes(truth, write(tmp_path), NAMES), truth) == 0
