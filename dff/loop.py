"""Clips run through networks, with a clock: what runs on which frame.

The key/current loop of Deep Feature Flow (arXiv 1611.07715, algorithm 1) runs the heavy network on key frames, on all
others the light one with what the key frame left. Which frame is which, a dff.schedule.Schedule says; what the networks
are, dff.networks.Networks. The loop over windows (FGFA, arXiv 1703.10025, algorithm 1) runs the heavy network on every
frame, and joins the features of those around it; its networks are dff.networks.Windowed.
"""
import itertools
import time
from collections import deque
from typing import Any, Callable, Deque, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from dff.frames import Frame
from dff.networks import Networks, Outputs, Windowed
from dff.results import Detected, Seconds
from dff.schedule import Schedule


class _Place(NamedTuple):
    """A frame and its number in the clip."""

    index: int      # type: ignore[assignment]  # it hides tuple.index
    frame: Frame


class _Step(NamedTuple):
    """What a schedule says of a frame."""

    place: _Place
    begins: bool                # it is the first of its interval
    key: _Place                 # the interval's key frame
    other: Optional[_Place]     # the key frame on the other side, where its feature counts, too


class _KeyRun(NamedTuple):
    """What came of a key frame."""

    place: _Place
    outputs: Outputs
    state: Any
    seconds: float


def key_frame_loop(frames: Iterable[Frame], schedule: Schedule, networks: Networks, post_process: Callable,
                   result: Callable = Detected, clock: Callable[[], float] = time.perf_counter,
                   follow: Optional[Callable] = None) -> Iterator[Any]:
    """Yield a `result` for each Frame of the clip `frames`, in order.

    Args:
        frames: of one clip.
        schedule: says which are key frames; it is restarted.
        networks: see dff.networks; with schedule.both_sides they are TwoSided.
        post_process: (values of the Outputs, frame) -> the third field of the result.
        result: Detected, or another type with its five fields.
        clock: seconds.
        follow: a dff.tracking.follow.Follower, which gives the detections ids; None: they get none.
    """
    def timed(function, *arguments):
        start = clock()
        return function(*arguments), clock() - start

    schedule.restart()
    steps, keys = _plan(frames, schedule), _KeyFrames(networks, 2 if schedule.both_sides else 1, timed)
    while True:
        step, reading = timed(next, steps, None)
        if step is None:
            return
        (index, frame), flow = step.place, None
        if step.begins:
            key = keys.run(step.key)
        if index == key.place.index:
            outputs, seconds = key.outputs, key.seconds
        else:
            if step.other is None:
                outputs, seconds = timed(networks.current, frame, key.state)
            else:
                share = time_share(index, step.key.index, step.other.index)
                between = networks.between      # type: ignore[attr-defined]  # schedule.both_sides asks for it
                outputs, seconds = timed(between, frame, key.state, keys.run(step.other).state, share)
            flow = outputs.flow
            if not schedule.accepts(outputs.mismatch):
                key = keys.run(step.place)
                outputs, seconds = key.outputs, seconds + key.seconds
        found, post = timed(post_process, outputs.values, frame)
        is_key, more = index == key.place.index, {}
        if follow is not None:
            more['track_ids'], following = timed(follow, found, frame, step.begins, flow, is_key)
            post += following
        yield result(index, frame.image, found, is_key, Seconds(reading, seconds, post), **more)


def time_share(index: int, key: int, other: int) -> float:
    """Return by how much the feature of the frame `other` counts beside that of `key`, for the frame `index`
    between them: linear in time, 0 at `key` and 1 at `other`.
    """
    return abs(index - key) / abs(other - key)


class _KeyFrames:
    """Key frames through the networks, each once.

    Args:
        networks: as of key_frame_loop.
        kept: how many of the last ones may be asked for again.
        timed: (function, arguments) -> (its result, seconds).
    """

    def __init__(self, networks: Networks, kept: int, timed: Callable):
        self._networks, self._timed = networks, timed
        self._runs: Deque[_KeyRun] = deque(maxlen=kept)

    def run(self, place: _Place) -> _KeyRun:
        """Return what comes of the key frame at `place`."""
        for run in self._runs:
            if run.place.index == place.index:
                return run
        given: List[Any] = [place.frame]
        if getattr(self._networks, 'joins_key_frames', False):
            last = self._runs[-1] if self._runs else None
            given.append(last.state if last and _alike(last.place.frame, place.frame) else None)
        (outputs, state), seconds = self._timed(self._networks.key, *given)
        self._runs.append(_KeyRun(place, outputs, state, seconds))
        return self._runs[-1]


def _plan(frames: Iterable[Frame], schedule: Schedule) -> Iterator[_Step]:
    """Yield a step for each frame; no more frames are read before than it needs."""
    reader, begin = _Reader(frames), 0
    previous: Optional[_Place] = None
    key: Optional[_Place] = None
    following: Optional[_Place] = None
    for index in itertools.count():
        frame = reader.next()
        if frame is None:
            return
        begins = schedule.begins(frame.tensor.shape)
        if begins or key is None:       # the first one begins
            usable = [frame, *reader.ahead(frame, 0, schedule.lookahead)]
            place = schedule.key_place(len(usable))
            begin, previous, following = index, key, None
            key = _Place(index + place, usable[place])
        other = None
        if schedule.both_sides and index < key.index:
            other = previous if previous and _alike(previous.frame, frame) else None
        elif schedule.both_sides and index > key.index:
            if following is None:
                usable = reader.ahead(frame, begin + schedule.interval - index - 1, schedule.lookahead + 1)
                place = schedule.key_place(len(usable))
                following = _Place(begin + schedule.interval + place, usable[place]) if usable else None
            other = following
        yield _Step(_Place(index, frame), begins, key, other)


class _Reader:
    """The frames of a clip, in order."""

    def __init__(self, frames: Iterable[Frame]):
        self._frames = iter(frames)
        self._waiting: Deque[Frame] = deque()

    def next(self) -> Optional[Frame]:
        """Return the next frame; None at the end."""
        return self._waiting.popleft() if self._waiting else next(self._frames, None)

    def ahead(self, frame: Frame, skipped: int, count: int) -> List[Frame]:
        """Return up to `count` frames behind the next `skipped` ones; no frame of another size than `frame`,
        and none behind one.
        """
        waiting = self._waiting
        while len(waiting) < skipped + count and (not waiting or _alike(waiting[-1], frame)):
            more = next(self._frames, None)
            if more is None:
                break
            waiting.append(more)
        alike = itertools.takewhile(lambda each: _alike(each, frame), itertools.islice(waiting, skipped + count))
        return list(alike)[skipped:]


def _alike(frame: Frame, other: Frame) -> bool:
    return frame.tensor.shape == other.tensor.shape


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
