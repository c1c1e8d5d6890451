"""The one place that decides between the native operators and MXNet's own.

`load()` brings the native library into MXNet, once per process, if it is built and fits; one log
line says which operators serve and why. The environment variable DFF_NATIVE=0 forces MXNet's own,
for comparisons.
"""
import contextlib
import ctypes
import functools
import logging
import os
import threading

from lib.operator_cxx import sources

MARK = 'DFFFlowWarp'  # an operator that exists in MXNet once the library is loaded
_lock = threading.Lock()
_forced_off = []  # one entry for every built_in() that is entered
_log = logging.getLogger('dff.native')


class _Unfit(Exception):
    """Why the native library is not used."""


def load():
    """Whether MXNet has the native operators; the first call loads them. Never raises for a
    library that is missing or unfit.

    Call it before loading a symbol from JSON that may hold native operators.
    """
    with _lock:
        return not _forced_off and _load_once()


@contextlib.contextmanager
def built_in():
    """While this lasts, symbols are built from MXNet's own operators (in every thread), for
    comparisons within one process.
    """
    _forced_off.append(True)
    try:
        yield
    finally:
        _forced_off.pop()


@functools.lru_cache(maxsize=None)
def _load_once():
    import mxnet as mx
    try:
        path = library_path(mx.__version__)
        if not hasattr(mx.sym, MARK):  # it may have been loaded without this module
            try:
                mx.library.load(path, verbose=False)
            except (mx.base.MXNetError, OSError) as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                reason = lines[-1] if lines else type(error).__name__
                raise _Unfit('%s does not load: %s' % (path, reason)) from error
            if not hasattr(mx.sym, MARK):
                raise _Unfit('%s holds no operators' % path)
    except _Unfit as reason:
        level = logging.INFO if os.environ.get('DFF_NATIVE') == '0' else logging.WARNING
        _log.log(level, "operators: MXNet's own, several times slower than the native ones: %s", reason)
        return False
    _log.info('operators: native (%s)', os.path.basename(path))
    return True


def library_path(mxnet_version=None):
    """Absolute path of the built library. Raises _Unfit where there is none that fits the sources (and MXNet)."""
    if os.environ.get('DFF_NATIVE') == '0':
        raise _Unfit('DFF_NATIVE=0 in the environment')
    manifest = sources.read_manifest()
    if manifest is None:
        raise _Unfit('the native library is not built; run `sh init.sh`')
    path = os.path.join(sources.BUILD, os.path.basename(manifest['library']))
    if not os.path.isfile(path):
        raise _Unfit('%s is missing; run `sh init.sh`' % path)
    if manifest['sources'] != sources.digest():
        raise _Unfit('the sources have changed since the library was built; run `sh init.sh`')
    if mxnet_version not in (None, manifest['mxnet']):
        raise _Unfit('the library was built for MXNet %s, this is %s; run `sh init.sh`'
                     % (manifest['mxnet'], mxnet_version))
    return path


@functools.lru_cache(maxsize=None)
def c_library():
    """The library as a ctypes.CDLL for its plain C functions, without MXNet.

    None where it is not built or does not fit.
    """
    try:
        return ctypes.CDLL(library_path())
    except (_Unfit, OSError) as reason:
        _log.info('post-processing: NumPy: %s', reason)
        return None
