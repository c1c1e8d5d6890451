"""The loop over windows: which frames are joined for which, where clips begin and end and sizes change."""
import itertools

import numpy as np
import pytest

from dff.frames import Frame
from dff.loop import window_loop
from dff.networks import Outputs


def clip(sizes):
    """Frames numbered in their images, of the given sizes."""
    return [Frame(np.full((1, 1, 3), number, np.uint8), np.zeros((1, 3) + size), np.ones((1, 3)))
            for number, size in enumerate(sizes)]


class Recording:
    """Networks whose Outputs are the numbers of the frames in the window, sorted, and that of the frame itself."""

    def __init__(self, places):
        self.window, self.computed = [None] * places, []

    def put(self, place, frame):
        self.computed.append(int(frame.image[0, 0, 0]))
        self.window[place] = frame

    def repeat(self, place, source):
        self.window[place] = self.window[source]

    def join(self, place):
        assert len({frame.tensor.shape for frame in self.window}) == 1
        numbers = [int(frame.image[0, 0, 0]) for frame in self.window]
        return Outputs((sorted(numbers), numbers[place]))


def wanted(start, end, frame, reach):
    """The window of `frame` in a run of frames from `start` to `end`."""
    return sorted(min(max(number, start), end - 1) for number in range(frame - reach, frame + reach + 1))


@pytest.mark.parametrize('length', [1, 2, 3, 4, 5, 6, 12, 25])
@pytest.mark.parametrize('reach', [1, 2, 5, 9])
def test_every_frame_has_its_window(reach, length):
    networks = Recording(2 * reach + 1)
    results = list(window_loop(clip([(8, 8)] * length), reach, networks, lambda values, frame: values))
    assert [result.detections for result in results] == [(wanted(0, length, i, reach), i) for i in range(length)]
    assert [result.index for result in results] == list(range(length)) and all(result.is_key for result in results)
    assert networks.computed == list(range(length))      # each once, and no frame of an earlier clip is left
    again = list(window_loop(clip([(8, 8)] * 2), reach, networks, lambda values, frame: values))
    assert [result.detections for result in again] == [(wanted(0, 2, i, reach), i) for i in range(2)]


def test_a_change_of_size_ends_one_clip_and_begins_another():
    sizes = [(8, 8)] * 4 + [(8, 16)] + [(8, 8)] * 3
    results = list(window_loop(clip(sizes), 2, Recording(5), lambda values, frame: values))
    runs = [(0, 4)] * 4 + [(4, 5)] + [(5, 8)] * 3
    assert [result.detections for result in results] == [(wanted(*run, i, 2), i) for i, run in enumerate(runs)]


def test_no_frame_gives_no_result():
    assert list(window_loop([], 3, Recording(7), lambda values, frame: values)) == []


def test_frames_are_read_no_farther_than_the_window_reaches():
    read = []

    def frames():
        for frame in clip([(8, 8)] * 20):
            read.append(frame)
            yield frame
    for result in window_loop(frames(), 3, Recording(7), lambda values, frame: values):
        assert len(read) == min(20, result.index + 4)


def test_the_time_is_shared_out():
    ticks = itertools.count()
    networks = Recording(3)
    results = list(window_loop(clip([(8, 8)] * 3), 1, networks, lambda values, frame: values,
                               clock=lambda: float(next(ticks))))
    # the first frame waits for two to be read and computed, each others for one; the last for none
    assert [result.seconds.reading for result in results] == [2, 1, 1]
    assert [result.seconds.network for result in results] == [3, 2, 2]
    assert all(result.seconds.post == 1 for result in results)


def test_detections_get_ids():
    calls = []

    def follow(found, frame, begins, flow, is_key):
        calls.append((begins, flow, is_key))
        return np.arange(3)
    results = list(window_loop(clip([(8, 8)] * 2), 1, Recording(3), lambda values, frame: values, follow=follow))
    assert calls == [(True, None, True)] * 2 and results[0].track_ids.tolist() == [0, 1, 2]
