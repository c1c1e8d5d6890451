"""Native operators inside MXNet: agreement with its own, gradients, error messages, the interface's traps."""
import mxnet as mx
import numpy as np
import pytest

from lib.config.defaults import detection_defaults
from lib.nms.frame_nms import frame_detections
from lib.operator_cxx import loader
from lib.rpn.anchors import base_anchors
from lib.symbols import operators
from lib.symbols.ohem import mine_hard
from lib.symbols.rcnn_targets import rcnn_targets
from tests import native_oracles as oracles

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')

PSROI = dict(spatial_scale=1 / 16, output_dim=5, pooled_size=7, group_size=7)
PROPOSAL = dict(feature_stride=16, scales=(8, 16, 32), ratios=(.5, 1, 2), rpn_pre_nms_top_n=600, rpn_post_nms_top_n=50,
                threshold=.7, rpn_min_size=0)


def run(symbol, arrays, out_grad=None, grad_req='write', steps=1):
    """Outputs and the gradients by argument name of a symbol whose arguments are `arrays`."""
    arguments = {name: mx.nd.array(value) for name, value in arrays.items()}
    gradients = {name: mx.nd.zeros(value.shape) for name, value in arrays.items()} if out_grad is not None else None
    executor = symbol.bind(mx.cpu(), arguments, gradients, grad_req if gradients else 'null')
    for _ in range(steps):
        executor.forward(is_train=gradients is not None)
        if gradients:
            executor.backward([mx.nd.array(out_grad)])
    return executor.outputs[0].asnumpy(), {name: value.asnumpy() for name, value in (gradients or {}).items()}


def builtin(make):
    """The symbol that `make()` builds, from MXNet's own operators."""
    with loader.built_in():
        return make()


def close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1, abs(np.asarray(expected)).max()))


def random_rois(rng, count, images, height, width):
    corners = rng.uniform(-40, 1.1 * max(height, width), (count, 2, 2))
    return np.hstack((rng.randint(0, images, (count, 1)), corners.min(axis=1), corners.max(axis=1))).astype(np.float32)


def warp_arrays(rng, images, feature_images, channels, height, width, scaled=True):
    arrays = dict(feature=rng.randn(feature_images, channels, height, width), flow=rng.randn(images, 2, height, width) * 3)
    if scaled:
        arrays['scale'] = rng.randn(images, channels, height, width)
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def warp_symbol(scaled, shared=False):
    names = ('feature', 'flow', 'scale') if scaled else ('feature', 'flow')
    return operators.flow_warp(*[mx.sym.Variable(name) for name in names], shared=shared)


@pytest.mark.parametrize('images, shared, scaled', [(1, False, True), (1, False, False), (10, True, True), (3, False, True)])
@pytest.mark.parametrize('size', [(37, 13, 21), (8, 2, 3)])
def test_warp_agrees_with_mxnet(images, shared, scaled, size):
    rng = np.random.RandomState(0)
    arrays = warp_arrays(rng, images, 1 if shared else images, *size, scaled=scaled)
    grad = rng.randn(images, *size)
    out, gradients = run(warp_symbol(scaled, shared), arrays, grad)
    expected, expected_gradients = run(builtin(lambda: warp_symbol(scaled, shared)), arrays, grad)
    close(out, expected, 1e-5)
    for name in arrays:
        close(gradients[name], expected_gradients[name], 1e-4)


def test_warp_gradients_are_central_differences():
    rng = np.random.RandomState(1)
    arrays = warp_arrays(rng, 2, 2, 3, 5, 6)
    # Away from whole pixels, where the interpolation has a corner and no derivative.
    arrays['flow'] = np.floor(arrays['flow']) + rng.uniform(0.1, 0.9, arrays['flow'].shape).astype(np.float32)
    grad = rng.randn(2, 3, 5, 6).astype(np.float32)
    out, gradients = run(warp_symbol(True), arrays, grad)
    close(out, oracles.flow_warp(**arrays), 1e-5)
    for name, value in arrays.items():
        places = [tuple(rng.randint(0, n) for n in value.shape) for _ in range(40)]

        def loss(moved, name=name):
            return (oracles.flow_warp(**dict(arrays, **{name: moved})) * grad).sum()
        close(np.array([gradients[name][place] for place in places]), oracles.central_difference(loss, value, places), 1e-4)


def test_warp_of_flow_that_is_not_finite():
    arrays = warp_arrays(np.random.RandomState(2), 1, 1, 4, 3, 5)
    arrays['flow'][0, 0, 1] = [np.nan, np.inf, -np.inf, 1e30, 0]
    out, gradients = run(warp_symbol(True), arrays, np.ones((1, 4, 3, 5)))
    assert np.isnan(out[0, :, 1, 0]).all() and np.isfinite(out[0, :, 1, 1:]).all() and np.isfinite(out[0, :, [0, 2]]).all()
    assert (out[0, :, 1, 1:4] == 0).all()
    assert np.isfinite(gradients['feature']).all()
    assert np.isnan(gradients['flow']).sum() <= 2


def correlation_arrays(rng, *size):
    return {name: rng.randn(*size).astype(np.float32) for name in ('current', 'reference')}


def correlation_symbol(displacement):
    return operators.correlation(mx.sym.Variable('current'), mx.sym.Variable('reference'), displacement)


@pytest.mark.parametrize('displacement', [0, 1, 4])
@pytest.mark.parametrize('size', [(1, 16, 24, 40), (3, 5, 7, 13), (2, 1, 1, 1)])
def test_correlation_agrees_with_mxnet(size, displacement):
    rng = np.random.RandomState(0)
    arrays, grad = correlation_arrays(rng, *size), rng.randn(size[0], (2 * displacement + 1) ** 2, *size[2:])
    out, gradients = run(correlation_symbol(displacement), arrays, grad)
    expected, expected_gradients = run(builtin(lambda: correlation_symbol(displacement)), arrays, grad)
    close(out, expected, 1e-5)
    close(out, oracles.correlation(**arrays, max_displacement=displacement), 1e-5)
    for name in arrays:
        close(gradients[name], expected_gradients[name], 1e-4)


def test_correlation_finds_where_a_map_has_gone():
    reference = np.random.RandomState(1).randn(1, 32, 12, 16)
    arrays = dict(current=np.roll(reference, (2, -3), axis=(2, 3)), reference=reference)     # what is at p was at p + (3, -2)
    best = run(correlation_symbol(4), arrays)[0].argmax(axis=1)[0, 4:-4, 4:-4]
    assert (best == (-2 + 4) * 9 + (3 + 4)).all()


@pytest.mark.parametrize('images, size', [(1, (36, 63)), (10, (5, 7)), (2, (1, 1))])
def test_psroi_agrees_with_mxnet(images, size):
    rng = np.random.RandomState(3)
    arrays = dict(data=rng.randn(images, 245, *size).astype(np.float32), rois=random_rois(rng, 40, images, size[0] * 16, size[1] * 16))
    grad = rng.randn(40, 5, 7, 7)
    make = lambda: operators.psroi_pooling(mx.sym.Variable('data'), mx.sym.Variable('rois'), name='pooled', **PSROI)  # noqa: E731
    out, gradients = run(make(), arrays, grad)
    expected, expected_gradients = run(builtin(make), arrays, grad)
    close(out, expected, 1e-5)
    close(gradients['data'], expected_gradients['data'], 1e-4)
    assert (gradients['rois'] == 0).all()
    close(out, oracles.psroi_pooling(arrays['data'], arrays['rois'], **PSROI), 1e-5)


@pytest.mark.parametrize('pooled, group, output_dim', [(7, 7, 9), (6, 3, 2), (3, 1, 8), (2, 5, 1)])
def test_psroi_gradient_is_the_central_difference(pooled, group, output_dim):
    rng = np.random.RandomState(4)
    settings = dict(spatial_scale=0.25, output_dim=output_dim, pooled_size=pooled, group_size=group)
    arrays = dict(data=rng.randn(2, output_dim * group ** 2, 6, 9).astype(np.float32), rois=random_rois(rng, 12, 2, 24, 36))
    grad = rng.randn(12, output_dim, pooled, pooled).astype(np.float32)
    symbol = operators.psroi_pooling(mx.sym.Variable('data'), mx.sym.Variable('rois'), name='pooled', **settings)
    out, gradients = run(symbol, arrays, grad)
    close(out, oracles.psroi_pooling(arrays['data'], arrays['rois'], **settings), 1e-5)
    places = [tuple(rng.randint(0, n) for n in arrays['data'].shape) for _ in range(40)]
    slopes = oracles.central_difference(lambda data: (oracles.psroi_pooling(data, arrays['rois'], **settings) * grad).sum(),
                                        arrays['data'], places)
    close(np.array([gradients['data'][place] for place in places]), slopes, 1e-4)


def proposal_arrays(rng, images, height=12, width=20):
    return dict(cls_prob=rng.permutation(images * 18 * height * width).reshape(images, 18, height, width) / 1e5,
                bbox_pred=rng.randn(images, 36, height, width) * 0.3,
                im_info=np.tile([height * 16 - 40, width * 16 - 60, 1.5], (images, 1)))


def proposal_symbol(images, **changes):
    inputs = [mx.sym.Variable(name) for name in ('cls_prob', 'bbox_pred', 'im_info')]
    return operators.proposal(*inputs, batch_images=images, name='rois', **dict(PROPOSAL, **changes))


@pytest.mark.parametrize('changes', [{}, dict(rpn_min_size=16), dict(scales=(2.52, 3.7)), dict(rpn_pre_nms_top_n=-1),
                                     dict(rpn_pre_nms_top_n=20, threshold=0.1)])
@pytest.mark.parametrize('images', [1, 4])
def test_proposals_are_those_of_mxnet(images, changes):
    arrays = proposal_arrays(np.random.RandomState(5), images)
    anchors = 3 * len(changes.get('scales', PROPOSAL['scales']))
    arrays['cls_prob'], arrays['bbox_pred'] = arrays['cls_prob'][:, -2 * anchors:], arrays['bbox_pred'][:, -4 * anchors:]
    expected = run(builtin(lambda: proposal_symbol(images, **changes)), arrays)[0]
    np.testing.assert_array_equal(run(proposal_symbol(images, **changes), arrays)[0], expected)
    assert proposal_symbol(images).list_outputs() == ['rois_output']


def test_proposals_are_those_of_the_oracle():
    arrays = {name: value.astype(np.float32) for name, value in proposal_arrays(np.random.RandomState(10), 2).items()}
    expected = oracles.proposal(arrays['cls_prob'], arrays['bbox_pred'], arrays['im_info'], base_anchors(16, (8, 16, 32), (.5, 1, 2)),
                                16, PROPOSAL['rpn_pre_nms_top_n'], PROPOSAL['rpn_post_nms_top_n'], PROPOSAL['threshold'])
    close(run(proposal_symbol(2), arrays)[0], expected, 1e-5)


def test_proposals_of_hostile_deltas_are_finite_and_pass_no_gradient():
    arrays = proposal_arrays(np.random.RandomState(6), 2)
    arrays['bbox_pred'][0, :, 0] = np.nan
    arrays['bbox_pred'][0, 1::3, 1] = np.inf
    arrays['cls_prob'][0, :, 2] = np.nan
    arrays['bbox_pred'][1] = np.nan
    rois, gradients = run(proposal_symbol(2), arrays, np.ones((100, 5)))
    assert np.isfinite(rois).all() and rois[:50, 1:].any()
    assert (rois[50:, 1:] == 0).all()  # an image without any finite box
    assert all((value == 0).all() for value in gradients.values())


@pytest.mark.parametrize('columns', [8, 24])
def test_detections_of_a_batch_are_those_of_its_frames(columns):
    rng = np.random.RandomState(11)
    rois = np.concatenate([random_rois(rng, 50, 1, 300, 400) for _ in range(3)])
    arrays = dict(rois=rois, cls_prob=rng.dirichlet(np.ones(6), (3, 50)), bbox_pred=0.3 * rng.randn(3, 50, columns),
                  im_info=np.tile([300, 400, 1.5], (3, 1)))
    symbol = mx.sym.DFFDetections(*[mx.sym.Variable(name) for name in arrays], score_threshold=0.3, nms_threshold=0.4, limit=30)
    found = run(symbol, arrays)[0]
    assert found.shape == (3, 30, 6)
    for n in range(3):
        expected = frame_detections(rois[50 * n:50 * n + 50], arrays['cls_prob'][n], arrays['bbox_pred'][n], (300, 400, 1.5), 0.3, 0.4, 30)
        assert 5 < len(expected)
        np.testing.assert_array_equal(found[n, :len(expected)], expected)
        assert (found[n, len(expected):] == [-1, 0, 0, 0, 0, 0]).all()


@pytest.mark.parametrize('images, shared', [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize('size', [(3, 10, 12), (3, 7, 9), (1, 1, 1), (2, 5, 2)])
def test_image_pair_is_the_mean_of_the_pixels_there_are(images, shared, size):
    rng = np.random.RandomState(7)
    arrays = dict(current=rng.randn(images, *size), reference=rng.randn(1 if shared else images, *size))

    def pair():
        return operators.image_pair(mx.sym.Variable('current'), mx.sym.Variable('reference'), 0.3, shared)
    expected = np.concatenate([np.broadcast_to(oracles.halved(value), (images,) + oracles.halved(value).shape[1:])
                               for value in arrays.values()], axis=1) * 0.3
    for symbol in (pair(), builtin(pair)):
        found, gradients = run(symbol, arrays, np.ones(expected.shape))
        close(found, expected, 1e-6)
        assert not gradients['current'].any() and not gradients['reference'].any()


def test_targets_and_mining_agree_with_plain_symbols():
    rng = np.random.RandomState(12)
    cfg = detection_defaults()
    cfg.TRAIN.BATCH_IMAGES, cfg.TRAIN.BATCH_ROIS, cfg.dataset.NUM_CLASSES, cfg.CLASS_AGNOSTIC = 2, -1, 6, False
    truths = np.dstack((np.stack([random_rois(rng, 4, 1, 200, 200)[:, 1:] for _ in range(2)]), rng.randint(-1, 6, (2, 4, 1)))) + [0, 0, 30, 30, 0]
    rois = np.vstack([np.repeat(truths[n, :, :4], 10, axis=0) + rng.uniform(-12, 12, (40, 4)) for n in range(2)])
    arrays = dict(rois=np.hstack((np.repeat([[0], [1]], 40, axis=0), rois)), gt_boxes=truths, score=rng.randn(88, 6), deltas=rng.randn(88, 24))

    def make():
        rois, gt_boxes, score, deltas = (mx.sym.Variable(name) for name in arrays)
        chosen, label, target, weight = rcnn_targets(rois, gt_boxes, cfg)
        return mx.sym.Group([chosen, label, target, weight] + list(mine_hard(score, deltas, label, target, weight, 2, 20)))
    arguments = {name: mx.nd.array(value) for name, value in arrays.items()}
    native, plain = (symbol.bind(mx.cpu(), arguments, grad_req='null').forward() for symbol in (make(), builtin(make)))
    assert (plain[1].asnumpy() > 0).sum() > 10
    for found, expected in zip(native, plain):
        close(found.asnumpy(), expected.asnumpy(), 1e-5)


@pytest.mark.parametrize('build, shapes, message', [
    (lambda v: mx.sym.DFFFlowWarp(*v, has_scale=1), [(1, 8, 4, 5), (2, 2, 4, 6), (2, 8, 4, 5)],
     r'DFFFlowWarp: input flow has shape \(2, 2, 4, 6\), but feature \(1, 8, 4, 5\) needs \(any, 2, 4, 5\)'),
    (lambda v: mx.sym.DFFFlowWarp(*v, has_scale=1), [(1, 8, 4, 5), (2, 2, 4, 5), (1, 8, 4, 5)],
     r'input scale has shape \(1, 8, 4, 5\), but .* needs \(2, 8, 4, 5\)'),
    (lambda v: mx.sym.DFFCorrelation(v[0], v[1], max_displacement=4), [(1, 8, 4, 5), (1, 8, 4, 6), ()],
     r'DFFCorrelation: input reference has shape \(1, 8, 4, 6\), but current \(1, 8, 4, 5\) needs \(1, 8, 4, 5\)'),
    (lambda v: mx.sym.DFFPSROIPooling(v[0], v[1], **PSROI), [(1, 244, 4, 5), (2, 5), ()],
     r'DFFPSROIPooling: input data has shape \(1, 244, 4, 5\), but output_dim 5 with group_size 7 needs \(any, 245, any, any\)'),
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
    (dict(pooled_size='seven'), "attribute pooled_size is 'seven', expected an integer of at least 1"),
    (dict(group_size=0), "attribute group_size is '0', expected an integer of at least 1"),
    (dict(spatial_scale=-1), 'spatial_scale must be positive'),
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
        close(twice[name], 2 * once[name], 1e-5)


def test_gradients_add_up_over_many_uses():
    rng = np.random.RandomState(9)
    arrays, grad = warp_arrays(rng, 1, 1, 9, 4, 6), rng.randn(1, 9, 4, 6)
    once = run(warp_symbol(True), arrays, grad)[1]
    # An inner tensor (not a variable) that 12 operators read: above 8 MXNet asks producers to add, which ours cannot.
    feature, flow, scale = (mx.sym.Variable(name) * 1 for name in ('feature', 'flow', 'scale'))
    total = mx.sym.add_n(*[operators.flow_warp(feature, flow, scale, name='warp%d' % k) for k in range(12)])
    for name, value in run(total, arrays, grad)[1].items():
        close(value, 12 * once[name], 1e-5)
