"""As demo.py, through the batch network: a key frame and those after it at once:

    python dff_rfcn/demo_batch.py --help
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from dff_rfcn.task import TASK  # noqa: E402
from lib.apps.commands import demo  # noqa: E402

if __name__ == '__main__':
    demo(TASK, __doc__, batch=True)
