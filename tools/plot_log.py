"""Curves of trainings in one picture: loss, validation, learning rate and images a second.

    python tools/plot_log.py output/rfcn/my_videos/my_videos_rfcn/VID_train_15frames [RUN ...]

A RUN is the folder of a training, with all logs of it, or one of the .jsonl files there.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from dff.errors import DataError  # noqa: E402
from lib.train.watch.curves import draw, name_of, read_run  # noqa: E402
from lib.utils.cli import run  # noqa: E402

ENDINGS = '.png', '.pdf', '.svg'


def parse_arguments():
    """Return the command line, an argparse.Namespace."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('runs', nargs='+', metavar='RUN',
                        help='folder of a training, or a .jsonl file')
    parser.add_argument('--output', default='curves.png', metavar='FILE',
                        help='picture to write (%s; default curves.png)' % ', '.join(ENDINGS))
    return parser.parse_args()


def main():
    """Entry point."""
    args = parse_arguments()
    if not args.output.lower().endswith(ENDINGS):
        raise DataError('--output must end in %s, found %s' % (', '.join(ENDINGS), args.output))
    runs = [(name_of(path), read_run(path)) for path in args.runs]
    draw(runs, args.output)
    print('written: %s' % args.output)


if __name__ == '__main__':
    run(main)
