"""Exported folders (lib/inference/exported.py) with ONNX files beside MXNet's.

    frame.onnx                  of a frame baseline: image -> boxes and scores, or a class map
    key.onnx, current.onnx      of DFF: key.onnx gives `feature` too, which current.onnx takes as
                                key_feature, with key_image
    feature.onnx, pair.onnx,    of FGFA: dff/runtime/onnx_window.py says what each is for
    joined.onnx
    between.onnx                with TEST.KEY_FRAME_POLICY both: as current.onnx, and other_image,
                                other_feature and other_share of a second key frame

Of --precision float16 or int8 there is a second of each, as frame.int8.onnx. docs/deploy.md says
how to run them.
"""

import itertools
import os

import mxnet as mx

from dff.errors import ConfigError
from dff.frames import made_up_clip, prepare
from dff.runtime.onnx_networks import ENDINGS, OnnxNetworks
from dff.runtime.onnx_session import to_host
from dff.sources import open_frames
from lib.inference.exported import BUILT_IN, load_exported
from lib.inference.key_frames import input_format
from lib.onnx_export.check import compare, require_equal
from lib.onnx_export.networks import network_models, with_two_keys
from lib.onnx_export.proto import require_packages, write_model
from lib.onnx_export.reduced import to_float16, to_int8
from lib.onnx_export.sizes import checked_sizes
from lib.operator_cxx import loader
from lib.symbols.registry import get_symbol_instance

CLIP = 4  # frames that are compared, at most
CALIBRATION = 12  # frames of the user's, at most, that show the ranges for int8, and are compared


def export_onnx(task, folder, size=None, frames=None, precision='float32'):
    """Add ONNX files to the exported `folder`, once they are checked.

    Args:
        task: a Task, with the settings that the folder was written with.
        folder: of export_model.
        size: (height, width) of all images; None: any.
        frames: folder or video of the frames to check with, and to measure ranges on for int8;
            None: made up.
        precision: float16 or int8: also write files of that.

    Returns:
        [what the check of each precision found, a line]

    Raises SetupError, ConfigError, ExportError, CheckpointError, DataError.
    """
    require_packages()
    instance = get_symbol_instance(task.config)
    clips = _clips(task.config, size, frames, precision)
    models = _models(task, instance, folder, size)
    network, params, _ = load_exported(folder, instance)

    def write(files, name):
        networks = OnnxNetworks({kind: file.SerializeToString() for kind, file in files.items()})
        comparison = compare(task, network, params, networks, clips, name)
        require_equal(comparison, name)
        for kind, file in files.items():
            write_model(file, os.path.join(folder, kind + ENDINGS[name]))
        return networks, '%s: %s' % (name, comparison.line)

    networks, line = write(models, 'float32')
    if precision == 'float32':
        return [line]
    small = _reduced(models, precision, networks, clips, instance.class_layers)
    return [line, write(small, precision)[1]]


def require_onnx(config, frames, precision):
    """Raise ConfigError where there are no ONNX files of what is asked for, DataError for `frames` without a frame.

    Args:
        config: the settings.
        frames, precision: as of export_onnx.
    """
    network = get_symbol_instance(config)
    if network.propagates and config.TEST.KEY_FRAME_POLICY == 'flow':
        raise ConfigError('TEST.KEY_FRAME_POLICY is flow, which ONNX files do not measure: export with --set '
                          'TEST.KEY_FRAME_POLICY=fixed, middle or both')
    if precision == 'int8' and network.aggregates:
        raise ConfigError('there is no --precision int8 of models that join windows of frames (FGFA): leave it out, or '
                          'name float16')
    if precision == 'int8' and not frames:
        raise ConfigError(
            '--precision int8 measures the ranges of all values on frames of yours: '
            'name some with --frames'
        )
    if frames:
        next(iter(open_frames(frames)))


def _clips(config, size, frames, precision):
    """Lists of images, of one size in each, to compare on."""
    if frames:
        most = CALIBRATION if precision == 'int8' else CLIP
        images = list(itertools.islice(open_frames(frames), most))
        return [[image for image in images if image.shape == images[0].shape]]
    sizes = checked_sizes(size, input_format(config))
    return [made_up_clip(each, CLIP if number == 0 else 2) for number, each in enumerate(sizes)]


def _models(task, instance, folder, size):
    """{network: ModelProto} of an exported folder."""
    kinds = instance.test_networks(task.config)
    paths = {kind: os.path.join(folder, '%s.%s.json' % (kind, BUILT_IN)) for kind in kinds}
    arrays = mx.nd.load(os.path.join(folder, 'model-0000.params'))
    parameters = {name[len('arg:') :]: value.asnumpy() for name, value in arrays.items()}
    symbols = {kind: mx.sym.load(path) for kind, path in paths.items()}
    if instance.propagates and task.config.TEST.KEY_FRAME_POLICY == 'both':
        with loader.built_in():
            symbols['between'] = with_two_keys(instance.between_network(task.config))
    classes = task.kind.class_lines(task.config)
    return network_models(task, instance, symbols, parameters, classes, size)


def _reduced(models, precision, networks, clips, float_layers):
    """The `models` in another precision; networks: OnnxNetworks of the models as they are."""
    if precision == 'float16':
        return {kind: to_float16(model) for kind, model in models.items()}
    feeds = {kind: [] for kind in models}
    for clip in clips:
        frames = [prepare(image, networks.form) for image in clip]
        state, other = (networks.key(frames[place])[1] for place in (0, -1))
        for frame in frames:
            for kind in feeds:
                values = networks.feed(kind, frame, state, networks.second(other, 0.5))
                feeds[kind].append({name: to_host(value) for name, value in values.items()})
    return {kind: to_int8(model, feeds[kind], float_layers) for kind, model in models.items()}
