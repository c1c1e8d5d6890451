"""The key/current loop of Deep Feature Flow (arXiv 1611.07715, algorithm 1), with its clock.

The heavy network runs on key frames, on all others the light one with what the key frame left. Which frame is which, a
dff.schedule.Schedule says; what the networks are, dff.networks.Networks.
"""
import itertools
import time
from collections import deque
from typing import Any, Callable, Deque, Iterable, Iterator, List, Optional

from dff.frames import Frame
from dff.networks import Networks
from dff.results import Detected, Seconds
from dff.schedule import Schedule


def key_frame_loop(frames: Iterable[Frame], schedule: Schedule, networks: Networks, post_process: Callable,
                   result: Callable = Detected, clock: Callable[[], float] = time.perf_counter,
                   follow: Optional[Callable] = None) -> Iterator[Any]:
    """Yield a `result` for each Frame of the clip `frames`, in order.

    Args:
        frames: of one clip.
        schedule: says which are key frames; it is restarted.
        networks: key(frame) -> (Outputs, state), current(frame, state) -> Outputs.
        post_process: (values of the Outputs, frame) -> the third field of the result.
        result: Detected, or another type with its five fields.
        clock: seconds.
        follow: a dff.tracking.follow.Follower, which gives the detections ids; None: they get none.
    """
    def timed(function, *arguments):
        start = clock()
        return function(*arguments), clock() - start

    schedule.restart()
    waiting: Deque[Frame] = deque()
    frames, key_frame, index = iter(frames), None, 0
    while True:
        start = clock()
        frame = waiting.popleft() if waiting else next(frames, None)
        if frame is None:
            return
        begins = schedule.begins(frame.tensor.shape)
        if begins:
            key_frame = _look_ahead(frame, waiting, frames, schedule)
        reading = clock() - start
        if begins:
            (key_outputs, state), key_seconds = timed(networks.key, key_frame)
        flow = None
        if frame is key_frame:
            outputs, seconds = key_outputs, key_seconds
        else:
            outputs, seconds = timed(networks.current, frame, state)
            flow = outputs.flow
            if not schedule.accepts(outputs.mismatch):
                key_frame = frame
                (outputs, state), key_seconds = timed(networks.key, frame)
                seconds += key_seconds
        found, post = timed(post_process, outputs.values, frame)
        is_key, more = frame is key_frame, {}
        if follow is not None:
            more['track_ids'], following = timed(follow, found, frame, begins, flow, is_key)
            post += following
        yield result(index, frame.image, found, is_key, Seconds(reading, seconds, post), **more)
        index += 1


def _look_ahead(first: Frame, waiting: Deque[Frame], frames: Iterator[Frame], schedule: Schedule) -> Frame:
    """The key frame of the interval that begins with `first`; frames that must be read for it go into `waiting`."""
    count = schedule.lookahead
    while len(waiting) < count:
        frame = next(frames, None)
        if frame is None:
            break
        waiting.append(frame)
        if frame.tensor.shape != first.tensor.shape:
            break
    alike = itertools.takewhile(lambda frame: frame.tensor.shape == first.tensor.shape,
                                itertools.islice(waiting, count))
    usable = [first, *alike]
    return usable[schedule.key_place(len(usable))]


def batch_loop(frames: Iterable[Frame], size: int, run_batch: Callable, post_process: Callable,
               has_current: bool = True,
               clock: Callable[[], float] = time.perf_counter) -> Iterator[Detected]:
    """Yield a Detected for each Frame of the clip `frames`, computed in batches.

    Args:
        frames: of one clip.
        size: frames of a batch, at most; all of a batch have one size.
        run_batch: [frame] -> [values] of each.
        post_process: (values, frame) -> detections.
        has_current: only the first frame of a batch is a key frame.
        clock: seconds.
    """
    index = 0
    groups = _groups(frames, size)
    while True:
        start = clock()
        group = next(groups, None)
        if group is None:
            return
        read = clock()
        batch = run_batch(group)
        computed = clock()
        detections = [post_process(values, frame) for values, frame in zip(batch, group)]
        ends = (start, read, computed, clock())
        seconds = Seconds(*((end - begin) / len(group) for begin, end in zip(ends, ends[1:])))
        for position, frame in enumerate(group):
            yield Detected(index, frame.image, detections[position], position == 0 or not has_current, seconds)
            index += 1


def _groups(frames: Iterable[Frame], size: int) -> Iterator[List[Frame]]:
    """Lists of up to `size` consecutive frames of one shape."""
    group: List[Frame] = []
    for frame in frames:
        if group and (len(group) == size or frame.tensor.shape != group[0].tensor.shape):
            yield group
            group = []
        group.append(frame)
    if group:
        yield group
