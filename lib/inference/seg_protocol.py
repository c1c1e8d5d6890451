"""Labelled frames segmented at given distances from their key frame, each key frame's feature computed once.

How far a frame is from its key frame decides how well DFF segments it, and a video's labels are sparse. So
each labelled frame t is segmented from the key frame t - d, for every distance d asked for. In a clip whose
frames are all labelled that is one key frame and interval - 1 current ones for each frame; where one frame
in 30 is, the rest is not even read.
"""
import contextlib
import time
from collections import namedtuple

from dff.sources import read_ahead
from dff.errors import DataError
from dff.image import read_image

# result: Segmented; record, label (uint8 [H, W]) and distance: of the labelled frame, None for a key frame
# without use of its own.
Evaluated = namedtuple('Evaluated', 'result record label distance')
_Loaded = namedtuple('_Loaded', 'frame label reading')     # reading: seconds waited for it


def plan(clip, distances):
    """[(position of a key frame, [positions of the labelled frames to segment from it])], in order.

    clip: SegClip. A labelled frame with fewer than d frames before it has no key frame at distance d and is
        left out there.
    """
    steps = {}
    for record in clip.records:
        for distance in distances:
            if distance <= record.index:
                steps.setdefault(record.index - distance, []).append(record.index)
    return [(key, sorted(labelled)) for key, labelled in sorted(steps.items())]


def count_runs(steps):
    """How many frames go through a network in a `plan`."""
    return sum(len({key, *labelled}) for key, labelled in steps)


def segment_at_distances(segmenter, clip, distances, read_label):
    """Yield an Evaluated for each run of a network over the SegClip `clip`.

    segmenter: VideoSegmenter; distances: from the key frame, frames; read_label(SegRecord) -> uint8 [H, W].
        Frames and labels are read ahead by a thread and
    held as long as a key frame needs them. Raises DataError, naming files, for what cannot be read.
    """
    steps = plan(clip, distances)
    records = {record.index: record for record in clip.records}
    positions = sorted({position for key, labelled in steps for position in (key, *labelled)})
    wanted = {position for _, labelled in steps for position in labelled}

    def load():
        for position in positions:
            label = read_label(records[position]) if position in wanted else None
            yield position, segmenter.prepare(read_image(clip.frames[position])), label

    held = {}
    with contextlib.closing(read_ahead(load())) as loading:
        for key, labelled in steps:
            held = {position: loaded for position, loaded in held.items() if position >= key}
            while labelled[-1] not in held:
                start = time.perf_counter()
                position, frame, label = next(loading)
                held[position] = _Loaded(frame, label, time.perf_counter() - start)
            order = sorted({key, *labelled})
            for result in segmenter.from_key([held[position].frame for position in order]):
                position = order[result.index]
                if result.is_key and position != key:
                    raise DataError('%s and %s belong to one clip but differ in size'
                                    % (clip.frames[key], clip.frames[position]))
                result = result._replace(seconds=result.seconds._replace(reading=held[position].reading))
                if position in labelled:
                    yield Evaluated(result, records[position], held[position].label, position - key)
                else:
                    yield Evaluated(result, None, None, None)
