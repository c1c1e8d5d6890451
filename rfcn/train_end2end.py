"""Train R-FCN on single frames, end to end: python rfcn/train_end2end.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import rfcn.symbols  # noqa: E402,F401  (makes the networks known)
from rfcn.config.config import config, update_config  # noqa: E402
from lib.config.cli import apply_arguments, train_parser  # noqa: E402
from lib.train.train_tasks import DETECTION  # noqa: E402
from lib.train.trainer import train_net  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def train(args):
    """Train with the settings that `args` names; returns (config, path of the config file)."""
    cfg_path = apply_arguments(config, update_config, args)
    train_net(config, cfg_path, DETECTION, with_reference=False)
    return config, cfg_path


def main():
    train(train_parser(__doc__).parse_args())


if __name__ == '__main__':
    run(main)
