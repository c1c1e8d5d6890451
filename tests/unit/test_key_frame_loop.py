"""The key/current loop and the loop over batches, with fake networks."""
import numpy as np
import pytest

from lib.inference.networks import Key
from lib.inference.predictor import Frame, batch_loop, key_frame_loop


class FakeNetworks:
    """Records which network ran on which frame, with which key frame."""

    def __init__(self):
        self.calls = []

    def key(self, frame):
        self.calls.append(('key', frame.image))
        return 'outputs', Key(frame.tensor, frame.image)

    def current(self, frame, key):
        self.calls.append(('current', frame.image, key.feature))
        return 'outputs'


def fake_frames(sizes):
    return [Frame(index, np.empty((1, 3, size, size)), None) for index, size in enumerate(sizes)]


def run_loop(sizes, interval, **options):
    networks = FakeNetworks()
    results = list(key_frame_loop(fake_frames(sizes), interval, networks.key, networks.current, lambda outputs, frame: frame.image, **options))
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
    assert calls == [('key', 2), ('current', 0, 2), ('current', 1, 2), ('current', 3, 2), ('key', 6), ('current', 4, 6), ('current', 5, 6),
                     ('current', 7, 6), ('key', 9), ('current', 8, 9)]
    assert [result.index for result in results] == [result.detections for result in results] == list(range(10))
    assert [result.index for result in results if result.is_key] == [2, 6, 9]


@pytest.mark.parametrize('length, key', [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 5), (9, 5)])
def test_with_lookahead_the_end_of_a_clip_has_a_key_frame_of_its_own(length, key):
    calls, results = run_loop([8] * (10 + length), 10, lookahead=5)
    assert [call[1] for call in calls if call[0] == 'key'] == [5, 10 + key]
    assert [result.index for result in results] == list(range(10 + length))


def test_with_lookahead_a_new_size_starts_a_new_interval():
    calls, results = run_loop([8, 8, 6, 6, 6, 6, 6, 8], 4, lookahead=2)
    assert calls == [('key', 1), ('current', 0, 1), ('key', 4), ('current', 2, 4), ('current', 3, 4), ('current', 5, 4), ('key', 6), ('key', 7)]
    assert [result.index for result in results] == list(range(8))


def test_no_more_frames_are_read_than_the_key_frame_needs():
    read = []

    def reading():
        for frame in fake_frames([8] * 30):
            read.append(frame.image)
            yield frame
    networks = FakeNetworks()
    for result in key_frame_loop(reading(), 10, networks.key, networks.current, lambda outputs, frame: None, lookahead=5):
        assert len(read) <= result.index + 6


def test_every_loop_starts_with_a_key_frame():
    assert run_loop([8] * 2, 5)[0] == run_loop([8] * 2, 5)[0] == [('key', 0), ('current', 1, 0)]
    assert run_loop([], 5) == ([], [])


def seconds_of(frames, interval, **options):
    """[(reading, network, post)] where reading a frame takes 1 second, a key network 10, the other 4 and post-processing 2."""
    now = [0.0]

    def spend(seconds, value):
        now[0] += seconds
        return value
    results = key_frame_loop((spend(1, frame) for frame in fake_frames([8] * frames)), interval,
                             lambda frame: spend(10, ('outputs', Key(frame.tensor, None))), lambda frame, key: spend(4, 'outputs'),
                             lambda outputs, frame: spend(2, None), lambda: now[0], **options)
    return [tuple(result.seconds) for result in results]


def test_seconds_are_split_between_reading_network_and_post_processing():
    assert seconds_of(3, 2) == [(1, 10, 2), (1, 4, 2), (1, 10, 2)]


def test_waiting_for_the_middle_frame_is_reading():
    assert seconds_of(3, 3, lookahead=1) == [(2, 4, 2), (0, 10, 2), (1, 4, 2)]


def test_a_frame_that_the_current_network_refuses_becomes_a_key_frame():
    networks = FakeNetworks()

    def run_current(frame, key):
        return None if frame.image in (2, 3) else networks.current(frame, key)
    results = list(key_frame_loop(fake_frames([8] * 8), 3, networks.key, run_current, lambda outputs, frame: frame.image))
    # Counting starts anew: the next key frame is three after frame 3.
    assert [result.is_key for result in results] == [True, False, True, True, False, False, True, False]
    assert networks.calls[-1] == ('current', 7, 6)


def test_batches_are_cut_at_the_end_and_at_a_new_size():
    groups = []

    def run_batch(frames):
        groups.append([frame.image for frame in frames])
        return ['outputs'] * len(frames)
    results = list(batch_loop(fake_frames([8] * 5 + [6] * 2), 3, run_batch, lambda outputs, frame: frame.image))
    assert groups == [[0, 1, 2], [3, 4], [5, 6]]
    assert [result.index for result in results] == list(range(7))
    assert [result.is_key for result in results] == [True, False, False, True, False, True, False]
