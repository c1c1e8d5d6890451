"""Prints one line: which versions run here, on what, with which native parts."""
import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

import lib  # noqa: E402,F401  before MXNet
import mxnet as mx  # noqa: E402
from lib.utils.compiled import built  # noqa: E402
from lib.utils.cuda_libraries import gpu_wheel  # noqa: E402


def gpus():
    """Which GPUs MXNet can use, in words."""
    if gpu_wheel() is None:
        return 'CPU'
    try:
        return 'GPU build, %s GPU found' % (mx.context.num_gpus() or 'no')
    except mx.MXNetError as error:
        return 'GPU build, no GPU: %s' % str(error).splitlines()[-1].strip()


if __name__ == '__main__':
    print('ready: Python %s, MXNet %s (%s, %s cores), NumPy %s, OpenCV %s, boxes by %s' % (
        platform.python_version(), mx.__version__, gpus(), os.environ['OMP_NUM_THREADS'],
        np.__version__, cv2.__version__, 'Cython' if built() else 'NumPy'))
