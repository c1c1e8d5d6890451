"""Native operators inside MXNet: agreement with its own, gradients. Messages and traps: test_native_interface.py."""
import mxnet as mx
import numpy as np
import pytest

from lib.boxes.anchors import base_anchors
from lib.config.defaults import detection_defaults
from lib.operator_cxx import loader
from lib.symbols import operators
from lib.symbols.operators import mine_hard
from lib.symbols.rcnn_targets import rcnn_targets
from tests.helpers import native_oracles as oracles
from tests.helpers.native_tools import PROPOSAL, PSROI, assert_close, builtin, run, warp_arrays, warp_symbol

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native operators are not built (sh init.sh builds them)')


def random_rois(rng, count, images, height, width):
    corners = rng.uniform(-40, 1.1 * max(height, width), (count, 2, 2))
    return np.hstack((rng.randint(0, images, (count, 1)), corners.min(axis=1), corners.max(axis=1))).astype(np.float32)


@pytest.mark.parametrize('images, shared, scaled',
                         [(1, False, True), (1, False, False), (10, True, True), (3, False, True)])
@pytest.mark.parametrize('size', [(37, 13, 21), (8, 2, 3)])
def test_warp_agrees_with_mxnet(images, shared, scaled, size):
    rng = np.random.RandomState(0)
    arrays = warp_arrays(rng, images, 1 if shared else images, *size, scaled=scaled)
    grad = rng.randn(images, *size)
    out, gradients = run(warp_symbol(scaled, shared), arrays, grad)
    expected, expected_gradients = run(builtin(lambda: warp_symbol(scaled, shared)), arrays, grad)
    assert_close(out, expected, 1e-5)
    for name in arrays:
        assert_close(gradients[name], expected_gradients[name], 1e-4)


def test_warp_gradients_are_central_differences():
    rng = np.random.RandomState(1)
    arrays = warp_arrays(rng, 2, 2, 3, 5, 6)
    # Away from whole pixels, where the interpolation has a corner and no derivative.
    arrays['flow'] = np.floor(arrays['flow']) + rng.uniform(0.1, 0.9, arrays['flow'].shape).astype(np.float32)
    grad = rng.randn(2, 3, 5, 6).astype(np.float32)
    out, gradients = run(warp_symbol(True), arrays, grad)
    assert_close(out, oracles.flow_warp(**arrays), 1e-5)
    for name, value in arrays.items():
        places = [tuple(rng.randint(0, n) for n in value.shape) for _ in range(40)]

        def loss(moved, name=name):
            return (oracles.flow_warp(**dict(arrays, **{name: moved})) * grad).sum()
        assert_close(np.array([gradients[name][place] for place in places]),
                     oracles.central_difference(loss, value, places), 1e-4)


def test_warp_of_flow_that_is_not_finite():
    arrays = warp_arrays(np.random.RandomState(2), 1, 1, 4, 3, 5)
    arrays['flow'][0, 0, 1] = [np.nan, np.inf, -np.inf, 1e30, 0]
    out, gradients = run(warp_symbol(True), arrays, np.ones((1, 4, 3, 5)))
    assert np.isnan(out[0, :, 1, 0]).all() and np.isfinite(out[0, :, 1, 1:]).all()
    assert np.isfinite(out[0, :, [0, 2]]).all()
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
    assert_close(out, expected, 1e-5)
    assert_close(out, oracles.correlation(**arrays, max_displacement=displacement), 1e-5)
    for name in arrays:
        assert_close(gradients[name], expected_gradients[name], 1e-4)


def test_correlation_finds_where_a_map_has_gone():
    reference = np.random.RandomState(1).randn(1, 32, 12, 16)
    # what is at p was at p + (3, -2)
    arrays = dict(current=np.roll(reference, (2, -3), axis=(2, 3)), reference=reference)
    best = run(correlation_symbol(4), arrays)[0].argmax(axis=1)[0, 4:-4, 4:-4]
    assert (best == (-2 + 4) * 9 + (3 + 4)).all()


@pytest.mark.parametrize('images, size', [(1, (36, 63)), (10, (5, 7)), (2, (1, 1))])
def test_psroi_agrees_with_mxnet(images, size):
    rng = np.random.RandomState(3)
    arrays = dict(data=rng.randn(images, 245, *size).astype(np.float32),
                  rois=random_rois(rng, 40, images, size[0] * 16, size[1] * 16))
    grad = rng.randn(40, 5, 7, 7)
    make = lambda: operators.psroi_pooling(mx.sym.Variable('data'), mx.sym.Variable('rois'), name='pooled', **PSROI)
    out, gradients = run(make(), arrays, grad)
    expected, expected_gradients = run(builtin(make), arrays, grad)
    assert_close(out, expected, 1e-5)
    assert_close(gradients['data'], expected_gradients['data'], 1e-4)
    assert (gradients['rois'] == 0).all()
    assert_close(out, oracles.psroi_pooling(arrays['data'], arrays['rois'], **PSROI), 1e-5)


@pytest.mark.parametrize('pooled, group, output_dim', [(7, 7, 9), (6, 3, 2), (3, 1, 8), (2, 5, 1)])
def test_psroi_gradient_is_the_central_difference(pooled, group, output_dim):
    rng = np.random.RandomState(4)
    settings = dict(spatial_scale=0.25, output_dim=output_dim, pooled_size=pooled, group_size=group)
    arrays = dict(data=rng.randn(2, output_dim * group ** 2, 6, 9).astype(np.float32),
                  rois=random_rois(rng, 12, 2, 24, 36))
    grad = rng.randn(12, output_dim, pooled, pooled).astype(np.float32)
    symbol = operators.psroi_pooling(mx.sym.Variable('data'), mx.sym.Variable('rois'), name='pooled', **settings)
    out, gradients = run(symbol, arrays, grad)
    assert_close(out, oracles.psroi_pooling(arrays['data'], arrays['rois'], **settings), 1e-5)
    places = [tuple(rng.randint(0, n) for n in arrays['data'].shape) for _ in range(40)]
    loss = lambda data: (oracles.psroi_pooling(data, arrays['rois'], **settings) * grad).sum()
    slopes = oracles.central_difference(loss, arrays['data'], places)
    assert_close(np.array([gradients['data'][place] for place in places]), slopes, 1e-4)


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
    arrays['cls_prob'] = arrays['cls_prob'][:, -2 * anchors:]
    arrays['bbox_pred'] = arrays['bbox_pred'][:, -4 * anchors:]
    expected = run(builtin(lambda: proposal_symbol(images, **changes)), arrays)[0]
    np.testing.assert_array_equal(run(proposal_symbol(images, **changes), arrays)[0], expected)
    assert proposal_symbol(images).list_outputs() == ['rois_output']


def test_proposals_are_those_of_the_oracle():
    arrays = {name: value.astype(np.float32) for name, value in proposal_arrays(np.random.RandomState(10), 2).items()}
    expected = oracles.proposal(arrays['cls_prob'], arrays['bbox_pred'], arrays['im_info'],
                                base_anchors(16, (8, 16, 32), (.5, 1, 2)), 16, PROPOSAL['rpn_pre_nms_top_n'],
                                PROPOSAL['rpn_post_nms_top_n'], PROPOSAL['threshold'])
    assert_close(run(proposal_symbol(2), arrays)[0], expected, 1e-5)


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
        assert_close(found, expected, 1e-6)
        assert not gradients['current'].any() and not gradients['reference'].any()


def test_targets_and_mining_agree_with_plain_symbols():
    rng = np.random.RandomState(12)
    cfg = detection_defaults()
    cfg.TRAIN.BATCH_IMAGES, cfg.TRAIN.BATCH_ROIS, cfg.dataset.NUM_CLASSES, cfg.CLASS_AGNOSTIC = 2, -1, 6, False
    truths = np.dstack((np.stack([random_rois(rng, 4, 1, 200, 200)[:, 1:] for _ in range(2)]),
                        rng.randint(-1, 6, (2, 4, 1)))) + [0, 0, 30, 30, 0]
    rois = np.vstack([np.repeat(truths[n, :, :4], 10, axis=0) + rng.uniform(-12, 12, (40, 4)) for n in range(2)])
    arrays = dict(rois=np.hstack((np.repeat([[0], [1]], 40, axis=0), rois)), gt_boxes=truths, score=rng.randn(88, 6),
                  deltas=rng.randn(88, 24))

    def make():
        rois, gt_boxes, score, deltas = (mx.sym.Variable(name) for name in arrays)
        chosen, label, target, weight = rcnn_targets(rois, gt_boxes, cfg)
        return mx.sym.Group([chosen, label, target, weight]
                            + list(mine_hard(score, deltas, label, target, weight, 2, 20)))
    arguments = {name: mx.nd.array(value) for name, value in arrays.items()}
    native, plain = (symbol.bind(mx.cpu(), arguments, grad_req='null').forward() for symbol in (make(), builtin(make)))
    assert (plain[1].asnumpy() > 0).sum() > 10
    for found, expected in zip(native, plain):
        assert_close(found.asnumpy(), expected.asnumpy(), 1e-5)
