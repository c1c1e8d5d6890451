"""Exported folders (lib/inference/exported.py) with ONNX files beside MXNet's.

    frame.onnx                  of a frame baseline: image -> boxes and scores, or a class map
    key.onnx, current.onnx      of DFF: key.onnx gives `feature` too, which current.onnx takes as
                                key_feature, with key_image

docs/deploy.md says how to run them.
"""

import itertools
import os

import mxnet as mx

from dff.onnx_networks import OnnxNetworks
from dff.sources import open_frames
from lib.inference.exported import BUILT_IN, load_exported
from lib.inference.key_frames import input_format
from lib.onnx_export.check import compare, made_up_clip, require_equal
from lib.onnx_export.networks import network_models
from lib.onnx_export.proto import require_packages, write_model
from lib.onnx_export.sizes import checked_sizes
from lib.symbols.registry import get_symbol_instance

CLIP = 4  # frames that are compared, at most


def export_onnx(task, folder, size=None, frames=None):
    """Add ONNX files to the exported `folder` once they are checked; returns what the check found,
    a line.

    Args:
        task: a Task, with the settings that the folder was written with.
        folder: of export_model.
        size: (height, width) of all images; None: any.
        frames: folder or video of the frames to check with; None: made up.

    Raises SetupError, ConfigError, ExportError, CheckpointError, DataError.
    """
    require_packages()
    form, instance = input_format(task.config), get_symbol_instance(task.config)
    sizes = checked_sizes(size, form)
    clips = (
        [list(itertools.islice(open_frames(frames), CLIP))]
        if frames
        else [made_up_clip(each, CLIP if number == 0 else 2) for number, each in enumerate(sizes)]
    )
    kinds = ('key', 'current') if instance.propagates else ('frame',)
    symbols = {
        kind: mx.sym.load(os.path.join(folder, '%s.%s.json' % (kind, BUILT_IN))) for kind in kinds
    }
    parameters = mx.nd.load(os.path.join(folder, 'model-0000.params'))
    models = network_models(
        task,
        instance,
        symbols,
        {name[len('arg:') :]: value.asnumpy() for name, value in parameters.items()},
        task.kind.class_lines(task.config),
        size,
    )
    network, params, _ = load_exported(folder, instance)
    networks = OnnxNetworks({kind: model.SerializeToString() for kind, model in models.items()})
    comparison = compare(task, network, params, networks, clips)
    require_equal(comparison)
    for kind, model in models.items():
        write_model(model, os.path.join(folder, kind + '.onnx'))
    return comparison.line
