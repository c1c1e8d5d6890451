"""Train R-FCN on single frames, end to end: python rfcn/train_end2end.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.apps.commands import train  # noqa: E402
from rfcn.task import TASK  # noqa: E402

if __name__ == '__main__':
    train(TASK, __doc__)
