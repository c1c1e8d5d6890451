"""FGFA R-FCN: boxes drawn into a folder of frames or a video. python fgfa_rfcn/demo.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from fgfa_rfcn.task import TASK  # noqa: E402
from lib.apps.commands import demo  # noqa: E402

if __name__ == '__main__':
    demo(TASK, __doc__)
