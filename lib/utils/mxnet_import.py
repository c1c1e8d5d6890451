"""The one place that prepares MXNet's import, so that stock wheels work with today's Python and NumPy.

Nothing in site-packages is edited: the environment is arranged before `import mxnet`, and a
failing import is turned into a SetupError that says what to install.
"""
import importlib.abc
import os
import sys

from dff.errors import SetupError
from dff.packages import interrupted
from lib.utils.threads import physical_cores

# MXNet 1.7-1.9 read these names of NumPy at import or in use; NumPy 1.24 removed them (1.20-1.23 warn at each use).
NUMPY_ALIASES = {'bool': bool, 'int': int, 'float': float, 'complex': complex, 'object': object, 'str': str}


def prepare():
    """Make `import mxnet` work: environment, NumPy aliases, OpenCV first, a finder that explains failures.

    Raises SetupError when NumPy or OpenCV cannot be imported.
    """
    # MXNet takes half of the processors it sees, a loss of up to 1.8x where these are real cores.
    os.environ.setdefault('OMP_NUM_THREADS', str(physical_cores()))
    # A library operator always writes its gradient. With 8 or more contributions to one tensor MXNet would ask it to
    # add instead and the gradient would be silently wrong; above this count only.
    os.environ['MXNET_EXEC_INPLACE_GRAD_SUM_CAP'] = '1000000'
    # Copies of large arrays from NumPy would start a second OpenMP team, on the main thread; with
    # more threads than cores none waits actively any more, and every small layer takes .2 ms
    # longer.
    os.environ.setdefault('MXNET_CPU_PARALLEL_SIZE', '2000000000')
    # One line on stderr for every image size that is bound, otherwise.
    os.environ.setdefault('MXNET_SUBGRAPH_VERBOSE', '0')
    # cuDNN would time all its algorithms anew for every image size; the original turns this off too.
    os.environ.setdefault('MXNET_CUDNN_AUTOTUNE_DEFAULT', '0')
    # A small file may claim a huge size: 400 MB of pixels are the most that OpenCV then reserves, not 3 GB.
    os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(1 << 27))
    # Damaged videos would print hundreds of lines, which name no file; dff/sources.py says what
    # could not be read.
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    try:
        import numpy
        # In NumPy 2, which MXNet refuses, np.bool is a type that other packages need.
        if numpy.__version__.startswith('1.'):
            for name, builtin in NUMPY_ALIASES.items():
                setattr(numpy, name, builtin)
        import cv2  # noqa: F401  loaded after MXNet, some builds of OpenCV crash
    except ImportError as error:
        raise _reported(error) from error
    if not any(isinstance(finder, _MXNetFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MXNetFinder())


class _MXNetFinder(importlib.abc.MetaPathFinder):
    """Finds MXNet as the other finders do; preloads CUDA before its import and explains what goes wrong in it."""

    def find_spec(self, name, path=None, target=None):
        if name != 'mxnet':
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for found in (finder.find_spec(name, path, target) for finder in others) if found), None)
        if spec is None:
            raise _ended_without_traceback(SetupError('MXNet is not installed in %s: run `sh init.sh`' % sys.prefix))
        execute = spec.loader.exec_module

        def exec_module(module):
            from lib.utils.cuda_libraries import preload
            preload()
            try:
                execute(module)
            except (ImportError, OSError, AttributeError, RuntimeError) as error:
                raise _reported(error) from error

        spec.loader.exec_module = exec_module
        return spec


def _reported(error):
    """What to raise for a failed import: Ctrl-C breaks native code off with an ImportError."""
    return KeyboardInterrupt() if interrupted(error) else _ended_without_traceback(_explain(error))


def _explain(error):
    """The SetupError for a failed import of NumPy, OpenCV or MXNet."""
    from lib.utils.cuda_libraries import remedy
    text = str(error)
    name = getattr(error, 'name', None)
    if isinstance(error, ModuleNotFoundError) and name:
        return SetupError('the Python package %s is not installed in %s: run `sh init.sh`' % (name, sys.prefix))
    if 'libGL' in text or 'libgthread' in text:
        return SetupError('OpenCV needs a display library that is missing (%s): run `sh init.sh`, which then installs '
                          'opencv-python-headless' % text)
    return SetupError(remedy(text) or 'MXNet cannot be imported (%s: %s): run `sh init.sh`; if it stays so, make a new '
                      'environment (python -m venv) and run it there' % (type(error).__name__, text))


def _ended_without_traceback(error):
    """`error`, with Python's last resort arranged to print it as one line.

    Scripts import MXNet at their top, outside lib.utils.cli.run, which cannot catch it there.
    """
    previous = sys.excepthook

    def hook(kind, value, traceback):
        if isinstance(value, SetupError):
            print('error: %s' % value, file=sys.stderr)
        else:
            previous(kind, value, traceback)

    sys.excepthook = hook
    return error
