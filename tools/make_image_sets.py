"""Write the lists of what to train and test on, ImageSets/*.txt, for a data set in the ILSVRC2015 layout.

    python tools/make_image_sets.py data/my_videos
    python tools/make_image_sets.py data/ILSVRC2015 --per_clip 15 --per_class 2000 --force

Training clips are in Data/VID/train, clips to test in Data/VID/val, stills in Data/DET/train;
data/README.md describes the lists.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.dataset.formats.image_set_maker import Options, make_image_sets  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('root', metavar='ROOT', help='folder with Data and Annotations')
    parser.add_argument(
        '--per_clip', type=int, default=15, metavar='N',
        help='frames of each training clip, at (i + 0.5) * L / N of the L that have objects; 0: '
             'all (default 15)')
    parser.add_argument('--per_class', type=int, default=0, metavar='N',
                        help='at most N stills of each class; 0: all (the default)')
    parser.add_argument('--with_empty', action='store_true',
                        help='also list annotated frames, clips and stills without objects')
    parser.add_argument('--seed', type=int, default=0, help='of the choice among stills (default 0)')
    parser.add_argument('--force', action='store_true', help='replace lists that exist')
    args = parser.parse_args()
    names, lines = make_image_sets(
        args.root, Options(args.per_clip, args.per_class, args.with_empty, args.seed, args.force))
    print('\n'.join(lines))
    print('written: %s' % ', '.join(os.path.join(args.root, 'ImageSets', name + '.txt') for name in names))


if __name__ == '__main__':
    run(main)
