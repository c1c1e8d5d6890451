"""As demo.py, through the batch network: batches of frames. python rfcn/demo_batch.py --help"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from rfcn.demo import main  # noqa: E402
from lib.utils.cli import run  # noqa: E402

if __name__ == '__main__':
    run(lambda: main(batch=True))
