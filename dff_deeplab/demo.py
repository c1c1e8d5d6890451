"""Deep Feature Flow DeepLab: class maps laid over a folder of frames or a video. python dff_deeplab/demo.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import dff_deeplab.symbols  # noqa: E402,F401  (makes the networks known)
from dff_deeplab.config.config import config, update_config  # noqa: E402
from lib.apps.demo import Defaults  # noqa: E402
from lib.apps.seg_demo import CLIP, run_demo  # noqa: E402
from lib.utils.cli import run  # noqa: E402

DEFAULTS = Defaults(cfg='experiments/dff_deeplab/cfgs/resnet_v1_101_flownet_cityscapes_deeplab_end2end_ohem.yaml',
                    model='model/dff_deeplab_cityscapes', input=CLIP, output='demo/dff_deeplab', symbol='resnet_v1_101_flownet_deeplab')


def main():
    run_demo(__doc__, config, update_config, DEFAULTS)


if __name__ == '__main__':
    run(main)
