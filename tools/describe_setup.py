"""Prints one line: which versions run here, on what, with which native parts."""
import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import cv2
    import numpy as np

    import lib  # noqa: F401  before MXNet
    import mxnet as mx
    from lib.utils.compiled import built
    from lib.utils.cuda_libraries import gpu_wheel
except ImportError as error:      # pip says that all are there: files are missing or damaged
    sys.exit('error: %s: a package of %s is damaged: reinstall it (%s -m pip install --force-reinstall NAME), or '
             'remove this environment, and run init.sh again' % (str(error).split('\n')[0], sys.prefix, sys.executable))


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
