"""Everything that the tasks share. Importing it prepares the process for MXNet; see lib/utils/mxnet_import.py.

Import `lib` (any part of it) before `mxnet`; then a plain `import mxnet as mx` works on every supported
Python and NumPy.
"""
from lib.utils import mxnet_import

mxnet_import.prepare()
