"""Show what a test of detection got right and wrong: one HTML page that needs nothing else.

    python tools/report.py DETECTIONS --cfg FILE.yaml [--output report.html]
    python tools/report.py DETECTIONS --dataset FOLDER --classes FILE --image_set VID_val_videos
        [--cameras FILE] [--score S] [--frames N]

DETECTIONS is the file of detections that a test writes, or the test's folder. The page has AP by class,
size, speed, clip and camera, precision-recall curves, confusions, what each kind of error costs, the
worst frames as pictures, and when in each clip objects were missed. docs/custom-dataset.md says how to
read it.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.report.facts import gather  # noqa: E402
from lib.report.page import write_report  # noqa: E402
from lib.utils.argument_types import not_negative, score  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from tools.evaluate_vid import (add_dataset_flags, check_dataset_flags, load_settings,  # noqa: E402
                                open_dataset, take_data_of_test)
from dff.errors import DataError  # noqa: E402


def parse_arguments(arguments=None):
    """The command line; raises ConfigError where neither --cfg nor --dataset says what to compare with."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('detections', metavar='DETECTIONS',
                        help='lines of `frame_number class_index score x1 y1 x2 y2`, or the folder of a test run')
    add_dataset_flags(parser)
    parser.add_argument('--output', metavar='FILE.html',
                        help='the page (default: report.html next to the detections)')
    parser.add_argument('--cameras', metavar='FILE',
                        help='lines of `camera clip ...`, * for any letters: AP by camera, too')
    parser.add_argument('--score', type=score, metavar='S',
                        help='from which detections count in pictures, confusions and lines of time (default: '
                             'the score of the best F1)')
    parser.add_argument('--frames', type=not_negative, default=24, metavar='N',
                        help='pictures of the worst frames (default 24)')
    args = parser.parse_args(arguments)
    check_dataset_flags(args)
    return args


def detections_of(path):
    """The detections file that `path`, it or a test's folder, names. Raises DataError."""
    if not os.path.isdir(path):
        return path
    file = os.path.join(path, 'detections.txt')
    if not os.path.isfile(file):
        raise DataError('%s holds no detections.txt: give the folder of a test run of detection, or a file' % path)
    return file


def main():
    """Entry point."""
    args = parse_arguments()
    path = detections_of(args.detections)
    cfg = load_settings(args)
    take_data_of_test(args, cfg, path)
    dataset = open_dataset(args, cfg)
    output = args.output or os.path.join(os.path.dirname(os.path.abspath(path)), 'report.html')
    facts = gather(dataset, path, args.score, args.cameras)
    folder, name = os.path.split(os.path.abspath(path))
    run_name = os.path.basename(folder) if name == 'detections.txt' else name      # a test's folder tells its settings
    write_report(facts, output, 'Test on %s: %s' % (dataset.name, run_name), args.frames)
    print('Mean AP@0.5 = %.4f\nreport: %s' % (facts.mean_ap, output))


if __name__ == '__main__':
    run(main)
