"""Deep Feature Flow R-FCN: boxes drawn into a folder of frames or a video. python dff_rfcn/demo.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import dff_rfcn.symbols  # noqa: E402,F401  (makes the networks known)
from dff_rfcn.config.config import config, update_config  # noqa: E402
from lib.apps.demo import CLIP, Defaults, run_demo  # noqa: E402
from lib.utils.cli import run  # noqa: E402

DEFAULTS = Defaults(cfg='experiments/dff_rfcn/cfgs/dff_rfcn_vid_demo.yaml', model='model/rfcn_dff_flownet_vid',
                    input=CLIP, output='demo/rfcn_dff', symbol='resnet_v1_101_flownet_rfcn')


def main(batch=False):
    run_demo(__doc__, config, update_config, DEFAULTS, batch)


if __name__ == '__main__':
    run(main)
