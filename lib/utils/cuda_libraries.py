"""The CUDA 11 libraries that MXNet's GPU wheels need and pip can install."""
import ctypes
import glob
import importlib.metadata
import importlib.util
import os
import re

# Shared library -> the pip package that holds it; in an order in which each finds what it needs already loaded.
PACKAGES = {
    'libcudart.so.11.0': 'nvidia-cuda-runtime-cu11',
    'libnvToolsExt.so.1': 'nvidia-nvtx-cu11',
    'libnvrtc.so.11.2': 'nvidia-cuda-nvrtc-cu11',
    'libcublasLt.so.11': 'nvidia-cublas-cu11',
    'libcublas.so.11': 'nvidia-cublas-cu11',
    'libcufft.so.10': 'nvidia-cufft-cu11',
    'libcurand.so.10': 'nvidia-curand-cu11',
    'libcusolver.so.11': 'nvidia-cusolver-cu11',
    'libnccl.so.2': 'nvidia-nccl-cu11',
    'libcudnn.so.8': 'nvidia-cudnn-cu11',
}


def gpu_wheel():
    """Name of the installed GPU wheel of MXNet (such as 'mxnet-cu112'), or None."""
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata['Name'] or ''
        if name.startswith('mxnet-cu') or name.startswith('mxnet_cu'):
            return name.replace('_', '-')
    return None


def preload():
    """Load pip's CUDA 11 libraries into the process, where a GPU wheel of MXNet is installed.

    The dynamic loader does not look into site-packages; what is loaded already it takes by name. A library that pip
    does not hold is left to the system; if nobody has it, MXNet's import names it and `remedy` says what to install.
    """
    spec = importlib.util.find_spec('nvidia')
    if spec is None or gpu_wheel() is None:
        return
    for library in PACKAGES:
        for folder in spec.submodule_search_locations:
            for path in glob.glob(os.path.join(folder, '*', 'lib', library)):
                ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)


def remedy(text):
    """What to do about the loader's complaint `text` ('libX.so.1: cannot open shared object file'), or None."""
    match = re.search(r'(lib\w+\.so[.\d]*): cannot open shared object', text)
    if match is None:
        return None
    library = match.group(1)
    if library.startswith('libcuda.so'):
        return ('%s is missing: it comes with the NVIDIA driver. Install the driver, or use the CPU build: '
                '`MXNET_PACKAGE=mxnet==1.9.1 sh init.sh`' % library)
    if library in PACKAGES:
        return '%s is missing: `pip install %s`, or `sh init.sh`' % (library, PACKAGES[library])
    return '%s is missing: install the system package that holds it, then run `sh init.sh`' % library
