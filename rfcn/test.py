"""Detect in the clips of dataset.test_image_set and evaluate: python rfcn/test.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import rfcn.symbols  # noqa: E402,F401  (makes the networks known)
from rfcn.config.config import config, update_config  # noqa: E402
from lib.config.cli import apply_arguments  # noqa: E402
from lib.apps.flags import test_parser  # noqa: E402
from lib.inference.tester import test_net  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def main():
    args = test_parser(__doc__).parse_args()
    cfg_path = apply_arguments(config, update_config, args)
    test_net(config, cfg_path, 'rfcn', args.thresh, args.interval, args.vis, args.ignore_cache)


if __name__ == '__main__':
    run(main)
