"""Clips as an image set lists them against the files on disk."""

import os
import re
from typing import Dict, List, NamedTuple, Tuple

_FRAME = re.compile(r'(\d{6})\.JPEG')


class ListedClip(NamedTuple):
    """One clip of an image set."""

    path: str  # below Data/VID
    length: int  # as listed
    listed: set  # frame ids of its entries
    where: str  # of its first entry


def listed_clips(image_set):
    """The clips of an ImageSet, [ListedClip], in the order of their first entries."""
    clips: Dict[Tuple[str, int], ListedClip] = {}
    for entry in image_set.entries:
        if entry.clip is not None:
            key = (
                entry.clip,
                entry.clip_length,
            )  # a clip of two lengths is two clips, one of which does not fit the files
            clip = clips.setdefault(
                key, ListedClip(entry.clip, entry.clip_length, set(), image_set.where(entry))
            )
            clip.listed.add(entry.frame_id)
    return list(clips.values())


def check_folders(dataset, clip, report):
    """Compare one clip with its folders of frames and annotations; return the ids of the frames
    on disk.

    dataset: an ImageNetVID. clip: a ListedClip. report: called for each problem; a folder that is
    missing is none: each frame listed in it is one already.
    """
    frames = os.path.dirname(dataset.image_path(clip.path + '/x'))
    names = _names(frames)
    found = {int(match.group(1)) for match in map(_FRAME.fullmatch, names) if match}
    others = sorted(
        name for name in names if not _FRAME.fullmatch(name) and not name.startswith('.')
    )
    if others:
        report(
            'frame name',
            clip.where,
            '%s holds %d other files, such as %r' % (frames, len(others), others[0]),
        )
    if not found:
        return found
    if dataset.image_set.kind != 'frames' and found != set(range(clip.length)):
        missing = sorted(set(range(clip.length)) - found)
        report(
            'clip length',
            clip.where,
            'clip_length is %d, %s holds %d frames%s'
            % (
                clip.length,
                frames,
                len(found),
                ', but not %s' % ranges(missing) if missing else '',
            ),
        )
    annotations = os.path.join(dataset.path, 'Annotations', 'VID', clip.path)
    stray = sorted(
        name
        for name in _names(annotations)
        if name.endswith('.xml') and name[:-4] + '.JPEG' not in names
    )
    if stray:
        report(
            'annotation without frame',
            clip.where,
            '%s holds %d without an image in %s, such as %r'
            % (annotations, len(stray), frames, stray[0]),
        )
    return found


def _names(folder):
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def reference_frames(clip, found, offsets, dataset, report):
    """Ids of the frames on disk that training may draw as reference frames and that are not
    listed themselves, in order.

    Args:
        clip: a ListedClip.
        found: ids of the frames on disk.
        offsets: (TRAIN.MIN_OFFSET, TRAIN.MAX_OFFSET).
        dataset: an ImageNetVID.
        report: called with those that are missing, as ranges.
    """
    wanted = {
        min(max(frame + offset, 0), clip.length - 1)
        for frame in clip.listed
        for offset in range(offsets[0], offsets[1] + 1)
    }
    wanted -= clip.listed
    missing = sorted(wanted - found)
    if missing and found:
        folder = os.path.dirname(dataset.image_path(clip.path + '/x'))
        report(
            'reference frame missing', clip.where, '%s has no frame %s' % (folder, ranges(missing))
        )
    return sorted(wanted & found)


def ranges(numbers):
    """Ascending numbers as text: 3, 5-9."""
    runs: List[List[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ', '.join('%06d' % a if a == b else '%06d-%06d' % (a, b) for a, b in runs)
