"""R-FCN on every frame: boxes drawn into a folder of frames or a video. python rfcn/demo.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import rfcn.symbols  # noqa: E402,F401  (makes the networks known)
from rfcn.config.config import config, update_config  # noqa: E402
from lib.apps.demo import CLIP, Defaults, run_demo  # noqa: E402
from lib.utils.cli import run  # noqa: E402

DEFAULTS = Defaults(cfg='experiments/rfcn/cfgs/rfcn_vid_demo.yaml', model='model/rfcn_vid',
                    input=CLIP, output='demo/rfcn', symbol='resnet_v1_101_rfcn')


def main(batch=False):
    run_demo(__doc__, config, update_config, DEFAULTS, batch)


if __name__ == '__main__':
    run(main)
