"""Native operators with attributes, sizes and numbers of inputs that no network has."""

import json

import mxnet as mx
import pytest

from lib.operator_cxx import loader
from tests.helpers.native_tools import PROPOSAL, PSROI

pytestmark = pytest.mark.skipif(
    not loader.load(), reason='the native operators are not built (sh init.sh builds them)'
)

NUMBERS = '(0, 0, 0, 0)'
TARGETS = dict(
    images=1,
    kept=0,
    sets=2,
    agnostic=1,
    foreground=0.5,
    background_high=0.5,
    background_low=0,
    means=NUMBERS,
    stds='(1, 1, 1, 1)',
    weights=NUMBERS,
)
INT8 = dict(
    num_filter=4,
    slope=1,
    in_zero=0,
    zero=0,
    kernel_h=1,
    kernel_w=1,
    stride=1,
    pad_h=0,
    pad_w=0,
    dilate=1,
    is_float=0,
    has_other=0,
    other_scale=0,
    other_zero=0,
)
# {operator: (attributes, shapes of its inputs)}, small and right
VALID = {
    'DFFFlowWarp': (dict(has_scale=0), [(1, 3, 4, 5), (1, 2, 4, 5)]),
    'DFFCorrelation': (dict(max_displacement=1), [(1, 3, 4, 5), (1, 3, 4, 5)]),
    'DFFAggregate': (dict(frames=2, has_flow=1), [(4, 3, 4, 5), (4, 6, 4, 5), (2, 6, 4, 5), (4, 2, 4, 5)]),
    'DFFPSROIPooling': (PSROI, [(1, 245, 4, 5), (2, 5)]),
    'DFFProposal': (PROPOSAL, [(1, 18, 4, 5), (1, 36, 4, 5), (1, 3)]),
    'DFFRCNNTargets': (TARGETS, [(6, 5), (1, 2, 5)]),
    'DFFHardExamples': (dict(images=1, keep=2), [(6, 3), (6, 8), (6,), (6, 8), (6, 8)]),
    'DFFClassMap': ({}, [(1, 3, 4, 5), (8,), (9,)]),
    'DFFImagePair': (dict(factor=0.5), [(1, 3, 4, 5), (1, 3, 4, 5)]),
    'DFFWinograd': (
        dict(num_filter=4, dilate=1, stride=1, up=1, slope=1),
        [(1, 3, 4, 5), (36, 1, 8, 16), (4,)],
    ),
    'DFFDeconvolution': (dict(num_filter=4, slope=1), [(1, 3, 4, 5), (4, 3, 16), (4,)]),
    'DFFPooledScores': (
        dict(spatial_scale=0.0625, pooled_size=2, outputs=5, first_channel=1, channels=9),
        [(1, 10, 4, 5), (2, 5), (2, 1, 32, 16), (4, 5)],
    ),
    'DFFInt8Convolution': (INT8, [(1, 4, 5, 8), (1, 1, 2, 32, 4), (4,), (4,)]),
    'DFFInt8Deconvolution': (
        dict(num_filter=4, slope=1, in_zero=0, zero=0),
        [(1, 4, 5, 8), (4, 1, 8, 32, 4), (4,), (4, 4), (1, 8, 9, 4)],
    ),
    'DFFInt8Quantise': (dict(begin=0, count=3, zero=0, scale=1), [(1, 3, 4, 5)]),
    'DFFInt8Dequantise': (dict(begin=0, count=3, zero=0, scale=1), [(1, 4, 5, 4)]),
    'DFFInt8Pooling': (dict(kernel_h=2, kernel_w=2, stride=2, pad_h=0, pad_w=0, mean=0, is_full=0), [(1, 4, 5, 8)]),
    'DFFInt8Concat': (dict(num_args=2), [(1, 4, 5, 8), (1, 4, 5, 4)]),
}


def node(operator, attributes, inputs):
    """A network of one operator, as a file might hold it: nothing has counted its inputs."""
    names = ['i%d' % number for number in range(inputs)]
    tree = {
        'nodes': [{'op': 'null', 'name': name, 'inputs': []} for name in names]
        + [
            {
                'op': operator,
                'name': 'x',
                'attrs': {key: str(value) for key, value in attributes.items()},
                'inputs': [[number, 0, 0] for number in range(inputs)],
            }
        ],
        'arg_nodes': list(range(inputs)),
        'heads': [[inputs, 0, 0]],
        'attrs': {'mxnet_version': ['int', 10901]},
    }
    return mx.sym.load_json(json.dumps(tree))


def infer(operator, attributes, shapes):
    symbol = node(operator, attributes, len(shapes))
    return symbol.infer_shape(**{'i%d' % number: shape for number, shape in enumerate(shapes)})[1]


@pytest.mark.parametrize('operator', sorted(VALID))
def test_the_number_of_inputs_is_checked(operator):
    attributes, shapes = VALID[operator]
    assert infer(operator, attributes, shapes)
    for wrong in [shapes[:count] for count in range(len(shapes))] + [shapes + [(1, 3)]]:
        with pytest.raises(
            mx.base.MXNetError,
            match='%s has %d inputs and .*, but needs %d and'
            % (operator, len(wrong), len(shapes)),
        ):
            infer(operator, attributes, wrong)


@pytest.mark.parametrize(
    'operator, changes, message',
    [
        (
            'DFFProposal',
            dict(rpn_post_nms_top_n=2**29 + 1),
            "rpn_post_nms_top_n is '536870913', expected an integer from 1 to 16777216",
        ),
        (
            'DFFProposal',
            dict(rpn_pre_nms_top_n=-(2**40)),
            'expected an integer from -16777216 to 16777216',
        ),
        (
            'DFFProposal',
            dict(scales='(1e300, 8, 16)'),
            'scales is .*, expected numbers such as .*, from -1e.06 to 1e.06',
        ),
        ('DFFProposal', dict(threshold='nan'), 'attribute threshold is'),
        ('DFFProposal', dict(feature_stride=2**30), 'from 1 to 4096'),
        (
            'DFFCorrelation',
            dict(max_displacement=2**30 - 100),
            'expected an integer from 0 to 256',
        ),
        ('DFFPSROIPooling', dict(group_size=65536), 'expected an integer from 1 to 256'),
        ('DFFRCNNTargets', dict(sets=2**30), 'expected an integer from 2 to 65536'),
        ('DFFRCNNTargets', dict(agnostic=2), 'from 0 to 1'),
        ('DFFWinograd', dict(dilate=65536), 'expected an integer from 1 to 256'),
        ('DFFWinograd', dict(stride=3), 'from 1 to 2'),
        ('DFFWinograd', dict(up=3), 'from 1 to 2'),
        ('DFFWinograd', dict(num_filter=2**32 - 1), 'expected an integer from 1 to 65536'),
        ('DFFDeconvolution', dict(num_filter=2**32 + 4), 'expected an integer from 1 to 65536'),
        ('DFFPooledScores', dict(pooled_size=257), 'expected an integer from 1 to 256'),
        ('DFFPooledScores', dict(first_channel=-1), 'expected an integer from 0 to 65536'),
        ('DFFPooledScores', dict(first_channel=2), 'there are no 9 channels from 2 on, of data'),
        ('DFFFlowWarp', dict(has_scale=7), 'from 0 to 1'),
        ('DFFAggregate', dict(has_flow=2), 'from 0 to 1'),
        ('DFFAggregate', dict(frames=0), 'expected an integer from 1 to 4096'),
        ('DFFAggregate', dict(frames=3), 'whose maps are not 3 frames of as many images'),
        ('DFFHardExamples', dict(images=2**31), 'expected an integer from 1 to'),
        ('DFFImagePair', dict(factor='1e39'), 'attribute factor'),
    ],
)
def test_attributes_have_ranges(operator, changes, message):
    attributes, shapes = VALID[operator]
    with pytest.raises(mx.base.MXNetError, match=message):
        infer(operator, dict(attributes, **changes), shapes)


@pytest.mark.parametrize(
    'operator, changes, shapes, message',
    [
        (
            'DFFProposal',
            dict(rpn_post_nms_top_n=2**24),
            {0: (2, 18, 4, 5), 1: (2, 36, 4, 5), 2: (2, 3)},
            'DFFProposal: rows of the output would be more than 16777216',
        ),
        # 65536 * 256 * 256 is 2^32, which wraps to 0: once the sign for any size.
        (
            'DFFPSROIPooling',
            dict(group_size=256, output_dim=65536),
            {},
            'DFFPSROIPooling: channels of data would be more than',
        ),
        (
            'DFFCorrelation',
            dict(max_displacement=256),
            {0: (1, 1, 2048, 2048), 1: (1, 1, 2048, 2048)},
            'elements of an output of shape',
        ),
        (
            'DFFDeconvolution',
            dict(num_filter=65536),
            {1: (65536, 3, 16), 2: (65536,), 0: (1, 3, 128, 128)},
            'elements of an output of shape',
        ),
        ('DFFRCNNTargets', dict(sets=65536), {0: (16384, 5)}, 'elements of an output of shape'),
        ('DFFClassMap', {}, {1: (65536,), 2: (65536,)}, 'elements of an output of shape'),
        (
            'DFFClassMap',
            {},
            {1: (2**24 + 1,)},
            'an input of shape .16777217.; every axis must be known, from 1 to 16777216',
        ),
        (
            'DFFFlowWarp',
            {},
            {0: (1, 1, 1, 2**24 + 5), 1: (1, 2, 1, 2**24 + 5)},
            'every axis must be known',
        ),
    ],
)
def test_sizes_do_not_wrap_around(operator, changes, shapes, message):
    attributes, right = VALID[operator]
    with pytest.raises(mx.base.MXNetError, match=message):
        infer(
            operator,
            dict(attributes, **changes),
            [shapes.get(number, shape) for number, shape in enumerate(right)],
        )
