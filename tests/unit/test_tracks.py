"""Track ids: by overlap from frame to frame, along the flow within an interval."""
import numpy as np
import pytest

from dff.frames import InputFormat, prepare
from dff.loop import key_frame_loop
from dff.networks import Outputs
from dff.schedule import MismatchSchedule, Schedule
from dff.tracking.follow import Follower, only_above
from dff.tracking.motion import STEADY, Courses, box_displacements, continued, predicted
from dff.tracking.tracker import Tracker, TrackRules, best_pairs, rules_for


def box(x, y=50, size=40, label=1, score=0.9):
    """One row of detections."""
    return [label, score, x, y, x + size - 1, y + size - 1]


def run(tracker, *frames, **options):
    """The ids of each frame, lists."""
    return [tracker.update(np.array(frame, float).reshape(-1, 6), **options).tolist()
            for frame in frames]


def test_objects_keep_their_ids():
    assert run(Tracker(), [box(0), box(200)], [box(204), box(4)], [box(8), box(208)]) == \
        [[1, 2], [2, 1], [1, 2]]


def test_classes_do_not_mix():
    assert run(Tracker(), [box(0, label=1)], [box(0, label=2)], [box(0, label=1)]) == \
        [[1], [2], [1]]


def test_weak_detections_carry_a_track_on_and_start_none():
    rows = [box(0, score=0.9)], [box(2, score=0.15)], [box(2, score=0.15), box(300, score=0.2)]
    assert run(Tracker(), *rows) == [[1], [1], [1, 0]]
    assert run(Tracker(rules_for(0.12)), *rows)[2] == [1, 2], 'every detection shown has an id'
    assert run(Tracker(), [box(0)], [box(0, score=0.05)]) == [[1], [0]]


def test_confident_detections_choose_first():
    weak_on_the_spot, confident_near = box(0, score=0.2), box(8, score=0.8)
    assert run(Tracker(), [box(0)], [weak_on_the_spot, confident_near]) == [[1], [0, 1]]


@pytest.mark.parametrize('gap,again', [(30, 1), (31, 2)])
def test_memory(gap, again):
    rows = [[box(0)]] + [[]] * gap + [[box(1)]]
    assert run(Tracker(TrackRules(memory=30)), *rows)[-1] == [again]


def test_a_clip_of_its_own():
    tracker = Tracker()
    run(tracker, [box(0)])
    tracker.restart()
    assert run(tracker, [box(0)]) == [[2]]


def test_nothing_and_nonsense():
    assert run(Tracker(), [], [box(np.nan)], []) == [[], [1], []]


def test_fast_objects_are_followed_along_the_flow():
    """They move by their own width each frame: without the flow nothing overlaps."""
    steps = [0, 40, 80, 120]
    tracker, ids = Tracker(), []
    for step in steps:
        ids += run(tracker, [box(step), box(step, y=200)], begins=step == 0,
                   displacement=np.array([[-step, 0], [-step, 0]]))
    assert ids == [[1, 2]] * 4
    assert run(Tracker(), *[[box(step)] for step in steps]) == [[1], [2], [3], [4]]


def test_crossing_objects():
    """Two that move through each other: the flow tells them apart where their boxes coincide."""
    tracker, ids = Tracker(), []
    for t in range(5):
        a, b = box(20 * t), box(80 - 20 * t)
        ids += run(tracker, [a, b], begins=t == 0,
                   displacement=np.array([[-20 * t, 0], [20 * t, 0]]))
    assert ids == [[1, 2]] * 5


def test_a_flow_that_errs_loses_nobody():
    """The flow of one frame points elsewhere; the boxes lie where they were in the frame before."""
    tracker, ids = Tracker(), []
    for t, wrong in enumerate((0, 0, 300, 0)):
        ids += run(tracker, [box(10 * t), box(200 + 10 * t)], begins=t == 0,
                   displacement=np.array([[-10 * t + wrong, 0], [-10 * t - wrong, 0]]))
    assert ids == [[1, 2]] * 4


def test_confident_detections_may_have_moved_far():
    """17 of 40 pixels leave an overlap of 0.4; one that overlaps more goes first."""
    assert run(Tracker(), [box(0)], [box(17)]) == [[1], [1]]
    assert run(Tracker(), [box(0)], [box(26, y=60), box(-5, y=40)]) == [[1], [2, 1]]
    assert run(Tracker(), [box(0)], [box(17), box(0, score=0.2)]) == [[1], [1, 0]], 'before weak ones'
    assert run(Tracker(), [box(0)], [box(23, score=0.2)]) == [[1], [0]], '0.27'
    assert run(Tracker(), [box(0)], [box(26)], [box(53)]) == [[1], [1], [1]], '0.21, then as before'
    assert run(Tracker(), [box(0)], [box(27)]) == [[1], [2]], '0.19'


def test_scores_that_begin_a_track_and_that_go_on_with_one():
    middling = box(0, score=0.55)
    assert run(Tracker(), [middling]) == [[0]]
    assert run(Tracker(), [box(0, score=0.6)], [middling]) == [[1], [1]]
    assert run(Tracker(rules_for(0.5)), [middling]) == [[1]]


def test_a_lost_object_is_found_where_its_line_goes_on():
    """It moves 10 pixels a frame, and is seen again 5 frames, more than its width, later; another one stands
    where it was last.
    """
    seen = [[box(10 * t)] for t in range(6)]
    assert run(Tracker(), *seen, [], [], [], [], [box(100)])[-1] == [1]
    assert run(Tracker(), *seen, [], [], [], [], [box(100), box(50)])[-1] == [1, 2]


@pytest.mark.parametrize('begins,jump,again', [
    ((True, False, False, True), 70, 1), ((True, False, False, True), 90, 2), ((True, False, False, False), 70, 2),
    ((True, True, True, True), 70, 2), ((True, False, False, None, True), 70, 2)])
def test_boxes_that_jump_at_a_new_key_frame(begins, jump, again):
    """A network's flow of nothing leaves them where they were in the key frame before; box size is 40."""
    tracker, ids, still = Tracker(), [], np.zeros((1, 2))
    for place, first in enumerate(begins):
        rows = [box(jump if place == len(begins) - 1 else 0)] if first is not None else []
        ids += run(tracker, rows, begins=bool(first), displacement=still[:len(rows)])
    assert ids[-1] == [again], 'three times as large they share 50 and 30 of 120 columns'


def test_walkers_behind_each_other_keep_their_ids():
    """At each step the second is nearer to where the first was than the first itself."""
    frames = [[box(12 * t), box(12 * t - 60)] for t in range(4)] + [[], []]
    frames += [[box(12 * t - 60), box(12 * t)] for t in range(6, 8)]
    assert run(Tracker(), *frames)[-2:] == [[2, 1], [2, 1]]


class TestDoubles:
    """Second boxes on an object that has a track: by a fifth of the smaller one, or more."""

    ONE, SECOND, BESIDE = box(0), box(30), box(34)

    def test_that_come_and_go_have_no_id(self):
        assert run(Tracker(), [self.ONE], [self.ONE, self.SECOND], [self.ONE], [self.ONE, self.SECOND]) == \
            [[1], [1, 0], [1], [1, 0]]
        assert run(Tracker(), [self.ONE, self.SECOND]) == [[1, 0]], 'none of both has a track yet'
        assert run(Tracker(), [box(0, score=0.7), self.SECOND]) == [[0, 2]], 'the better one has it'

    def test_that_stay_are_objects(self):
        ids = run(Tracker(), *[[self.ONE, self.SECOND]] * 5)
        assert ids == [[1, 0]] * 3 + [[1, 2]] * 2, 'found again in three frames'

    def test_others_are_none(self):
        assert run(Tracker(), [self.ONE, self.BESIDE]) == [[1, 2]], '0.15'
        assert run(Tracker(), [self.ONE, box(30, label=2)]) == [[1, 2]], 'of another class'

    def test_every_detection_shown_has_an_id(self):
        assert run(Tracker(rules_for(0.5)), *[[self.ONE, self.SECOND]] * 5) == [[1, 2]] * 5

    def test_a_weak_one_carries_no_track_on(self):
        frames = [self.ONE, box(60)], [box(4), box(30, score=0.3)]
        assert run(Tracker(), *frames) == [[1, 2], [1, 0]]
        assert run(Tracker(), frames[0], [box(4), box(62, score=0.3)])[1] == [1, 2], 'it stands free'


def test_a_course_is_the_line_of_least_squares():
    """Of up to STEADY boxes; then the newest counts for more than there."""
    boxes = np.random.RandomState(3).rand(STEADY, 1, 4) * 20 + [0, 0, 40, 80]
    course = Courses(boxes[0], np.zeros((1, 2)), np.ones(1, np.int64))
    for box_ in boxes[1:]:
        course = continued(course, box_, np.ones(1, np.int64))
    times, centres = np.arange(STEADY), (boxes[:, 0, :2] + boxes[:, 0, 2:]) / 2
    slope, start = np.polyfit(times, centres, 1)
    assert course.speeds[0] == pytest.approx(slope)
    found = predicted(course, np.array([3]))[0]
    assert (found[:2] + found[2:]) / 2 == pytest.approx(start + slope * (STEADY + 2))
    assert course.seen.tolist() == [STEADY]
    for step in range(60):
        course = continued(course, np.array([[6.0 * step] * 4]), np.ones(1, np.int64))
    assert course.speeds[0] == pytest.approx([6, 6], abs=0.01), 'old boxes fade'


def test_an_object_that_was_lost_in_the_middle_of_an_interval():
    tracker = Tracker()
    run(tracker, [box(0)])
    assert run(tracker, [], begins=False, displacement=np.empty((0, 2))) == [[]]
    assert run(tracker, [box(80)], begins=False, displacement=np.array([[-80, 0]])) == [[1]]
    assert run(tracker, [box(90)]) == [[1]], 'the next key frame compares with the frame before'


def test_best_pairs():
    shared = np.array([[0.9, 0.8], [0.85, 0.1], [0.0, 0.5]])
    assert best_pairs(shared, 0.5) == [[0, 0], [2, 1]]
    assert best_pairs(np.zeros((2, 0)), 0.5) == []


def test_displacements():
    flow = np.zeros((2, 10, 20), np.float32)
    flow[:, 2:5, 4:8] = np.array([1.5, -0.5])[:, None, None]
    boxes = [[64, 32, 127, 79], [256, 0, 300, 60], [310, 150, 2000, 3000], [-50, -50, -40, -40]]
    found = box_displacements(np.array(boxes), flow, 1.0)
    assert found.tolist() == [[24, -8], [0, 0], [0, 0], [0, 0]]
    half = box_displacements(np.array(boxes[:1]) / 2, flow, 2.0)
    assert half.tolist() == [[12, -4]], 'the frame is half as large as the input'
    assert box_displacements(np.empty((0, 4)), flow, 1.0).shape == (0, 2)


SPEED = 48       # pixels a frame, more than a box is wide


class MovingNetworks:
    """A box that moves SPEED pixels a frame to the right; the frame's first pixel holds its number."""

    def __init__(self, mismatch=None):
        self._mismatch = mismatch

    def key(self, frame):
        number = int(frame.image[0, 0, 0])
        return Outputs(number), number

    def current(self, frame, state):
        number = int(frame.image[0, 0, 0])
        flow = np.zeros((2, 20, 40), np.float32)
        flow[0] = (state - number) * SPEED / 16
        return Outputs(number, self._mismatch, flow)


@pytest.mark.parametrize('schedule,mismatch', [
    (Schedule(4), None), (Schedule(4, 2), None), (MismatchSchedule(4, 5.0), 3.0)])
def test_ids_in_the_loop_by_every_policy(schedule, mismatch):
    frames = [np.full((320, 640, 3), t, np.uint8) for t in range(4)]
    form = InputFormat((320, 640), 0, (0, 0, 0))
    boxes = lambda number, frame: np.array([box(number * SPEED)], np.float32)
    results = list(key_frame_loop([prepare(frame, form) for frame in frames], schedule,
                                  MovingNetworks(mismatch), boxes, follow=Follower(Tracker())))
    assert [result.track_ids.tolist() for result in results] == [[1]] * 4
    if mismatch is not None:
        assert [result.is_key for result in results] == [True, False, True, False], '3 + 3 > 5'
    assert only_above(results[0], 0.95).track_ids.tolist() == []
