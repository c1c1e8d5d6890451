"""A trained model, ready to run: what `dff.load` returns."""
import contextlib
from typing import Any, Callable, Iterator, Optional, Union

import numpy as np

from dff.errors import ConfigError
from dff.frames import Frame, prepare
from dff.image import read_image
from dff.live.live import to_stderr
from dff.live.open import Clip, open_clip
from dff.loop import key_frame_loop, window_loop
from dff.results import Detected
from dff.runtime.backend import Backend
from dff.runtime.results import ClassMap, Detections
from dff.runtime.stream import Stream, checked_image
from dff.schedule import Schedule, make_schedule
from dff.sources import read_ahead
from dff.tracking.clip_boxes import Selection
from dff.tracking.follow import Follower, only_above
from dff.tracking.seq_nms import RESCORE
from dff.tracking.tracker import Tracker, rules_for
from dff.tracking.whole_clip import WholeClip

Result = Union[Detections, ClassMap]
THRESH = 0.5
TRACKS_OR_SEQ_NMS = ("ids follow the detections of each frame, which Seq-NMS chooses at the clip's end: "
                     'ask for one of them')


class Model:
    """Runs on clips (call it), on frames of a camera loop (`stream`), and on single images (`detect`).

    Several clips and streams may run at the same time, each with key frames and ids of its own;
    in several threads where the engine allows it, else a DFFError says that it does not.

    Args:
        backend: a Backend.

    Attributes:
        recognises: 'detection' or 'segmentation'.
        classes: names by class id; of detection the background first.
        interval: frames from one key frame to the next, as the model was exported or its settings say; of FGFA,
            which joins windows of frames, K.
        engine: what computes it, in words.
        networks: dff.networks.Networks; of FGFA Windows.
    """

    def __init__(self, backend: Backend):
        self._backend, about = backend, backend.about
        self.recognises, self.classes, self.interval = about.recognises, about.classes, about.interval
        self.engine, self.networks = backend.engine, backend.networks

    def __repr__(self) -> str:
        how = ('windows of %d frames to each side' if self._backend.about.aggregates else
               'a key frame every %d frames') % self.interval
        return '<dff.Model: %s of %d classes by %s, %s>' % (self.recognises, len(self.classes), self.engine, how)

    def __call__(self, source: Any, interval: Optional[int] = None, thresh: float = THRESH,
                 track: Optional[bool] = None, policy: Optional[str] = None, live: Optional[bool] = None,
                 on_note: Callable[[str], None] = to_stderr,
                 seq_nms: Union[bool, str] = False) -> Iterator[Result]:
        """Yield a Detections or ClassMap for each frame of a clip.

        Args:
            source: as of dff.live.open.open_clip: a video file, a folder, a camera's number, an
                address, a list or glob of images, '-', or an iterable of BGR uint8 [H, W, 3] images.
            interval: frames from one key frame to the next; of FGFA K, the frames to each side that are joined, by
                which results come late; None: that of the model.
            thresh: lowest score of a detection, 0 to 1.
            track: give detections ids; None: where seq_nms does not forbid it.
            policy: which frame of an interval is the key frame: fixed, middle, both or flow; None: as
                the model says.
            live: always take the newest frame, and leave out what comes while one is computed;
                None: for cameras and streams.
            on_note: as of dff.live.open.open_clip; by default it writes to standard error.
            seq_nms: boxes of the clip that follow each other share a score (Seq-NMS, arXiv 1602.08465):
                'avg', the mean of their scores, or 'max'; True: as the settings in MXNet say, else avg.
                All results come after the clip's end; its frames are read twice.

        Raises DataError for a source that cannot be read, ConfigError for a bad interval, policy or
        seq_nms, and for seq_nms with ids, or of a source that is live or cannot be read twice.
        """
        schedule = self.schedule(interval, policy)
        checked_thresh(thresh)
        return self.run(open_clip(source, live, on_note), schedule, thresh, track, seq_nms)

    def stream(self, interval: Optional[int] = None, thresh: float = THRESH, track: bool = True,
               policy: Optional[str] = None) -> Stream:
        """Return a Stream, which a program calls with one frame after the other.

        interval, thresh, track, policy: as of calling the Model. Raises ConfigError also for the
        policies middle and both, and for FGFA, for which frames would have to wait.
        """
        schedule = self._without_waiting(self.schedule(interval, policy))
        thresh = checked_thresh(thresh)
        follow = self._follower(track, thresh)

        def restart(frames: Iterator[Frame]) -> Iterator[Any]:
            if follow is not None:
                follow.restart()
            return self._tracked(frames, schedule, thresh, follow)
        return Stream(self._backend.form, restart, self._made)

    def detect(self, image: Union[str, np.ndarray], thresh: float = THRESH) -> Result:
        """Return the Detections or ClassMap of one image, without ids.

        image: BGR uint8 [H, W, 3], or the path of a file; thresh: lowest score of a detection.
        Raises DataError for an image that cannot be read.
        """
        pixels = checked_image(image) if isinstance(image, np.ndarray) else read_image(image, shown=True)
        frame = prepare(pixels, self._backend.form)
        schedule = Schedule(self.interval if self._backend.about.aggregates else 1)
        raw = next(self._tracked(iter([frame]), schedule, checked_thresh(thresh), None))
        return self._made(raw, raw.index, '000000' if isinstance(image, np.ndarray) else str(image))

    def run(self, clip: Clip, schedule: Schedule, thresh: float, track: Optional[bool] = None,
            seq_nms: Union[bool, str] = False) -> Iterator[Result]:
        """Return an iterator of the results of a Clip, which is closed at its end.

        clip: of open_clip; schedule: of `schedule`; thresh, track, seq_nms: as of calling the Model.
        Raises ConfigError as there, and for a live clip whose frames would have to wait for others.
        """
        try:
            if clip.live is not None:
                self._without_waiting(schedule)
            ending = self._whole_clip(clip, checked_thresh(thresh), track, seq_nms) if seq_nms else None
        except ConfigError:
            clip.close()
            raise
        return self._results(clip, schedule, thresh, track is not False and ending is None, ending)

    def _whole_clip(self, clip: Clip, thresh: float, track: Optional[bool],
                    seq_nms: Union[bool, str]) -> WholeClip:
        """What makes the results of `clip` at its end. Raises ConfigError where that cannot be."""
        rules = self._backend.clip_rules
        if rules is None:
            raise ConfigError('Seq-NMS is for detections; this model finds classes of pixels')
        if track:
            raise ConfigError(TRACKS_OR_SEQ_NMS)
        if clip.live is not None:
            raise ConfigError("Seq-NMS gives its results after the clip's end, which a live source has not: "
                              'run it on a video or a folder')
        if not clip.again:
            raise ConfigError('Seq-NMS reads a clip twice, to find and to show: run it on a video, a folder or a list')
        rescore = rules.rescore if seq_nms is True else seq_nms
        if rescore not in RESCORE:
            raise ConfigError('seq_nms must be True, False, %s; found %r' % (' or '.join(map(repr, RESCORE)), seq_nms))
        return WholeClip(Selection(rescore, rules.nms, rules.max_per_image, thresh), None, rules.select)

    def _results(self, clip: Clip, schedule: Schedule, thresh: float, track: bool,
                 ending: Optional[WholeClip]) -> Iterator[Result]:
        prepared: Iterator[Frame] = (prepare(checked_image(image), self._backend.form) for image in clip.images)
        with contextlib.ExitStack() as stack:
            stack.callback(clip.close)
            if clip.live is None:
                prepared = stack.enter_context(contextlib.closing(read_ahead(prepared)))  # type: ignore
            for raw in self._raw(prepared, clip, schedule, thresh, track, ending):
                latency, dropped = clip.live.age() if clip.live else (None, 0)
                yield self._made(raw, clip.number(raw.index), clip.name(raw.index), latency, dropped)
        clip.ended()

    def _raw(self, frames: Iterator[Frame], clip: Clip, schedule: Schedule, thresh: float, track: bool,
             ending: Optional[WholeClip]) -> Iterator[Any]:
        """Raw results of a clip, a Detected each, of which `detections` is a class map where the task is
        segmentation.
        """
        rules = self._backend.clip_rules
        if ending is None or rules is None:
            return self._tracked(frames, schedule, thresh, self._follower(track, thresh))
        found = self._loop(frames, schedule, rules.before_nms, ending.min_score)
        return ending.finish(found, clip.images)

    def _tracked(self, frames: Iterator[Frame], schedule: Schedule, thresh: float,
                 follow: Optional[Follower]) -> Iterator[Any]:
        post_process = self._backend.post_process
        if follow is None:
            return self._loop(frames, schedule, post_process, thresh)
        raw = self._loop(frames, schedule, post_process, min(thresh, rules_for(thresh).low), follow)
        return (only_above(result, thresh) for result in raw)

    def _loop(self, frames: Iterator[Frame], schedule: Schedule, post_process: Callable, lowest: float,
              follow: Optional[Follower] = None) -> Iterator[Any]:
        def detections(values: Any, frame: Frame) -> Any:
            return post_process(values, frame, lowest)
        if self._backend.about.aggregates:
            reach = schedule.interval
            return window_loop(frames, reach, self.networks.window(reach), detections, follow=follow)
        return key_frame_loop(frames, schedule, self.networks, detections, follow=follow)

    def _follower(self, track: bool, thresh: float) -> Optional[Follower]:
        if not track or self.recognises != 'detection':
            return None
        return Follower(Tracker(rules_for(thresh)), self._backend.about.stride)

    def _made(self, raw: Detected, index: int, name: str, latency: Optional[float] = None,
              dropped: int = 0) -> Result:
        common = (index, name, raw.image, raw.is_key, raw.seconds, self.classes, latency, dropped)
        if self.recognises == 'detection':
            return Detections(*common, raw.detections, raw.track_ids)
        assert self._backend.about.palette is not None
        return ClassMap(*common, raw.detections, self._backend.about.palette)

    def _without_waiting(self, schedule: Schedule) -> Schedule:
        """Return `schedule`; ConfigError where frames would have to wait for others that are not there yet."""
        if self._backend.about.aggregates:
            raise ConfigError('live and frame by frame there is no frame ahead, and this model joins the %d frames '
                              'after each: run it on a video, a folder or a list of images, or a camera with '
                              'live=False (--every-frame)' % schedule.interval)
        if schedule.lookahead:
            raise ConfigError("live and frame by frame there is no frame ahead to look at, which the policy %s does: "
                              "pass policy='fixed' (--policy fixed)" % ('both' if schedule.both_sides else 'middle'))
        return schedule

    def schedule(self, interval: Optional[int], policy: Optional[str]) -> Schedule:
        """Return a new Schedule of key frames; interval, policy: as of calling the Model, with its errors."""
        about = self._backend.about
        chosen = make_schedule(policy or about.policy, self.interval if interval is None else interval,
                               about.mismatch or 0.0)
        if about.aggregates and chosen.suffix:
            raise ConfigError('this model joins windows of frames and has no key frames, which the policy %s would '
                              'choose: leave it out' % policy)
        if about.aggregates:
            self.networks.window(chosen.interval)      # where it cannot be, that is said before a clip is read
            return chosen
        if not about.propagates:
            return Schedule(1)
        if chosen.needs_mismatch and about.mismatch is None:
            raise ConfigError('this model chooses its key frames by the flow (TEST.KEY_FRAME_POLICY), which %s '
                              "does not measure: pass policy='fixed', or export it with "
                              '--set TEST.KEY_FRAME_POLICY=fixed' % self.engine)
        if chosen.both_sides and chosen.interval > 1 and not about.two_sided:
            raise ConfigError('the policy both needs a network that takes two key frames, which this model in %s does '
                              "not have: pass policy='middle', or load a checkpoint whose settings say "
                              'TEST.KEY_FRAME_POLICY: both, or a model exported with it' % self.engine)
        return chosen


def checked_thresh(thresh: float) -> float:
    """Return `thresh`; ConfigError where it is no score."""
    if not isinstance(thresh, (int, float, np.number)) or not 0 <= thresh <= 1:
        raise ConfigError('thresh must be a score from 0 to 1, found %r' % thresh)
    return float(thresh)
