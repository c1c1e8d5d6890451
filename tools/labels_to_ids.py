"""Turn coloured label PNGs into label maps, as training reads them.

A label map is a PNG file of one channel whose pixels are class ids.

    python tools/labels_to_ids.py IN OUT                     palette files: the numbers of the palette are the ids
    python tools/labels_to_ids.py IN OUT --classes FILE      RGB files (or palettes): the class of each colour
    python tools/labels_to_ids.py IN OUT --values 0 255      grey files, as black-and-white masks:
    the ids 0, 1, ... of these values

IN and OUT are folders; sub-folders are kept. FILE holds `name red green blue` lines in the order
of the ids, or is the labelmap.txt of CVAT or VOC, the label_colors.txt of CamVid or a CSV file
`name,r,g,b`. With --ignore, colours that FILE does not list become 255, the id that training and
evaluation leave out.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from lib.dataset.formats.colour_files import FORMS, read_colour_file  # noqa: E402
from lib.dataset.formats.seg_classes import MAX_CLASSES, SegClassList  # noqa: E402
from lib.dataset.formats.seg_labels import open_png  # noqa: E402
from dff.labels import IGNORE_LABEL  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import DataError  # noqa: E402
from dff.files import atomic_path, flush_all  # noqa: E402
from lib.utils.progress import progress_bar  # noqa: E402


def ids_of_values(path, values, ignore=False):
    """Class ids of a grey label PNG, uint8 [H, W]: the place in `values` of each pixel's value.

    path: of the file. ignore: other values become 255; else they raise DataError, as does a file
    that is not grey.
    """
    image = open_png(path)
    if image.mode not in ('L', '1'):
        raise DataError(
            'label %s is not grey (mode %s); --values is for black-and-white masks'
            % (path, image.mode)
        )
    pixels = np.asarray(image.convert('L'))
    table, known = np.full(256, IGNORE_LABEL, np.uint8), np.isin(pixels, values)
    table[values] = np.arange(len(values))
    if not known.all() and not ignore:
        row, column = np.argwhere(~known)[0]
        raise DataError(
            'label %s, row %d, column %d: the value %d is not one of --values; give --ignore to '
            'make such pixels %d'
            % (path, row, column, pixels[row, column], IGNORE_LABEL)
        )
    return table[pixels]


def ids_of(path, classes=None, ignore=False):
    """Return the class ids of a label PNG, uint8 [H, W].

    Args:
        path: the file.
        classes: the SegClassList whose colours the pixels have; None for a file with a palette,
            whose numbers are the ids.
        ignore: other colours become 255; else they raise DataError.

    Raises:
        DataError: a colour of no class, or a file that is not what `classes` says.
    """
    image = open_png(path)
    if classes is None:
        if image.mode != 'P':
            raise DataError(
                'label %s has no palette (mode %s); for colours give --classes FILE; a file of '
                'one channel holds ids already'
                % (path, image.mode))
        return np.asarray(image)
    if image.mode not in ('P', 'RGB', 'RGBA'):
        raise DataError(
            'label %s holds no colours (mode %s); a file of one channel holds ids already'
            % (path, image.mode))
    pixels = np.asarray(image.convert('RGB')).astype(np.int32)
    colours = pixels @ [65536, 256, 1]
    ids = np.full(colours.shape, IGNORE_LABEL, np.uint8)
    known = np.zeros(colours.shape, bool)
    for index, colour in enumerate(classes.palette.astype(np.int32) @ [65536, 256, 1]):
        mask = colours == colour
        ids[mask], known[mask] = index, True
    if not known.all() and not ignore:
        row, column = np.argwhere(~known)[0]
        raise DataError(
            'label %s, row %d, column %d: the colour %d %d %d is of no class; add it to the class '
            'file, or give --ignore to make such pixels '
            '%d' % ((path, row, column) + tuple(pixels[row, column]) +
                                     (IGNORE_LABEL,)))
    return ids


def colour_classes(path):
    """The SegClassList of a class file; DataError where a class has no colour, or that of another."""
    listed = read_colour_file(os.path.abspath(path))
    bare = [entry.name for entry in listed if entry.colour is None]
    if bare:
        raise DataError("%s: the class '%s' has no colour there; expected lines %s"
                        % (path, bare[0], FORMS))
    if len(listed) > MAX_CLASSES:
        raise DataError('%s holds %d classes; at most %d have ids' % (path, len(listed), MAX_CLASSES))
    colours = [entry.colour for entry in listed]
    return SegClassList([entry.name for entry in listed], np.array(colours, np.uint8))


def convert_folder(source, target, classes=None, ignore=False, values=None):
    """Write the ids of every PNG below `source` to the same place below `target`; returns how
    many.

    classes, ignore: as of ids_of. values: as of ids_of_values; None for files with colours.
    Raises DataError.
    """
    if not os.path.isdir(source):
        raise DataError('the folder %s does not exist' % source)
    if os.path.realpath(source) == os.path.realpath(target):
        raise DataError('%s would be overwritten; give another folder for the result' % source)
    files = [
        os.path.relpath(os.path.join(place, name), source)
        for place, _, names in os.walk(source)
        for name in sorted(names)
        if name.lower().endswith('.png') and not name.startswith('.')
    ]
    if not files:
        raise DataError('there is no PNG file in %s' % source)
    for file in progress_bar(files, desc='labels', unit='file', disable=len(files) < 200):
        path = os.path.join(source, file)
        ids = (
            ids_of(path, classes, ignore)
            if values is None
            else ids_of_values(path, values, ignore)
        )
        try:
            path = os.path.join(target, os.path.splitext(file)[0] + '.png')
            with atomic_path(path, durable=False) as temporary:
                Image.fromarray(ids).save(temporary)
        except OSError as error:
            raise DataError('cannot write to %s: %s' % (target, error.strerror or error)) from None
    flush_all()
    return len(files)


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', metavar='IN', help='folder of coloured label PNGs')
    parser.add_argument('target', metavar='OUT', help='folder for the label maps')
    parser.add_argument('--classes', metavar='FILE',
                        help='`name red green blue` lines, or labelmap.txt: the class of each colour')
    parser.add_argument(
        '--values',
        nargs='+',
        type=int,
        metavar='N',
        help='grey values, 0 to 255, in the order of their ids',
    )
    parser.add_argument(
        '--ignore',
        action='store_true',
        help='with --classes or --values: colours or values of no class become %d' % IGNORE_LABEL,
    )
    args = parser.parse_args()
    if args.ignore and args.classes is None and args.values is None:
        parser.error('--ignore goes with --classes or --values')
    if args.values is not None and (
        args.classes
        or not set(args.values) <= set(range(256))
        or len(set(args.values)) < len(args.values)
    ):
        parser.error('--values are different numbers from 0 to 255, and go without --classes')
    classes = colour_classes(args.classes) if args.classes else None
    count = convert_folder(args.source, args.target, classes, args.ignore, args.values)
    print('%d label maps are in %s' % (count, args.target))


if __name__ == '__main__':
    run(main)
