"""Builds the compiled modules in place: python lib/setup.py build_ext --inplace."""
import os

from Cython.Build import cythonize
from setuptools import Extension, setup

# Module names are relative to the repository root, whatever folder this is called from.
os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# No contraction to fused multiply-add: the results must be those of NumPy, bit for bit.
EXTENSIONS = [Extension(name, [name.replace('.', '/') + '.pyx'], extra_compile_args=['-O3', '-ffp-contract=off'])
              for name in ('lib.boxes.bbox', 'lib.evaluation.detection_text')]

setup(name='deep-feature-flow-extensions', ext_modules=cythonize(EXTENSIONS, quiet=True), packages=[], py_modules=[],
      options={'build': {'build_base': 'output/build'}})
