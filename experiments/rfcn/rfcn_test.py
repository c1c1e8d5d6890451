"""Test R-FCN on every frame: python experiments/rfcn/rfcn_test.py --cfg FILE.yaml [--vis] [--ignore_cache] [--thresh T]"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from rfcn.test import main  # noqa: E402
from lib.utils.cli import run  # noqa: E402

if __name__ == '__main__':
    run(main)
