"""Write detections as labels, to correct by hand and train on.

    python dff_rfcn/demo.py --input walk.mp4 --json walk.json --track ...
    python tools/export_labels.py --input walk.json --frames walk.mp4 --format cvat --output fix/walk
    python tools/import_dataset.py cvat fix data/corrected --frames FOLDER_OF_CLIPS

Formats: cvat (CVAT for video 1.1), coco, yolo, labelme (a JSON an image), mot.
docs/custom-dataset.md says more.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.dataset.exporters.exporter import export_labels  # noqa: E402
from lib.dataset.exporters.model import EXPORTERS  # noqa: E402
from lib.utils.argument_types import score  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--input', required=True, metavar='FILE',
                        help='detections: what dff_rfcn/demo.py --json or dff run --json wrote')
    parser.add_argument('--frames', required=True, metavar='PATH',
                        help='folder of images, or video, that the detector has seen')
    parser.add_argument('--format', required=True, metavar='FORMAT',
                        help=', '.join(EXPORTERS.names()))
    parser.add_argument('--output', required=True, metavar='DST',
                        help='folder to make, such as labels/walk')
    parser.add_argument('--thresh', type=score, default=0.0, metavar='S',
                        help='lowest score of the boxes written (default: all in the file)')
    parser.add_argument('--force', action='store_true', help='replace an earlier export at DST')
    return parser.parse_args()


def main():
    """Entry point."""
    args = parse_arguments()
    print('\n'.join(export_labels(args.input, args.frames, args.format, args.output, args.thresh,
                                  args.force)))


if __name__ == '__main__':
    run(main)
