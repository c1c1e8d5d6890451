"""Train the flow network on pairs with known flow, then measure it:

    python experiments/flownet/flownet_train_test.py --cfg FILE.yaml
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.config.cli import train_parser  # noqa: E402
from lib.flow.experiment import configured, test, train  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def main():
    """Entry point."""
    settings = configured(train_parser(__doc__).parse_args())
    train(*settings)
    test(*settings)


if __name__ == '__main__':
    run(main)
