"""What a model hands out: boxes with scores, or a class map, in pixels of the frame."""

from typing import Callable, Dict, List, NamedTuple

import numpy as np

from lib.onnx_export.builder import UINT8, Builder
from lib.onnx_export.proto import Tensor
from lib.symbols.deeplab import STRIDE


class Head(NamedTuple):
    """The end of the networks of one kind of task."""

    # (Builder, names of the network's head outputs, {input: name}, settings) -> names of `outputs`
    append: Callable[[Builder, List[str], Dict[str, str], object], List[str]]
    inputs: List[Tensor]  # beside images and features
    outputs: Callable[[object], List[Tensor]]  # settings -> Tensors


SCALE = Tensor(
    'scale', np.float32, (1,), 'pixels of the image for one of the frame that it was scaled from'
)
FRAME_SIZE = Tensor(
    'frame_size', np.int64, (2,), 'height and width of the frame that the image was scaled from'
)


def image_info(build, image, scale):
    """Return im_info, float32 [1, 3]: height and width of `image` [1, 3, H, W], and `scale` [1].
    build: the Builder.
    """
    build.layer = 'im_info'
    return build.op(
        'Unsqueeze',
        build.op('Concat', build.length(image, 2), build.length(image, 3), scale, axis=0),
        [0],
    )


def _boxes(build, found, inputs, settings):
    """Boxes of regions moved by deltas (R-CNN, arXiv 1311.2524, appendix C), and scores:
    dff.boxes.decode_boxes in ONNX.
    """
    rois, probability, deltas = found
    build.layer = 'boxes'
    classes = settings.dataset.NUM_CLASSES
    deltas = build.op('Reshape', deltas, [-1, 2 if settings.CLASS_AGNOSTIC else classes, 4])
    if settings.CLASS_AGNOSTIC:
        deltas = build.part(deltas, 1, 1, 2)  # the first is of the background
    near, far = (
        build.op('Unsqueeze', build.part(rois, 1, begin, begin + 2), [1]) for begin in (1, 3)
    )
    size = build.op('Add', build.op('Sub', far, near), 1.0)
    middle = build.op('Add', near, build.op('Mul', build.op('Sub', size, 1.0), 0.5))
    middle = build.op('Add', build.op('Mul', build.part(deltas, 2, 0, 2), size), middle)
    grown = build.op('Mul', build.op('Exp', build.part(deltas, 2, 2, 4)), size)
    half = build.op('Mul', build.op('Sub', grown, 1.0), 0.5)
    corners = build.op(
        'Concat', build.op('Sub', middle, half), build.op('Add', middle, half), axis=2
    )
    image = inputs['image']
    last = build.op(
        'Sub',
        build.op('Concat', *(build.length(image, axis) for axis in (3, 2, 3, 2)), axis=0),
        1.0,
    )
    corners = build.op(
        'Div', build.op('Max', build.op('Min', corners, last), 0.0), inputs['scale']
    )
    if settings.CLASS_AGNOSTIC:
        corners = build.op('Squeeze', corners, [1])
    boxes = build.op('Identity', corners, output='boxes')
    return [boxes, build.op('Reshape', probability, [-1, classes], output='scores')]


def _box_outputs(settings):
    count, classes = settings.TEST.RPN_POST_NMS_TOP_N, settings.dataset.NUM_CLASSES
    own = () if settings.CLASS_AGNOSTIC else (classes,)
    return [
        Tensor(
            'boxes',
            np.float32,
            (count,) + own + (4,),
            'x1 y1 x2 y2 in pixels of the frame, inclusive corners',
        ),
        Tensor(
            'scores', np.float32, (count, classes), 'of each class; column 0 is the background'
        ),
    ]


def _class_map(build, found, inputs, settings):
    """The class of highest score at each pixel of the frame: class_map of lib/symbols/operators.py
    in ONNX.

    Interpolating along an axis is a product with a matrix that has two numbers in each row.
    """
    build.layer = 'class_map'
    score = found[0]
    down, across = (
        _interpolation(
            build,
            build.part(inputs['frame_size'], 0, axis - 2, axis - 1),
            score,
            axis,
            inputs['scale'],
        )
        for axis in (2, 3)
    )
    score = build.op(
        'MatMul', build.op('MatMul', down, score), build.op('Transpose', across, perm=[1, 0])
    )
    best = build.op('ArgMax', score, axis=1, keepdims=0)
    return [build.op('Cast', build.op('Squeeze', best, [0]), to=UINT8, output='class_map')]


def _interpolation(build, pixels, score, axis, scale):
    """[pixels, cells of `score` along `axis`]: how much of each cell a pixel gets; pixels: int64
    [1].
    """
    places = build.op('Mul', build.op('Add', build.count(pixels), 0.5), scale)
    places = build.op('Sub', build.op('Div', places, float(STRIDE)), 0.5)
    places = build.op(
        'Max', build.op('Min', places, build.op('Sub', build.length(score, axis), 1.0)), 0.0
    )
    cells = build.op('Unsqueeze', build.count(build.size(score, axis)), [0])
    distance = build.op('Abs', build.op('Sub', build.op('Unsqueeze', places, [1]), cells))
    return build.op('Max', build.op('Sub', 1.0, distance), 0.0)


def _map_outputs(settings):
    return [
        Tensor(
            'class_map',
            np.uint8,
            ('frame_height', 'frame_width'),
            'class ids by pixel of the frame',
        )
    ]


# By what a task recognises (lib/tasks/kinds).
HEADS = {
    'detection': Head(_boxes, [SCALE], _box_outputs),
    'segmentation': Head(_class_map, [SCALE, FRAME_SIZE], _map_outputs),
}
