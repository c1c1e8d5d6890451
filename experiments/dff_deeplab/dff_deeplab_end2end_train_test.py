"""Train DFF-DeepLab, then test it: python experiments/dff_deeplab/dff_deeplab_end2end_train_test.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from dff_deeplab.train_end2end import train  # noqa: E402
from lib.config.cli import train_parser  # noqa: E402
from lib.inference.seg_tester import test_net  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def main():
    test_net(*train(train_parser(__doc__).parse_args()), task='dff_deeplab')


if __name__ == '__main__':
    run(main)
