"""Importing a data set: read, split, write, list, configure; nothing appears under its name before
it is whole.
"""
import contextlib
import json
import os
import shutil
import tempfile
from typing import Iterator, List, Optional, Sequence

from lib.utils.paths import ROOT
from lib.dataset.formats import image_set_maker
from lib.dataset.formats.image_set_maker import make_image_sets
from lib.dataset.formats.image_sets import read_image_set
from lib.dataset.importers.layout import Layout, Written, class_id
from lib.dataset.importers.model import IMPORTERS, Clip, Options, Report
from lib.dataset.importers.paths import refuse_links_outside
from lib.dataset.importers.settings import write_settings
from lib.dataset.importers.split import split
from dff.errors import DataError
from dff.files import flush_all

STAMP = 'import.json'


def import_dataset(format_name: str, src: str, dst: str, options: Options) -> List[str]:
    """Import a data set of another format; return the lines of a summary.

    Args:
        format_name: one of IMPORTERS.
        src: the data set, a file or a folder.
        dst: the folder that gets Data, Annotations, ImageSets, classes.txt, <name>_rfcn.yaml,
            <name>_dff_rfcn.yaml and import.json, which says what it was made from. An import that
            it holds is replaced if options.force is set; anything else is never touched.
        options: what the user asked for.

    Raises:
        ConfigError: the format is unknown, or an option is out of range.
        DataError: the source cannot be imported, or `dst` cannot be written or replaced.
    """
    read = IMPORTERS.get(format_name)
    if not os.path.exists(src):
        raise DataError('%s does not exist' % src)
    if options.frames and not os.path.isdir(options.frames):
        raise DataError('--frames: expected a folder of images, of videos or of folders of images; found none at %s'
                        % options.frames)
    roots = [src] + ([options.frames] if options.frames else [])
    _check_destination(dst, roots, options.force)
    for folder in filter(os.path.isdir, roots):
        refuse_links_outside(folder)
    report = Report()
    source = read(src, options, report)
    if not os.path.isdir(src):
        _refuse_media_outside(source.clips, src, options.frames)
    clips = split(source.clips, options, report)
    with _replacing(dst) as folder:
        layout = Layout(folder, options.classes, options.copy, report)
        layout.write(clips)
        written = layout.written
        classes = _class_lines(options.classes or source.classes, written)
        _write_lines(os.path.join(folder, 'classes.txt'), classes)
        lists, list_lines = make_image_sets(folder, image_set_maker.Options(per_clip=options.per_clip))
        training = [name for name in reversed(lists) if '_train_' in name]         # stills first, as in the original
        images = sum(len(read_image_set(os.path.join(folder, 'ImageSets'), name).entries) for name in training)
        training = training or ['VID_train_%dframes' % options.per_clip]
        yamls = write_settings(folder, os.path.abspath(dst), len(classes), training, images, options.devices,
                               options.small)
        _write_stamp(folder, format_name, src, options, written)
    lines = _summary(dst, clips, written, report, list_lines, yamls)
    # File names may be no Unicode.
    return [line.encode('utf-8', 'backslashreplace').decode('utf-8') for line in lines]


def _refuse_media_outside(clips: Sequence[Clip], file: str, frames: Optional[str]) -> None:
    """DataError where an image or video beside the file `file`, or in `frames`, is a link to somewhere else."""
    roots = [os.path.dirname(os.path.dirname(os.path.abspath(file)))] + ([frames] if frames else [])
    roots = [os.path.join(os.path.realpath(root), '') for root in roots]
    for clip in clips:
        for path in getattr(clip.media, 'paths', None) or [getattr(clip.media, 'path', None)]:
            if path and not os.path.realpath(path).startswith(tuple(roots)):
                raise DataError('%s is refused: it leads to a file outside the data set, by a link' % path)


def _check_destination(dst: str, sources: Sequence[str], force: bool) -> None:
    """DataError unless `dst` is free, or an import to replace, and neither it nor a source lies
    inside the other.
    """
    target = os.path.realpath(dst)
    for source in map(os.path.realpath, sources):
        if os.path.commonpath([source, target]) in (source, target):
            raise DataError('the source %s and the destination %s lie one inside the other; choose another destination'
                            % (source, dst))
    if not os.path.lexists(dst) or (os.path.isdir(dst) and not os.listdir(dst)):
        return
    if not os.path.isfile(os.path.join(dst, STAMP)):
        raise DataError('%s exists and was not made by tools/import_dataset.py (no %s): choose another destination, or '
                        'remove it' % (dst, STAMP))
    if not force:
        raise DataError('%s exists already; --force replaces it' % dst)


@contextlib.contextmanager
def _replacing(dst: str) -> Iterator[str]:
    """Yield a new folder beside `dst`, which takes its place at the end; after an error nothing of
    it stays.
    """
    target = os.path.realpath(dst)
    parent = os.path.dirname(target)
    temporary = None
    try:
        os.makedirs(parent, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix='.%s.' % os.path.basename(target), dir=parent)
        os.chmod(temporary, 0o755)
        yield temporary
        flush_all()
        if os.path.isdir(target):
            shutil.rmtree(target)
        os.rename(temporary, target)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (dst, error.strerror)) from None
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _class_lines(order: Sequence[str], written: Written) -> List[str]:
    """Lines `id name` of the classes that have boxes: in the source's order, then by name."""
    ids, names = [class_id(name) for name in order], written.names
    known = [identifier for identifier in dict.fromkeys(ids) if identifier in names]
    known += sorted(identifier for identifier in names if identifier not in ids)
    if not known:
        raise DataError('no box of any class could be imported%s'
                        % ('; --classes lists %s' % ', '.join(order) if order else ''))
    return [identifier if identifier == names[identifier] else '%s %s' % (identifier, names[identifier])
            for identifier in known]


def _write_lines(path: str, lines: Sequence[str]) -> None:
    with open(path, 'w', encoding='utf-8') as stream:
        stream.writelines(line + '\n' for line in lines)


def _write_stamp(folder: str, format_name: str, src: str, options: Options,
                 written: Written) -> None:
    with open(os.path.join(folder, STAMP), 'w', encoding='utf-8') as stream:
        json.dump({'format': format_name, 'source': os.path.abspath(src), 'frames': dict(written.frames),
                   'val': options.val, 'val_clips': options.val_clips, 'seed': options.seed}, stream, indent=1)


def _summary(dst: str, clips: Sequence[Clip], written: Written, report: Report,
             list_lines: Sequence[str], yamls: Sequence[str]) -> List[str]:
    lines = []
    for part, title in (('train', 'training'), ('val', 'validation')):
        counts = [('clips', written.clips[part]), ('stills', written.stills[part]), ('frames', written.frames[part]),
                  ('labelled', written.labelled[part]), ('boxes', sum(written.boxes[part].values()))]
        shown = ('%s %d' % count for count in counts if count[1] or count[0] == 'frames')
        lines.append('%-11s %s' % (title + ':', ', '.join(shown)))
    names = [clip.name for clip in clips if clip.part == 'val']
    if names:
        lines.append('            clips %s%s' % (', '.join(names[:8]), ', ...' if len(names) > 8 else ''))
    boxes = written.boxes
    lines.append('classes:    %s' % ', '.join('%s (boxes %d + %d)' % (
        written.names[name], boxes['train'][name], boxes['val'][name])
                                              for name in sorted(written.names)))
    lines.append('tracks:     %d' % written.tracks)
    lines.append('images:     %s' % ', '.join('%d %s' % (count, _HOW[how]) for how, count in written.how.most_common()))
    if written.clipped:
        lines.append('changed:    %d boxes reached over the edge of their image and were clipped' % written.clipped)
    lines += ['left out:   ' + line for line in report.lines()]
    lines += ['list:       ' + line for line in list_lines]
    lines += ['warning:    ' + line for line in written.remarks]
    unlabelled = written.frames['val'] - written.labelled['val']
    if written.stills['train'] and not written.clips['train']:
        lines.append('warning:    there are only stills to train on, which do not train the flow of DFF R-FCN; are '
                     'they frames of clips (--clips)?')
    if unlabelled:
        lines.append('warning:    %d frames for validation are not labelled and count as frames without objects'
                     % unlabelled)
    inside = os.path.realpath(dst).startswith(os.path.realpath(ROOT) + os.sep)
    folder = os.path.relpath(dst, ROOT) if inside else dst
    return lines + ['settings:   ' + os.path.join(folder, name) for name in yamls]


_HOW = {
    'linked': 'linked',
    'copied': 'copied',
    'converted': 'converted to JPEG (quality 95)',
    'decoded': 'decoded from video',
    'turned': 'turned upright (EXIF orientation) and converted to JPEG (quality 95)',
}
