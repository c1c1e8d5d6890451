"""The engines that compute a model: which there are, and which one a model goes to."""
import importlib
import os
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from dff.boxes import best_detections, decoded_before_nms
from dff.errors import CheckpointError, ConfigError, SetupError
from dff.frames import Frame
from dff.live.live import to_stderr
from dff.runtime.backend import About, Backend, ClipRules, class_lines
from dff.runtime.machine import is_installed, is_there
from dff.runtime.onnx_networks import OnnxNetworks, open_networks
from dff.runtime.onnx_session import import_onnxruntime
from dff.runtime.speed_record import ranked
from dff.tracking.seq_nms import RESCORE

PROVIDERS = {'CPU': 'CPUExecutionProvider', 'CUDA': 'CUDAExecutionProvider',
             'TensorRT': 'TensorrtExecutionProvider', 'CoreML': 'CoreMLExecutionProvider',
             'DirectML': 'DmlExecutionProvider'}
# TensorRT builds for minutes before its first frame, and CoreML takes no sizes that change: these
# two run where they are named.
PREFERRED = ('CUDA', 'DirectML', 'CPU')
ONNX_FILES = ('frame.onnx', 'key.onnx', 'feature.onnx')
INDEX = 'model.json'        # what makes a folder an exported model of MXNet


class Options(NamedTuple):
    """What dff.load takes beside the model; see there."""

    cfg: Optional[str] = None
    epoch: int = 0
    providers: Optional[Sequence[str]] = None
    threads: int = 0
    precision: str = 'float32'


def open_backend(model: Any, backend: Optional[str] = None, options: Options = Options(),  # noqa: B008
                 note: Callable[[str], None] = to_stderr) -> Backend:
    """Return the Backend for a model.

    Args:
        model, backend: as of dff.load.
        options: an Options.
        note: called with a line where `backend` is None, and the choice among several is not sure.

    Raises SetupError where the engine is missing, CheckpointError for a path that holds no model,
    ConfigError for an unknown engine, provider or precision.
    """
    if backend is not None and backend not in OPENERS:
        raise ConfigError("there is no backend '%s'; choose from %s" % (backend, ', '.join(OPENERS)))
    if not isinstance(options.threads, int) or options.threads < 0:
        raise ConfigError('threads must be a whole number, 0 or more, found %r' % (options.threads,))
    model = str(model)
    if backend is not None:
        return OPENERS[backend](model, options)
    engines = ranked(model, candidates(model, options), options.threads, options.precision, note)
    for engine, following in zip(engines, engines[1:]):
        try:
            return OPENERS[engine](model, options)
        except SetupError as error:
            note('%s cannot be used, %s is taken: %s' % (engine, following, error))
    return OPENERS[engines[-1]](model, options)


def candidates(model: str, options: Options) -> List[str]:
    """Return the engines that are installed and can compute what lies at `model`; one at least, which may be
    missing.

    Named providers are of one engine, and a checkpoint is MXNet's. Raises CheckpointError where there is no
    model.
    """
    if os.path.isdir(model):
        fitting = []
        if any(os.path.isfile(os.path.join(model, name)) for name in ONNX_FILES):
            fitting += ['onnxruntime', 'openvino']
        if os.path.isfile(os.path.join(model, INDEX)) and (options.precision == 'float32' or not fitting):
            fitting.append('mxnet')
        if fitting:
            here = [engine for engine in fitting if is_installed(engine)]
            return (here or fitting)[:1 if options.providers or not here else None]
        raise CheckpointError('%s holds no model: expected model.json, frame.onnx or key.onnx, as '
                              'tools/export_model.py writes them (of FGFA feature.onnx)' % model)
    if options.cfg is None:
        raise CheckpointError('no model at %s: expected a folder of tools/export_model.py, or the '
                              'prefix of a checkpoint with cfg, its settings file' % model)
    return ['mxnet']


def _open_onnx(model: str, options: Options) -> Backend:
    networks = open_networks(model, options.threads, _provider_names(options.providers), options.precision)
    used = networks.provider()
    short = {long: name for name, long in PROVIDERS.items()}
    return onnx_backend(networks, _described('onnxruntime', short.get(used, used), options))


def _described(engine: str, device: str, options: Options) -> str:
    return '%s (%s)' % (engine, device if options.precision == 'float32' else '%s, %s' % (device, options.precision))


def _provider_names(providers: Optional[Sequence[str]]) -> List[str]:
    """onnxruntime's own names, the first that this installation has first."""
    here = import_onnxruntime().get_available_providers()
    if providers is not None and not isinstance(providers, (list, tuple)):
        providers = [providers]     # type: ignore[list-item]
    for name in providers or ():
        if name not in PROVIDERS and name not in PROVIDERS.values():
            raise ConfigError("there is no provider '%s'; choose from %s"
                              % (name, ', '.join(PROVIDERS)))
    wanted = [PROVIDERS.get(name, name) for name in providers or PREFERRED]
    found = [name for name in wanted if name in here]
    if not found:
        short = [name for name, long in PROVIDERS.items() if long in here]
        raise SetupError('this onnxruntime has no provider %s; it has %s. CUDA and TensorRT come with '
                         'onnxruntime-gpu, DirectML with onnxruntime-directml'
                         % (' or '.join(providers or ()), ', '.join(short or here)))
    # Operators that a provider does not know run on the CPU.
    return found + [PROVIDERS['CPU']] * (PROVIDERS['CPU'] not in found)


def onnx_backend(networks: OnnxNetworks, engine: str) -> Backend:
    """Return the Backend of networks that came from ONNX files; engine: what computes them."""
    about = networks.about
    names, palette = class_lines(about['recognises'], about['classes'])
    nms, most = about['nms'], about['max_per_image']

    def detections(values: Any, frame: Frame, thresh: float) -> np.ndarray:
        boxes, scores = values
        return best_detections(boxes, scores, thresh, nms, most)

    def before_nms(values: Any, frame: Frame, thresh: float) -> np.ndarray:
        boxes, scores = values
        return decoded_before_nms(boxes, scores, thresh)

    def labels(values: Any, frame: Frame, thresh: float) -> np.ndarray:
        return values
    detects = about['recognises'] == 'detection'
    return Backend(About(about['recognises'], names, palette, networks.propagates,
                         about['key_frame_interval'], about['key_frame_policy'], None,
                         networks.two_sided, about['feature_stride'], networks.aggregates),
                   networks, networks.form, detections if detects else labels, engine,
                   ClipRules(before_nms, RESCORE[0], nms, most) if detects else None)


def _open_openvino(model: str, options: Options) -> Backend:
    from dff.runtime.openvino_session import open_sessions
    networks, device = open_sessions(model, options.threads, options.providers, options.precision)
    return onnx_backend(networks, _described('OpenVINO', device, options))


def _open_mxnet(model: str, options: Options) -> Backend:
    # By name: this package runs without lib, which is no part of it.
    for name in ('lib', 'mxnet'):
        if not is_there(name):
            raise SetupError('%s runs in MXNet, and %s is missing: run this from a checkout of Deep Feature Flow '
                             'with MXNet (sh init.sh), or export the model with tools/export_model.py '
                             '--format onnx' % (model, name))
    if options.precision != 'float32':
        raise ConfigError('in MXNet dff.load computes in float32; %s is for ONNX files, or for the demo.py of the task'
                          % options.precision)
    if options.threads and 'mxnet' not in sys.modules:
        os.environ['OMP_NUM_THREADS'] = str(options.threads)     # it reads them when it is imported
    opener = importlib.import_module('lib.apps.backend').open_mxnet
    return opener(model, options.cfg, options.epoch, options.providers)


OPENERS: Dict[str, Callable[..., Backend]] = {
    'onnxruntime': _open_onnx, 'openvino': _open_openvino, 'mxnet': _open_mxnet}
