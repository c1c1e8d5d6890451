"""The machine and the engines installed on it."""
import importlib.util
import os
import platform
from importlib import metadata
from typing import Dict, Tuple

from dff.errors import SetupError

# What has to be there, and the packages that bring it; `lib` is this project's checkout.
MODULES: Dict[str, Tuple[str, ...]] = {
    'onnxruntime': ('onnxruntime',), 'openvino': ('openvino',), 'mxnet': ('mxnet', 'lib')}
PACKAGES: Dict[str, Tuple[str, ...]] = {
    'onnxruntime': ('onnxruntime', 'onnxruntime-gpu', 'onnxruntime-directml', 'onnxruntime-openvino'),
    'openvino': ('openvino',),
    'mxnet': ('mxnet', 'mxnet-cu112', 'mxnet-cu117')}


def processor() -> str:
    """Return the processor's name."""
    return cpuinfo('model name') or platform.processor() or platform.machine() or 'unknown processor'


def processor_kind() -> str:
    """Return the processor's name with what tells processors of one name apart, as virtual machines have them."""
    flags = set(cpuinfo('flags').split())
    vectors = [flag for flag in ('avx2', 'avx512f', 'avx512_vnni') if flag in flags]
    numbers = ['%s %s' % (field, cpuinfo(field)) for field in ('cpu family', 'model') if cpuinfo(field)]
    return ', '.join([processor(), *numbers, *vectors])


def cpuinfo(field: str) -> str:
    """Return a field of the first processor as Linux describes it; '' where it does not."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as stream:
            return next((line.partition(':')[2].strip() for line in stream if line.startswith(field)), '')
    except OSError:
        return ''


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_installed(engine: str) -> bool:
    """Return whether the modules of an `engine`, of MODULES, are there; they may still be broken."""
    return all(is_there(name) for name in MODULES[engine])


def version_of(engine: str) -> str:
    """Return the packages of an `engine`, of PACKAGES, with their versions: 'onnxruntime-gpu 1.19.0'."""
    found = []
    for name in PACKAGES[engine]:
        try:
            found.append('%s %s' % (name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return ', '.join(found) or 'unknown version'


def is_there(module: str) -> bool:
    """Return whether a `module` is there to be imported; `lib`: this project's."""
    try:
        spec = importlib.util.find_spec(module)
    except (ValueError, SetupError):      # the finder of `lib` says so where MXNet is missing
        return False
    if spec is None or module != 'lib':
        return spec is not None
    # Any project may have a folder of this name.
    return any(os.path.isfile(os.path.join(folder, 'apps', 'backend.py'))
               for folder in spec.submodule_search_locations or ())
