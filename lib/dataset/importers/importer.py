"""Importing a data set: read, split, write, list, configure; nothing appears under its name before
it is whole.
"""
import contextlib
import dataclasses
import json
import os
from typing import Callable, Counter, List, Optional, Sequence, Tuple

from lib.dataset import archives
from lib.dataset.destination import Destination
from lib.dataset.formats import image_set_maker
from lib.dataset.formats.image_set_maker import make_image_sets
from lib.dataset.formats.classes import load_classes
from lib.dataset.formats.image_sets import read_image_set
from lib.dataset.importers.contact_sheet import write_contact_sheet
from lib.dataset.importers.layout import Layout, class_id
from lib.dataset.importers.model import IMPORTERS, SIGNS, Clip, Import, Options, Report, Source
from lib.dataset.importers.paths import files_below, refuse_links_outside, relative, top_folder
from lib.dataset.importers.settings import Data, write_settings
from lib.dataset.importers.split import split
from lib.dataset.importers.summary import Lists, Written, summary
from lib.dataset.suggest.report import line
from lib.dataset.suggest.sample import sample_of_lists
from lib.dataset.suggest.settings import changed
from dff.errors import ConfigError, DataError

STAMP, SHEET = 'import.json', 'contact_sheet.png'


def import_dataset(format_name: str, src: str, dst: str, options: Options) -> List[str]:
    """Import a data set of another format; return the lines of a summary.

    Args:
        format_name: one of IMPORTERS; auto: what `recognise` finds.
        src: the data set, a file or a folder, or an archive of it (.zip, .tar, .tar.gz), which is
            unpacked into a temporary folder; its images are copied.
        dst: the folder that gets Data, Annotations, ImageSets, classes.txt, <name>_rfcn.yaml,
            <name>_dff_rfcn.yaml, contact_sheet.png (six frames with boxes) and import.json, which
            says what it was made from; of masks what masks/writer.py says. An import that it holds
            is replaced if options.force is set; anything else is never touched.
        options: what the user asked for.

    Raises:
        ConfigError: the format is unknown, or an option is out of range.
        DataError: the source cannot be imported, or `dst` cannot be written or replaced.
    """
    if format_name != 'auto':
        IMPORTERS.get(format_name)
    if not os.path.exists(src):
        raise DataError('%s does not exist' % src)
    if options.frames and not os.path.isdir(options.frames):
        raise DataError('--frames: expected a folder of images, of videos or of folders of images; found none at %s'
                        % options.frames)
    roots = [src] + ([options.frames] if options.frames else [])
    _destination(dst).check(roots, options.force)
    report, why = Report(), []
    with contextlib.ExitStack() as stack:
        place = src
        try:
            if archives.is_archive(src):
                place = top_folder(stack.enter_context(archives.unpacked(src, relative)))
                for file in files_below(place, archives.SUFFIXES):
                    report.skip('archives: inside the archive, not unpacked', file)
                options = dataclasses.replace(options, copy=True)       # links would lead nowhere
            for folder in filter(os.path.isdir, [place] + roots[1:]):
                refuse_links_outside(folder)
            if format_name == 'auto':
                format_name, line = recognise(place)
                why.append(line)
            lines = why + _import(IMPORTERS.get(format_name), format_name, place, dst, options, report, src)
        except DataError as error:
            # What was left out is often why; without it the message would send the user the wrong
            # way.
            text = '\n'.join([str(error)] + why + report.lines())
            raise DataError(_printable(text.replace(place, src))) from None
    return [_printable(line.replace(place, src)) for line in lines]


def recognise(src: str) -> Tuple[str, str]:
    """Return (format, a line that says by what it was recognised) of a data set.

    Args:
        src: the data set, a file or a folder.

    Raises:
        DataError: several formats fit, or none; or a link leads out of `src`.
    """
    if not os.path.exists(src):
        raise DataError('%s does not exist' % src)
    if os.path.isdir(src):
        refuse_links_outside(src)
    found = {}
    unreadable: List[str] = []
    for name, sign in SIGNS.items():
        try:
            file = sign.find(src)
        except DataError as error:
            unreadable.append(str(error))
            continue
        if file is not None:
            found[name] = '%s, by %s: %s' % (name, file, sign.looks_for)
    # Boxes and outlines in one file: the boxes are imported, and a line says how to have the others.
    also = [name for name in found if SIGNS.get(name).boxes in found]
    if len(found) - len(also) == 1:
        name = next(name for name in found if name not in also)
        more = ''.join('; it holds outlines too: FORMAT %s imports them for segmentation' % each
                       for each in also)
        return name, _printable('format:     ' + found[name] + more)
    if found:
        raise DataError(_printable('%s: several formats fit: %s; name one of them instead of auto'
                                   % (src, '; '.join(found.values()))))
    looked = '; '.join('%s (%s)' % (name, sign.looks_for) for name, sign in SIGNS.items())
    read = ''.join('; ' + line for line in dict.fromkeys(unreadable))
    raise DataError(_printable('%s: no format fits; looked for %s; name the format instead of '
                               'auto: %s%s' % (src, looked, ', '.join(IMPORTERS.names()), read[:500])))


def _import(read: Callable[[str, Options, Report], Source], format_name: str, src: str, dst: str,
            options: Options, report: Report, origin: str) -> List[str]:
    """Import what `read` reads; return the lines of the summary.

    origin: what the data set is known as: `src`, or the archive that it was unpacked from.
    """
    source = read(src, options, report)
    _refuse_without_effect(format_name, source, options)
    if not os.path.isdir(src):
        _refuse_media_outside(source.clips, src, options.frames)
    clips = split(source.clips, options, report)
    with _destination(dst).replacing() as folder:
        write = source.write or _write_boxes
        lines, frames = write(folder, Import(source, clips, src, dst, options, report))
        _write_stamp(folder, format_name, origin, options, frames)
    return lines


def _refuse_without_effect(format_name: str, source: Source, options: Options) -> None:
    """ConfigError for an option that has nothing to do with what a format holds, or is out of range."""
    if options.per_clip < 0:
        raise ConfigError('--per_clip: frames per clip must be 0 (all) or more; found %d' % options.per_clip)
    if source.write is None and options.unlabelled != Options.unlabelled:
        raise ConfigError('--unlabelled is for masks and outlines; %s is imported as boxes' % format_name)
    if source.write is not None and options.half:
        raise ConfigError('--half is for boxes; of masks and outlines the settings are those of ResNet-101 or --small')
    if source.write and options.per_clip != Options.per_clip:
        raise ConfigError('--per_clip is for boxes; %s is imported as label maps, which are all used'
                          % format_name)


def _write_boxes(folder: str, what: Import) -> Tuple[List[str], Counter[str]]:
    """As Source.write."""
    options, report = what.options, what.report
    _refuse_labels(what)
    layout = Layout(folder, options.classes, options.copy, report)
    layout.write(what.clips)
    written = layout.written
    if report.failures:
        raise DataError('%s: %s' % (what.src, '; '.join(report.failures)))
    classes = _class_lines(options, what.source.classes, written)
    _write_lines(os.path.join(folder, 'classes.txt'), classes)
    lists, list_lines = make_image_sets(folder, image_set_maker.Options(per_clip=options.per_clip))
    training = [name for name in reversed(lists) if '_train_' in name]         # stills first, as in the original
    images = sum(len(read_image_set(os.path.join(folder, 'ImageSets'), name).entries) for name in training)
    if not training:
        _require_training(what, written)
    training = training or ['VID_train_%sframes' % (options.per_clip or 'all')]
    sample = None
    if images:
        sample = sample_of_lists(folder, training, load_classes(os.path.join(folder, 'classes.txt')))
    data = Data(os.path.abspath(what.dst), len(classes), training, images)
    yamls, fitted = write_settings(folder, data, options.devices, options.network, sample)
    write_contact_sheet(os.path.join(folder, SHEET), written.samples.chosen())
    lists_made = Lists(list_lines, images, options.per_clip, [line(each) for each in fitted if each.key in
                                                              changed(fitted)])
    return summary(what.dst, what.clips, written, report, lists_made, yamls + [SHEET]), written.frames


def _refuse_labels(what: Import) -> None:
    """DataError for what labels alone show to be of no use, before a video is decoded for it."""
    state = what.report.state()
    layout = Layout('', what.options.classes, what.options.copy, what.report)
    whole = layout.look_ahead(what.clips)
    if what.report.failures:
        raise DataError('%s: %s' % (what.src, '; '.join(what.report.failures)))
    if whole:
        _class_lines(what.options, what.source.classes, layout.written)
        if not layout.written.boxes['train']:
            _require_training(what, layout.written)
    what.report.restore(state)


def _require_training(what: Import, written: Written) -> None:
    """DataError where there are frames for training, which have no box."""
    if written.frames['train']:
        raise DataError(
            '%s: there is nothing to train on: none of the %d frames for training has a box; '
            'choose other clips for validation (--val_clips), or say --val 1 (testing only)'
            % (what.src, written.frames['train']))


def _printable(text: str) -> str:
    """Return `text` as it can be printed: file names may be no Unicode."""
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def _refuse_media_outside(clips: Sequence[Clip], file: str, frames: Optional[str]) -> None:
    """DataError where an image or video beside the file `file`, or in `frames`, is a link to somewhere else."""
    roots = [os.path.dirname(os.path.dirname(os.path.abspath(file)))] + ([frames] if frames else [])
    roots = [os.path.join(os.path.realpath(root), '') for root in roots]
    for clip in clips:
        for path in getattr(clip.media, 'paths', None) or [getattr(clip.media, 'path', None)]:
            if path and not os.path.realpath(path).startswith(tuple(roots)):
                raise DataError('%s is refused: it leads to a file outside the data set, by a link' % path)


def _destination(dst: str) -> Destination:
    return Destination(dst, STAMP, 'tools/import_dataset.py', 'DST')


def _class_lines(options: Options, listed: Sequence[str], written: Written) -> List[str]:
    """Lines `id name` of the classes that have boxes: as options.classes has them, else as the
    source has `listed` them, then by name.
    """
    order = options.classes or listed
    ids, names = [class_id(name) for name in order], written.names
    known = [identifier for identifier in dict.fromkeys(ids) if identifier in names]
    known += sorted(identifier for identifier in names if identifier not in ids)
    if not known:
        wanted = '; --classes lists %s' % ', '.join(options.classes) if options.classes else ''
        known_of = '; the classes of the source are %s' % ', '.join(listed[:10]) if listed else ''
        raise DataError('no box of any class could be imported%s%s' % (wanted, known_of))
    return [identifier if identifier == names[identifier] else '%s %s' % (identifier, names[identifier])
            for identifier in known]


def _write_lines(path: str, lines: Sequence[str]) -> None:
    with open(path, 'w', encoding='utf-8') as stream:
        stream.writelines(line + '\n' for line in lines)


def _write_stamp(folder: str, format_name: str, src: str, options: Options,
                 frames: Counter[str]) -> None:
    with open(os.path.join(folder, STAMP), 'w', encoding='utf-8') as stream:
        json.dump({'format': format_name, 'source': os.path.abspath(src), 'frames': dict(frames),
                   'val': options.val, 'val_clips': options.val_clips,
                   'val_frames': options.val_frames, 'seed': options.seed}, stream, indent=1)
