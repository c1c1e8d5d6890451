"""Clips run through networks, with a clock: what runs on which frame.

The key/current loop of Deep Feature Flow (arXiv 1611.07715, algorithm 1) runs the heavy network on key frames, on all
others the light one with what the key frame left. Which frame is which, a dff.schedule.Schedule says; what the networks
are, dff.networks.Networks. The loop over windows (FGFA, arXiv 1703.10025, algorithm 1) runs the heavy network on every
frame, and joins the features of those around it; its networks are dff.networks.Windowed.
"""
import itertools
import time
from collections import deque
from typing import Any, Callable, Deque, Iterable, Iterator, List, Optional, Tuple

from dff.frames import Frame
from dff.networks import Networks, Outputs, Windowed
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


def window_loop(frames: Iterable[Frame], reach: int, networks: Windowed, post_process: Callable,
                result: Callable = Detected, clock: Callable[[], float] = time.perf_counter,
                follow: Optional[Callable] = None) -> Iterator[Any]:
    """Yield a `result` for each Frame of the clip `frames`, in order; it comes `reach` frames late.

    Before the first frame and after the last one that frame stands for those that are not there, as many
    times as it takes. Where the size changes, a clip ends and another begins.

    Args:
        frames: of one clip, of any length.
        reach: K; the window of a frame is the K before it, itself and the K after it.
        networks: with 2 K + 1 places.
        post_process, result, clock, follow: as of key_frame_loop.
    """
    index = 0
    for _, run in itertools.groupby(frames, key=lambda frame: frame.tensor.shape):
        for frame, outputs, reading, network in _windows(run, reach, networks, clock):
            start, more = clock(), {}
            found = post_process(outputs.values, frame)
            if follow is not None:
                more['track_ids'] = follow(found, frame, True, None, True)
            yield result(index, frame.image, found, True, Seconds(reading, network, clock() - start), **more)
            index += 1


def _windows(frames: Iterator[Frame], reach: int, networks: Windowed,
             clock: Callable[[], float]) -> Iterator[Tuple[Frame, Outputs, float, float]]:
    """Yield (frame, Outputs, seconds of reading, of the networks) for each of `frames`, which have one size."""
    waiting: Deque[Frame] = deque()
    places, newest = 2 * reach + 1, -1      # number of the frame, or of what stands for it, that was put last
    for centre in itertools.count():
        reading = network = 0.0
        while newest < centre + reach:
            start = clock()
            frame = next(frames, None)
            read = clock()
            newest += 1
            if frame is not None:
                waiting.append(frame)
                networks.put(newest % places, frame)
                for before in range(1, reach + 1 if newest == 0 else 1):
                    networks.repeat(-before % places, 0)
            elif waiting:
                networks.repeat(newest % places, (newest - 1) % places)
            else:
                return
            reading, network = reading + read - start, network + clock() - read
        start = clock()
        outputs = networks.join(centre % places)
        yield waiting.popleft(), outputs, reading, network + clock() - start


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
