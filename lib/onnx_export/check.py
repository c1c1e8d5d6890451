"""Whether a model computes the same in onnxruntime as in MXNet: the same frames through both."""

import copy
from typing import NamedTuple

import mxnet as mx
import numpy as np

from dff import boxes
from dff.errors import ExportError
from dff.frames import prepare
from dff.loop import window_loop


class Tolerance(NamedTuple):
    """How far two results may be apart."""

    limit: float  # of scores (0 to 1), and of boxes relative to the frame's longer side
    spared: float  # share of detections without a counterpart
    least: float  # score of the detections that count
    equal: float  # share of a class map's pixels


# Below this float32 has fewer bits; MXNet then has 0, of which there is no detection, and
# onnxruntime a number, of which there is one.
SMALLEST = float(np.finfo(np.float32).tiny)
# By precision. Rounding in pooling and in non-maximum suppression lets a last bit choose another
# region now and then, in any two runtimes; and more bits choose more often.
TOLERANCES = {
    'float32': Tolerance(1e-3, 0.01, SMALLEST, 0.999),
    'float16': Tolerance(2e-2, 0.05, 0.1, 0.99),
    'int8': Tolerance(0.1, 0.2, 0.1, 0.9),
}


class Comparison(NamedTuple):
    """What came out."""

    line: str  # for people
    good: bool


def compare(task, network, params, networks, clips, precision):
    """Return the Comparison of the networks' results.

    The first frame of each clip is the key frame of the others; with a network for frames between two
    key frames the last one is the second of them; of FGFA every frame has its window.

    Args:
        task: a Task, with its settings.
        network: its symbol instance.
        params: (arg_params, aux_params).
        networks: OnnxNetworks.
        clips: lists of BGR uint8 images, of one size in each.
        precision: of `networks`, one of TOLERANCES.
    """
    config = copy.deepcopy(task.config)
    config.TEST.PRECISION = 'float32'
    interval = config.TEST.KEY_FRAME_INTERVAL if network.aggregates else 2
    theirs = task.kind.predictor(
        config, network, params, mx.cpu(), interval, 'the exported model'
    ).networks
    tolerance, measure = TOLERANCES[precision], MEASURES[task.recognises]
    if network.aggregates:
        results = _windows((theirs, networks), networks.form, clips, config.TEST.KEY_FRAME_INTERVAL)
    else:
        results = _key_frames((theirs, networks), networks.form, clips, networks.propagates)
    differences = [
        measure(wanted, found, frame, config.TEST.NMS, tolerance)
        for frame, wanted, found in results
    ]
    return JUDGES[task.recognises](differences, tolerance)


def _key_frames(both, form, clips, propagates):
    """Yield (Frame, values of one, of the other) of `both` networks, for each frame of the clips, and
    for the middle one between the first and the last as key frames where that is exported.
    """
    for clip in clips:
        states = None
        for image in clip:
            frame = prepare(image, form)
            if states is None or not propagates:
                outputs, states = zip(*(each.key(frame) for each in both))
            else:
                outputs = [each.current(frame, state) for each, state in zip(both, states)]
            yield (frame,) + tuple(each.values for each in outputs)
        if both[1].two_sided:
            first, last = (
                [each.key(prepare(clip[place], form))[1] for each in both] for place in (0, -1)
            )
            frame = prepare(clip[len(clip) // 2], form)
            outputs = [each.between(frame, *keys, 0.4) for each, *keys in zip(both, first, last)]
            yield (frame,) + tuple(each.values for each in outputs)


def _windows(both, form, clips, reach):
    """Yield the same of windows of `reach` frames to each side."""
    for clip in clips:
        frames = [prepare(image, form) for image in clip]
        loops = [
            window_loop(frames, reach, each.window(reach), lambda values, _frame: values)
            for each in both
        ]
        for frame, wanted, found in zip(frames, *loops):
            yield frame, wanted.detections, found.detections


def require_equal(comparison, precision):
    """Raise ExportError unless the Comparison `comparison` of models of `precision` is good."""
    if not comparison.good:
        raise ExportError(
            'in %s, onnxruntime computes something else than MXNet; no such file is written: %s'
            % (precision, comparison.line)
        )


def detection_differences(wanted, found, frame, nms, tolerance):
    """Return how far each detection of either is from the nearest one of its class in the other.

    Args:
        wanted: rois, cls_prob and bbox_pred of a Frame.
        found: boxes and scores.
        frame: the Frame.
        nms: threshold of the last suppression.
        tolerance: a Tolerance.

    Returns:
        float64 [n]
    """
    sides = [
        boxes.frame_detections(*wanted, frame.im_info, 0.0, nms, 0),
        boxes.best_detections(*found, 0.0, nms, 0),
    ]
    longer, differences = max(frame.image.shape[:2]), []
    for side, other in (sides, sides[::-1]):
        best = side[np.argsort(-side[:, 1], kind='stable')[:300]]
        for detection in best[best[:, 1] >= tolerance.least]:
            rivals = other[other[:, 0] == detection[0]]
            apart = np.abs(rivals[:, 1:] - detection[1:]) / ([1] + [longer] * 4)
            differences.append(apart.max(axis=1).min() if len(rivals) else 1.0)
    return np.array(differences)


def map_differences(wanted, found, _frame, _nms, _tolerance):
    """Return the share of pixels whose classes differ in the class maps `wanted` and `found`: [1]."""
    return np.array([np.mean(wanted != found)])


def _judge_detections(differences, tolerance):
    ordered = np.sort(np.concatenate(differences))[::-1]
    if not len(ordered):
        return Comparison(
            'no detection of score %g or more in any of %d frames; name others with --frames'
            % (round(tolerance.least, 6), len(differences)),
            False,
        )
    alone, may = int(np.sum(ordered > tolerance.limit)), int(tolerance.spared * len(ordered))
    near = ordered[alone:] if alone < len(ordered) else ordered
    line = (
        'largest relative difference of scores and boxes %.1e, in 99 of 100 at most %.1e, '
        'in %d detections of %d frames (limit %g)'
        % (near[0], near[len(near) // 100], len(near), len(differences), tolerance.limit)
    )
    if alone:
        line += ', and %d without a counterpart (up to %d may be)' % (alone, may)
    return Comparison(line, alone <= may)


def _judge_maps(differences, tolerance):
    equal = 1 - max(each.max() for each in differences)
    return Comparison(
        '%.3f %% of the pixels have the same class in the worst of %d frames (limit %g %%)'
        % (100 * equal, len(differences), 100 * tolerance.equal),
        bool(equal >= tolerance.equal),
    )


# By what a task recognises.
MEASURES = {'detection': detection_differences, 'segmentation': map_differences}
JUDGES = {'detection': _judge_detections, 'segmentation': _judge_maps}
