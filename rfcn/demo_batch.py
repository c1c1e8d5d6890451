"""As demo.py, through the batch network: batches of frames. python rfcn/demo_batch.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.apps.commands import demo  # noqa: E402
from rfcn.task import TASK  # noqa: E402

if __name__ == '__main__':
    demo(TASK, __doc__, batch=True)
