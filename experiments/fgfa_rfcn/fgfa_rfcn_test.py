"""Test Flow-Guided Feature Aggregation with R-FCN:

    python experiments/fgfa_rfcn/fgfa_rfcn_test.py --cfg FILE.yaml [--vis] [--ignore_cache] [--thresh T]
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from fgfa_rfcn.task import TASK  # noqa: E402
from lib.apps.commands import test  # noqa: E402

if __name__ == '__main__':
    test(TASK, __doc__)
