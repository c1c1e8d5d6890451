"""The key/current loop and the loop over batches, with fake networks."""
import numpy as np
import pytest

from dff.frames import Frame
from dff.loop import batch_loop, key_frame_loop
from dff.networks import Outputs
from dff.schedule import MismatchSchedule, Schedule


class FakeNetworks:
    """Records which network ran on which frame, with which key frame."""

    def __init__(self, mismatches=None):
        self.calls, self.mismatches = [], mismatches or {}

    def key(self, frame):
        self.calls.append(('key', frame.image))
        return Outputs('outputs'), frame.image

    def current(self, frame, state):
        self.calls.append(('current', frame.image, state))
        return Outputs('outputs', self.mismatches.get(frame.image, 0.0))


def fake_frames(sizes):
    return [Frame(index, np.empty((1, 3, size, size)), None) for index, size in enumerate(sizes)]


def run_loop(sizes, interval, lookahead=0):
    return run_schedule(sizes, Schedule(interval, lookahead))


def run_schedule(sizes, schedule, mismatches=None):
    networks = FakeNetworks(mismatches)
    results = list(key_frame_loop(fake_frames(sizes), schedule, networks, lambda values, frame: frame.image))
    return networks.calls, results


def test_key_frames_are_frame_0_and_every_interval_th():
    calls, results = run_loop([8] * 8, 3)
    assert calls == [('key', 0), ('current', 1, 0), ('current', 2, 0), ('key', 3), ('current', 4, 3), ('current', 5, 3),
                     ('key', 6), ('current', 7, 6)]
    assert [result.is_key for result in results] == [True, False, False, True, False, False, True, False]
    assert [result.index for result in results] == [result.detections for result in results] == list(range(8))


def test_interval_1_never_runs_the_current_network():
    calls, _ = run_loop([8] * 4, 1)
    assert calls == [('key', i) for i in range(4)]


def test_a_new_size_starts_a_new_key_frame():
    calls, _ = run_loop([8, 8, 6, 6, 6, 8], 3)
    assert calls == [('key', 0), ('current', 1, 0), ('key', 2), ('current', 3, 2), ('current', 4, 2), ('key', 5)]


def test_with_lookahead_the_middle_frame_of_an_interval_is_its_key_frame():
    calls, results = run_loop([8] * 10, 4, lookahead=2)
    assert calls == [('key', 2), ('current', 0, 2), ('current', 1, 2), ('current', 3, 2), ('key', 6), ('current', 4, 6),
                     ('current', 5, 6), ('current', 7, 6), ('key', 9), ('current', 8, 9)]
    assert [result.index for result in results] == [result.detections for result in results] == list(range(10))
    assert [result.index for result in results if result.is_key] == [2, 6, 9]


@pytest.mark.parametrize('length, key', [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 5), (9, 5)])
def test_with_lookahead_the_end_of_a_clip_has_a_key_frame_of_its_own(length, key):
    calls, results = run_loop([8] * (10 + length), 10, lookahead=5)
    assert [call[1] for call in calls if call[0] == 'key'] == [5, 10 + key]
    assert [result.index for result in results] == list(range(10 + length))


def test_with_lookahead_a_new_size_starts_a_new_interval():
    calls, results = run_loop([8, 8, 6, 6, 6, 6, 6, 8], 4, lookahead=2)
    assert calls == [('key', 1), ('current', 0, 1), ('key', 4), ('current', 2, 4), ('current', 3, 4), ('current', 5, 4),
                     ('key', 6), ('key', 7)]
    assert [result.index for result in results] == list(range(8))


def test_no_more_frames_are_read_than_the_key_frame_needs():
    read = []

    def reading():
        for frame in fake_frames([8] * 30):
            read.append(frame.image)
            yield frame
    networks = FakeNetworks()
    for result in key_frame_loop(reading(), Schedule(10, 5), networks, lambda values, frame: None):
        assert len(read) <= result.index + 6


def test_every_loop_starts_with_a_key_frame():
    assert run_loop([8] * 2, 5)[0] == run_loop([8] * 2, 5)[0] == [('key', 0), ('current', 1, 0)]
    assert run_loop([], 5) == ([], [])


def seconds_of(frames, schedule):
    """[(reading, network, post)] where reading a frame takes 1 second, a key network 10,
    the other 4 and post-processing 2."""
    now = [0.0]

    def spend(seconds, value):
        now[0] += seconds
        return value

    class Networks:
        def key(self, frame):
            return spend(10, (Outputs('outputs'), None))

        def current(self, frame, state):
            return spend(4, Outputs('outputs', 1.0))
    results = key_frame_loop((spend(1, frame) for frame in fake_frames([8] * frames)), schedule, Networks(),
                             lambda values, frame: spend(2, None), clock=lambda: now[0])
    return [tuple(result.seconds) for result in results]


def test_seconds_are_split_between_reading_network_and_post_processing():
    assert seconds_of(3, Schedule(2)) == [(1, 10, 2), (1, 4, 2), (1, 10, 2)]


def test_waiting_for_the_middle_frame_is_reading():
    assert seconds_of(3, Schedule(3, 1)) == [(2, 4, 2), (0, 10, 2), (1, 4, 2)]


def test_a_frame_that_does_not_follow_the_flow_becomes_a_key_frame():
    calls, results = run_schedule([8] * 8, MismatchSchedule(3, 10.0), {2: 11.0, 3: 11.0})
    # Counting starts anew: the next key frame is three after frame 3.
    assert [result.is_key for result in results] == [True, False, True, True, False, False, True, False]
    assert calls[-1] == ('current', 7, 6) and calls[2:4] == [('current', 2, 0), ('key', 2)]


def test_a_refused_frame_costs_both_networks():
    assert seconds_of(2, MismatchSchedule(5, 0.5)) == [(1, 10, 2), (1, 14, 2)]


def test_mismatches_add_up_since_the_key_frame():
    calls, _ = run_schedule([8] * 7, MismatchSchedule(10, 10.0), {1: 4.0, 2: 4.0, 3: 4.0, 4: 4.0, 5: 4.0, 6: 4.0})
    assert [call[1] for call in calls if call[0] == 'key'] == [0, 3, 6]


def test_one_loop_leaves_no_trace_in_the_next():
    schedule = MismatchSchedule(10, 10.0)
    first = run_schedule([8] * 3, schedule, {2: 9.0})[0]
    assert run_schedule([8] * 3, schedule, {2: 9.0})[0] == first == [('key', 0), ('current', 1, 0), ('current', 2, 0)]


def test_batches_are_cut_at_the_end_and_at_a_new_size():
    groups = []

    def run_batch(frames):
        groups.append([frame.image for frame in frames])
        return ['outputs'] * len(frames)
    results = list(batch_loop(fake_frames([8] * 5 + [6] * 2), 3, run_batch, lambda outputs, frame: frame.image))
    assert groups == [[0, 1, 2], [3, 4], [5, 6]]
    assert [result.index for result in results] == list(range(7))
    assert [result.is_key for result in results] == [True, False, False, True, False, True, False]


class TwoSidedNetworks(FakeNetworks):
    """Records frames between two key frames, too."""

    def between(self, frame, state, other, share):
        self.calls.append(('between', frame.image, state, other, share))
        return Outputs('outputs')


def both_sides(sizes, interval):
    """(calls, results) with the policy both."""
    networks = TwoSidedNetworks()
    schedule = Schedule(interval, interval // 2, both_sides=True)
    results = list(key_frame_loop(fake_frames(sizes), schedule, networks, lambda values, frame: frame.image))
    return networks.calls, results


def test_frames_between_two_key_frames_take_both():
    calls, results = both_sides([8] * 10, 4)
    assert calls == [
        ('key', 2), ('current', 0, 2), ('current', 1, 2), ('key', 6), ('between', 3, 2, 6, 0.25),
        ('between', 4, 6, 2, 0.5), ('between', 5, 6, 2, 0.25), ('key', 9), ('between', 7, 6, 9, 1 / 3),
        ('between', 8, 9, 6, 1 / 3)]
    assert [result.index for result in results] == [result.detections for result in results] == list(range(10))
    middle = run_loop([8] * 10, 4, lookahead=2)[1]
    assert [result.is_key for result in results] == [result.is_key for result in middle]


@pytest.mark.parametrize('length', list(range(1, 24)))
@pytest.mark.parametrize('interval', [2, 3, 10])
def test_both_sides_have_the_key_frames_of_middle(length, interval):
    calls, results = both_sides([8] * length, interval)
    keys = [call[1] for call in calls if call[0] == 'key']
    assert keys == [result.index for result in run_loop([8] * length, interval, interval // 2)[1] if result.is_key]
    others = sorted(call[1] for call in calls if call[0] != 'key')
    assert others == sorted(set(range(length)) - set(keys)) and len(results) == length
    for kind, *given in calls:
        inside = [key for key in keys if given and keys[0] < given[0] < keys[-1]]
        assert kind != 'current' or not inside, 'a frame between two key frames takes both'
        if kind == 'between':
            frame, own, other, share = given
            near = max(key for key in keys if key < frame), min(key for key in keys if key > frame)
            assert sorted((own, other)) == list(near) and share == abs(frame - own) / (near[1] - near[0])


def test_no_feature_of_another_size_is_taken():
    calls, _ = both_sides([8, 8, 8, 6, 6, 6, 6, 6, 6], 4)
    assert calls == [('key', 2), ('current', 0, 2), ('current', 1, 2), ('key', 5), ('current', 3, 5),
                     ('current', 4, 5), ('key', 8), ('between', 6, 5, 8, 1 / 3), ('between', 7, 8, 5, 1 / 3)]


def test_no_more_frames_are_read_than_the_next_key_frame_needs():
    read = []

    def reading():
        for frame in fake_frames([8] * 40):
            read.append(frame.image)
            yield frame
    loop = key_frame_loop(reading(), Schedule(10, 5, both_sides=True), TwoSidedNetworks(), lambda values, frame: None)
    for result in loop:
        next_key = 5 if result.index <= 5 else -(-(result.index - 5) // 10) * 10 + 5
        assert len(read) <= next_key + 1


def test_key_frames_are_told_of_the_one_before():
    class Recursive(TwoSidedNetworks):
        joins_key_frames = True

        def key(self, frame, before):
            self.calls.append(('key', frame.image, before))
            return Outputs('outputs'), 'state%d' % frame.image

    def keys(sizes, schedule):
        networks = Recursive()
        for _ in range(2):      # nothing is left from clip to clip
            networks.calls = []
            list(key_frame_loop(fake_frames(sizes), schedule, networks, lambda values, frame: None))
        return [call for call in networks.calls if call[0] == 'key']
    assert keys([8] * 5, Schedule(2)) == [('key', 0, None), ('key', 2, 'state0'), ('key', 4, 'state2')]
    assert keys([8, 8, 8, 6, 6], Schedule(1)) == [
        ('key', 0, None), ('key', 1, 'state0'), ('key', 2, 'state1'), ('key', 3, None), ('key', 4, 'state3')]
    assert keys([8] * 7, Schedule(4, 2, both_sides=True)) == [('key', 2, None), ('key', 6, 'state2')]
    assert keys([8] * 3, MismatchSchedule(9, -1.0)) == [('key', 0, None), ('key', 1, 'state0'), ('key', 2, 'state1')]
