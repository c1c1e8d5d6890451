"""Train DFF-DeepLab, then test it: python experiments/dff_deeplab/dff_deeplab_end2end_train_test.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from dff_deeplab.task import TASK  # noqa: E402
from lib.apps.commands import train_and_test  # noqa: E402

if __name__ == '__main__':
    train_and_test(TASK, __doc__)
