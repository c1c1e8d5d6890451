"""Train FGFA R-FCN, end to end: python fgfa_rfcn/train_end2end.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from fgfa_rfcn.task import TASK  # noqa: E402
from lib.apps.commands import train  # noqa: E402

if __name__ == '__main__':
    train(TASK, __doc__)
