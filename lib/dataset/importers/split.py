"""Training and validation: whole clips go to one or the other; some of their frames only if
asked.
"""
import random
from typing import List

from lib.dataset.importers.leaks import check_leaks
from lib.dataset.importers.model import Clip, Options, Report
from lib.dataset.importers.stretches import cut
from dff.errors import ConfigError, DataError


def split(clips: List[Clip], options: Options, report: Report) -> List[Clip]:
    """Set `part` of every clip to 'train' or 'val'; return those to import.

    The clips that options.val_clips names and the stretches that options.val_frames names go to val
    and all others to train. Without them the source's own parts hold where it has a validation part
    (a clip without part is for training); else a share options.val of the clips, and of the stills,
    drawn with options.seed. A test part of a source that has other parts too is left out, unless
    options.val_clips names its clips.

    Args:
        clips: of the source.
        options: what the user asked for.
        report: where to count what is left out.

    Raises:
        ConfigError: the share is not from 0 to 1.
        DataError: options.val_clips or val_frames has unknown names, the source's parts have frames
            in common, or there is nothing to split.
    """
    if not 0 <= options.val <= 1:
        raise ConfigError('--val is a share of the clips, from 0 to 1; found %g' % options.val)
    if any(clip.part in ('train', 'val') for clip in clips):
        clips = [clip for clip in clips if clip.name in options.val_clips or not _of_test_part(clip, report)]
    if options.val_clips or options.val_frames:
        report.parts = 'as --val_clips and --val_frames say'
        clips, stretches = cut(clips, options.val_frames)
        names = {clip.name for clip in clips}
        unknown = sorted(set(options.val_clips) - names)
        if unknown:
            raise DataError('--val_clips: there is no clip %s; there are %s'
                            % (', '.join(unknown), _some(sorted(names))))
        named = [clip for clip in clips if clip.name in options.val_clips]
        chosen = set(map(id, named + stretches))
    elif any(clip.part == 'val' for clip in clips):
        report.parts = 'as the data set has them'
        check_leaks(clips)
        chosen = {id(clip) for clip in clips if clip.part == 'val'}
    else:
        report.parts = (
            'the data set names none; those for validation were drawn (--val %g --seed %d)'
            % (options.val, options.seed) if options.val else
            'the data set names none, and --val 0 draws none for validation')
        chosen = set()
        for kind in (False, True):
            chosen.update(_draw([clip for clip in clips if clip.still == kind], options))
        if options.val and not chosen:
            raise DataError(
                'there is only one clip (%s), and frames of one clip must not be parted into '
                'training and validation: add a clip, name a long stretch of it (--val_frames '
                '%s:FIRST-LAST), or say --val 0 (training only) or --val 1 (testing only)'
                % (clips[0].name, clips[0].name))
    for clip in clips:
        clip.part = 'val' if id(clip) in chosen else 'train'
    return clips


def _of_test_part(clip: Clip, report: Report) -> bool:
    if clip.part == 'test':
        report.skip('%s: of the test part of the source' % ('images' if clip.still else 'clips'), clip.name)
    return clip.part == 'test'


def _draw(clips: List[Clip], options: Options) -> List[int]:
    """ids of the clips drawn for validation: of two or more at least one, at most all but one
    unless the share is 1.
    """
    count = round(options.val * len(clips))
    if 0 < options.val < 1:
        count = min(max(count, 1), len(clips) - 1)
    order = sorted(clips, key=lambda clip: clip.name)
    random.Random(options.seed).shuffle(order)
    return [id(clip) for clip in order[:max(count, 0)]]


def _some(names: List[str]) -> str:
    return ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
