"""From which number annotations count the frames of a clip: 0 or 1, as far as they show it."""
from typing import Collection, List, NamedTuple, Optional, Sequence

from lib.dataset.importers.media import Images, Media
from lib.dataset.importers.model import Report


class Counted(NamedTuple):
    """The labels of a clip, and the frames that they are for."""

    name: str
    labels: Collection[int]       # numbers of the labelled frames
    media: Media


def origins(clips: Sequence[Counted], asked: Optional[int], usual: int,
            report: Report) -> List[int]:
    """Return for each clip what its labels call the frame that has the number 0 in its media.

    A label of frame 0 shows that they count from 0, one of frame n of n frames that they count from
    1. Image files whose numbers the labels have are known by these. Clips that show nothing follow
    those of the same source that do, as far as these agree.

    Args:
        clips: of one source.
        asked: the number of the first frame as the user stated it, for all; None: find out.
        usual: the number that this format gives to the first frame.
        report: where to note what was found, or assumed.
    """
    if asked is not None:
        return [asked - clip.media.first for clip in clips]
    by_name = [_is_by_name(clip, usual) for clip in clips]
    shown = [None if named else _shown(clip) for named, clip in zip(by_name, clips)]
    agreed = set(shown) - {None}
    rest = usual if len(agreed) != 1 else 0 if 0 in agreed else 1
    for first, why in ((0, 'a label of frame 0'), (1, 'the last label, of frame n of n frames,')):
        names = [clip.name for clip, seen in zip(clips, shown) if seen == first]
        if names:
            report.assume('frames are counted from %d in %s, as %s shows'
                          % (first, _some(names), why))
    unclear = [
        clip for clip, seen, named in zip(clips, shown, by_name)
        if seen is None and clip.labels and not named
    ]
    if unclear:
        clip = unclear[0]
        report.assume(
            'frames are counted from %d in %s, %s (labels of frames %d to %d of %s); '
            '--first_frame %d if not'
            % (rest, _some([clip.name for clip in unclear]),
               'as in the others' if len(agreed) == 1 else 'which nothing contradicts',
               min(clip.labels), max(clip.labels), clip.media.length or 'unknown', 1 - rest))
    return [0 if named else (rest if seen is None else seen) - clip.media.first
            for clip, seen, named in zip(clips, shown, by_name)]


def _is_by_name(clip: Counted, usual: int) -> bool:
    """Whether the labels of a clip have the numbers of its image files."""
    media = clip.media
    if not isinstance(media, Images) or (media.first == 0 and usual == 1 and 0 not in clip.labels):
        return False
    return set(clip.labels) <= set(media.numbers) or (0 not in clip.labels and media.first > 0)


def _shown(clip: Counted) -> Optional[int]:
    """0 or 1 where the labels of a clip show it."""
    if 0 in clip.labels:
        return 0
    return 1 if clip.labels and max(clip.labels) == clip.media.length else None


def _some(names: List[str]) -> str:
    return ', '.join(names[:3]) + (' and %d more' % (len(names) - 3) if len(names) > 3 else '')
