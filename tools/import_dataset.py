"""Import a data set of another format: into the ILSVRC2015 layout, with settings to train with.

    python tools/import_dataset.py cvat my_videos data/my_videos               XML files next to their videos
    python tools/import_dataset.py mot MOT17/train data/mot17 --classes pedestrian
    python tools/import_dataset.py auto my_labels data/x         recognised by its files
    python tools/import_dataset.py coco labels.json data/x --clips --frames my_videos

Formats: coco, coco-vid (JSON); voc, labelimg (an XML file an image); yolo (a text file an image); mot (gt.txt);
cvat (CVAT for video 1.1); cvat-images (CVAT for images 1.1); labelme, x-anylabeling (JSON, a file an image);
visdrone (annotations/*.txt); kitti (label_2/*.txt, label_02/*.txt); label-studio, youtube-vis, bdd100k, datumaro
(JSON). For segmentation: masks (label PNGs), masks-cvat, masks-coco, masks-labelme, masks-datumaro,
masks-yolo (outlines).
docs/custom-dataset.md says what each expects.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.engine.devices import gpu_count  # noqa: E402
from lib.dataset.importers.importer import import_dataset  # noqa: E402
from lib.dataset.importers.model import IMPORTERS, Options  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('format', metavar='FORMAT',
                        help=', '.join(IMPORTERS.names()) + '; auto: recognise it')
    parser.add_argument('src', metavar='SRC',
                        help='the data set: a folder, for coco, coco-vid, cvat and labelme also a '
                             'file, or an archive (.zip, .tar, .tar.gz)')
    parser.add_argument('dst', metavar='DST', help='folder to make, such as data/my_videos')
    parser.add_argument('--frames', metavar='FOLDER', help='where images or videos are, if not in SRC')
    parser.add_argument(
        '--clips', action='store_true',
        help='coco, cvat-images, voc, yolo, labelme, datumaro, masks: the images are frames of clips, '
             'named like walk/frame_000012; without it they are stills')
    parser.add_argument(
        '--first_frame',
        type=int,
        metavar='N',
        help=
        'all but cvat: the number that the first frame of a clip has in the annotations (default: '
        'as the labels show, else 0, of mot and visdrone 1; the output names it)')
    parser.add_argument('--classes', nargs='+', action='extend', default=[], metavar='NAME',
                        help='import these classes only, in this order')
    parser.add_argument(
        '--val',
        type=float,
        default=0.2,
        metavar='SHARE',
        help='share of the clips for validation, where the data set has no parts (default '
        '0.2)')
    parser.add_argument('--val_clips', nargs='+', action='extend', default=[], metavar='NAME',
                        help='these clips for validation, all others for training')
    parser.add_argument(
        '--val_frames', nargs='+', action='extend', default=[], metavar='CLIP:FIRST-LAST',
        help='these frames of clips for validation, as the annotations number them, all others for '
             'training: for fixed cameras, in long stretches')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of clips for validation (default 0)')
    parser.add_argument('--per_clip', type=int, default=15, metavar='N',
                        help='training frames listed of each clip; 0: all (default 15)')
    parser.add_argument(
        '--unlabelled', choices=('background', 'ignore'), default='background',
        help='masks: what pixels without class become, a class background (default) or 255, which '
             'neither training nor evaluation counts')
    parser.add_argument('--copy', action='store_true', help='copy JPEG files instead of linking them')
    parser.add_argument(
        '--devices', type=int, metavar='N',
        help='GPUs to train on, for gpus and TRAIN.lr (default: those that are here)')
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        '--small', action='store_true',
        help='settings for the small network of the embedded data set, started from what `sh '
             'init.sh --demo` trained')
    size.add_argument(
        '--half', action='store_true',
        help='boxes: settings for a ResNet-50 of half width, started from weights that pip can fetch; '
             'what trains to use within an hour on a CPU')
    parser.add_argument('--force', action='store_true', help='replace an earlier import at DST')
    return parser.parse_args()


def main():
    """Entry point."""
    args = vars(parse_arguments())
    format_name, src, dst = (args.pop(name) for name in ('format', 'src', 'dst'))
    if args['devices'] is None:
        args['devices'] = gpu_count()
    print('\n'.join(import_dataset(format_name, src, dst, Options(**args))))


if __name__ == '__main__':
    run(main)
