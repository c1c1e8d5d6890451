"""As demo.py, through the batch network: a key frame and those after it at once. python dff_rfcn/demo_batch.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from dff_rfcn.demo import main  # noqa: E402
from lib.utils.cli import run  # noqa: E402

if __name__ == '__main__':
    run(lambda: main(batch=True))
