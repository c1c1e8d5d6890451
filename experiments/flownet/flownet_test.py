"""Measure a flow network, trained or converted, on pairs with known flow:

    python experiments/flownet/flownet_test.py --cfg FILE.yaml
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.config.cli import base_parser  # noqa: E402
from lib.flow.experiment import configured, test  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def main():
    """Entry point."""
    test(*configured(base_parser(__doc__).parse_args()))


if __name__ == '__main__':
    run(main)
