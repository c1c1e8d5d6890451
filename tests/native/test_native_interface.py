"""Native operators inside MXNet: error messages, and the traps of the interface that they are built on."""
import mxnet as mx
import numpy as np
import pytest

from lib.operator_cxx import loader
from lib.symbols import operators
from tests.helpers.native_tools import PROPOSAL, PSROI, assert_close, run, warp_arrays, warp_symbol

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')


@pytest.mark.parametrize('build, shapes, message', [
    (lambda v: mx.sym.DFFFlowWarp(*v, has_scale=1), [(1, 8, 4, 5), (2, 2, 4, 6), (2, 8, 4, 5)],
     r'DFFFlowWarp: input flow has shape \(2, 2, 4, 6\), but feature \(1, 8, 4, 5\) needs \(any, 2, 4, 5\)'),
    (lambda v: mx.sym.DFFFlowWarp(*v, has_scale=1), [(1, 8, 4, 5), (2, 2, 4, 5), (1, 8, 4, 5)],
     r'input scale has shape \(1, 8, 4, 5\), but .* needs \(2, 8, 4, 5\)'),
    (lambda v: mx.sym.DFFCorrelation(v[0], v[1], max_displacement=4), [(1, 8, 4, 5), (1, 8, 4, 6), ()],
     r'DFFCorrelation: input reference has shape \(1, 8, 4, 6\), but current \(1, 8, 4, 5\) needs \(1, 8, 4, 5\)'),
    (lambda v: mx.sym.DFFPSROIPooling(v[0], v[1], **PSROI), [(1, 244, 4, 5), (2, 5), ()],
     r'DFFPSROIPooling: input data has shape \(1, 244, 4, 5\), but output_dim 5 with group_size 7 needs \(any, 245, '
     r'any, any\)'),
    (lambda v: mx.sym.DFFPSROIPooling(v[0], v[1], **PSROI), [(1, 245, 4, 5), (2, 4), ()],
     r'input rois has shape \(2, 4\), but data \(1, 245, 4, 5\) needs \(any, 5\)'),
    (lambda v: mx.sym.DFFProposal(*v, **PROPOSAL), [(1, 18, 4, 5), (1, 18, 4, 5), (1, 3)],
     r'DFFProposal: input bbox_pred has shape \(1, 18, 4, 5\), but cls_prob \(1, 18, 4, 5\) needs \(1, 36, 4, 5\)'),
])
def test_wrong_shapes_name_operator_input_and_shapes(build, shapes, message):
    variables = [mx.sym.Variable(name) for name in 'abc']
    with pytest.raises(mx.base.MXNetError, match=message):
        build(variables).infer_shape(**{name: shape for name, shape in zip('abc', shapes) if shape})


@pytest.mark.parametrize('change, message', [
    (dict(pooled_size='seven'), "attribute pooled_size is 'seven', expected an integer from 1 to 256"),
    (dict(group_size=0), "attribute group_size is '0', expected an integer from 1 to 256"),
    (dict(spatial_scale=-1), "attribute spatial_scale is '-1', expected numbers such as .* from 1e-06 to 1e"),
    (dict(sampling=2), 'unknown attribute sampling; it has: spatial_scale, output_dim'),
])
def test_wrong_attributes_are_named(change, message):
    with pytest.raises(mx.base.MXNetError, match=message):
        mx.sym.DFFPSROIPooling(mx.sym.Variable('a'), mx.sym.Variable('b'), **dict(PSROI, **change))


def test_symbols_load_again_from_json():
    symbol = warp_symbol(True)
    arrays = warp_arrays(np.random.RandomState(7), 1, 1, 9, 4, 6)
    again = mx.sym.load_json(symbol.tojson())
    np.testing.assert_array_equal(run(again, arrays)[0], run(symbol, arrays)[0])


def test_gradients_add_up_with_grad_req_add():
    rng = np.random.RandomState(8)
    arrays, grad = warp_arrays(rng, 1, 1, 9, 4, 6), rng.randn(1, 9, 4, 6)
    once = run(warp_symbol(True), arrays, grad)[1]
    twice = run(warp_symbol(True), arrays, grad, grad_req='add', steps=2)[1]
    for name in arrays:
        assert_close(twice[name], 2 * once[name], 1e-5)


def test_gradients_add_up_over_many_uses():
    rng = np.random.RandomState(9)
    arrays, grad = warp_arrays(rng, 1, 1, 9, 4, 6), rng.randn(1, 9, 4, 6)
    once = run(warp_symbol(True), arrays, grad)[1]
    # An inner tensor (not a variable) that 12 operators read: above 8 MXNet asks producers to add, which ours cannot.
    feature, flow, scale = (mx.sym.Variable(name) * 1 for name in ('feature', 'flow', 'scale'))
    total = mx.sym.add_n(*[operators.flow_warp(feature, flow, scale, name='warp%d' % k) for k in range(12)])
    for name, value in run(total, arrays, grad)[1].items():
        assert_close(value, 12 * once[name], 1e-5)
