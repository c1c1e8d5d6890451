"""Train FGFA R-FCN, then test it: python experiments/fgfa_rfcn/fgfa_rfcn_end2end_train_test.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from fgfa_rfcn.task import TASK  # noqa: E402
from lib.apps.commands import train_and_test  # noqa: E402

if __name__ == '__main__':
    train_and_test(TASK, __doc__)
