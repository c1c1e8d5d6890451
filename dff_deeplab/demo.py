"""Deep Feature Flow DeepLab: class maps laid over a folder of frames or a video. python dff_deeplab/demo.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from dff_deeplab.task import TASK  # noqa: E402
from lib.apps.commands import demo  # noqa: E402

if __name__ == '__main__':
    demo(TASK, __doc__)
