"""Train DFF R-FCN, then test it: python experiments/dff_rfcn/dff_rfcn_end2end_train_test.py --cfg FILE.yaml"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from dff_rfcn.train_end2end import train  # noqa: E402
from lib.config.cli import train_parser  # noqa: E402
from lib.inference.tester import test_net  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def main():
    test_net(*train(train_parser(__doc__).parse_args()), task='dff_rfcn')


if __name__ == '__main__':
    run(main)
