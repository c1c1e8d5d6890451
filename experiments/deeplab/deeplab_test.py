"""Test DeepLab: python experiments/deeplab/deeplab_test.py --cfg FILE.yaml [--vis] [--ignore_cache]"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from deeplab.test import main  # noqa: E402
from lib.utils.cli import run  # noqa: E402

if __name__ == '__main__':
    run(main)
