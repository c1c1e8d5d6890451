"""Look a data set through before training: every problem, where it is, and what training would do
about it.

    python tools/check_dataset.py --cfg FILE.yaml [--html report.html]

Ends with status 0 where there is neither an error nor a warning, 1 where there is, 2 where it cannot look.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.config.config import (  # noqa: E402
    detection_defaults_for, load_yaml, update_from_file, update_from_settings)
from lib.utils.paths import resolve  # noqa: E402
from lib.config.defaults import segmentation_defaults  # noqa: E402
from lib.dataset.check.check import check  # noqa: E402
from lib.dataset.check.check_seg import check_segmentation  # noqa: E402
from lib.dataset.registry import DATASETS  # noqa: E402
from lib.dataset.check.check_html import write_html  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError, DataError  # noqa: E402


def is_segmentation(path, settings):
    """Whether the settings file `path` with `settings`, of --set, is of a task that segments: by
    its data set, else by its symbol."""
    tree = load_yaml(path)
    section = tree.get('dataset')
    name = section.get('dataset', '') if isinstance(section, dict) else ''
    for setting in settings:
        name = setting.partition('=')[2] if setting.startswith('dataset.dataset=') else name
    tasks = {known: cls.task for known, cls in DATASETS.items()}
    return (
        tasks.get(name, 'segmentation' if 'deeplab' in str(tree.get('symbol')) else 'detection')
        == 'segmentation'
    )


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--cfg', required=True, metavar='FILE.yaml', help='settings of the experiment')
    parser.add_argument(
        '--set',
        nargs='+',
        action='append',
        default=[],
        metavar='a.b=c',
        dest='settings',
        help='override single settings, as in --set dataset.image_set=VID_train_x',
    )
    parser.add_argument('--limit', type=int, default=10, metavar='N',
                        help='problems of each kind to show (default 10; 0: all)')
    parser.add_argument(
        '--decode', action='store_true',
        help='decode every image too, which finds damage inside: minutes for 10,000')
    parser.add_argument('--html', metavar='OUT', help='write a report with sample frames and histograms to this file')
    args = parser.parse_args()
    if args.limit < 0:
        raise ConfigError('--limit must be 0 or more')
    path, settings = (
        args.cfg if os.path.exists(args.cfg) else resolve(args.cfg),
        [s for group in args.settings for s in group],
    )
    segmentation = is_segmentation(path, settings)
    cfg = segmentation_defaults() if segmentation else detection_defaults_for(path)
    update_from_file(cfg, path)
    update_from_settings(cfg, settings)
    report = (check_segmentation if segmentation else check)(cfg, args.limit, args.decode)
    print('\n'.join(report.lines()))
    if args.html:
        try:
            write_html(report, args.html, 'Data of %s' % os.path.basename(args.cfg))
        except OSError as error:
            raise DataError('cannot write %s: %s' % (args.html, error.strerror)) from None
    sys.exit(0 if report.problems.clean else 1)


if __name__ == '__main__':
    run(main)
