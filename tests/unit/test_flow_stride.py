"""Flow at cells of 8 pixels: the networks, what they hand out, what follows it."""
import mxnet as mx
import numpy as np
import pytest

from dff.frames import Frame
from dff.tracking.follow import Follower
from dff.tracking.motion import box_displacements
from dff.tracking.tracker import Tracker
from lib.flow.follow import measure, no_motion, table
from lib.flow.real_frames import Window
from lib.graph.graph import Graph
from lib.symbols.flownet import flownet
from lib.symbols.initialise import initial_value
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny
from tests.helpers.symbol_tools import relative_difference, run


@pytest.mark.parametrize('kind', ['flownet', 'flownet_correlation', 'flownet_inception'])
def test_flow_of_half_the_stride(kind):
    images = [mx.sym.Variable(name) for name in ('data', 'data_ref')]
    shape = (1, 3, 70, 102)
    values = {}
    for stride in (16, 8):
        flow = mx.sym.Group(list(flownet(*images, 24, 0.25, kind=kind, stride=stride)))
        shapes, outputs, _ = flow.infer_shape(data=shape, data_ref=shape)
        cells = tuple(-(-side // stride) for side in shape[2:])
        assert outputs == [(1, 2) + cells, (1, 24) + cells]
        args = {name: np.zeros(each) for name, each in zip(flow.list_arguments(), shapes)
                if name not in ('data', 'data_ref')}
        values.setdefault('names', sorted(args))
        assert sorted(args) == values['names']
        args['Convolution5_bias'] = np.array([0.4, -1.0])
        found = run(flow, {'data': np.zeros(shape), 'data_ref': np.zeros(shape)}, args)[0]
        values[stride] = list(found.values())[0]
    # One prediction is 40 pixels, whatever the cells.
    assert (values[16][0, :, 0, 0] == np.array([1.0, -2.5], np.float32)).all()
    assert (values[8][0, :, 0, 0] == 2 * values[16][0, :, 0, 0]).all()


def test_flow_of_half_the_stride_is_that_of_the_stride_at_more_places():
    """The prediction at 8 sees what the one at 16 sees: nine means of the decoder's last map, 2 cells apart."""
    images = [mx.sym.Variable(name) for name in ('data', 'data_ref')]
    coarse, fine = (flownet(*images, 8, 0.125, kind='flownet_correlation', stride=stride)[0] for stride in (16, 8))
    random, shape = np.random.RandomState(3), (1, 3, 96, 128)
    inputs = {name: 80 * random.standard_normal(shape) for name in ('data', 'data_ref')}
    shapes = zip(fine.list_arguments(), fine.infer_shape(data=shape, data_ref=shape)[0])
    args = {name: initial_value(name, each) for name, each in shapes if name not in inputs}
    args['Convolution5_weight'] *= 10
    found, _ = run(fine, inputs, args, more=['concat2_output'])
    flow, merged = list(found.values())[0], found['concat2_output']
    padded = np.pad(merged, ((0, 0), (0, 0), (1, 1), (1, 1)), mode='edge')
    mean = sum(padded[:, :, y:y + 12, x:x + 16] for y in range(3) for x in range(3)) / 9
    around = np.pad(mean, ((0, 0), (0, 0), (2, 2), (2, 2)))
    wanted = sum(np.einsum('oc,nchw->nohw', args['Convolution5_weight'][:, :, y, x],
                           around[:, :, 2 * y:2 * y + 12, 2 * x:2 * x + 16]) for y in range(3) for x in range(3)) * 5
    assert flow.shape == (1, 2, 12, 16) and relative_difference(flow, wanted) < 1e-4
    # With noise for images, the mean of four of its cells is nearly the one of stride 16, whose cells are twice as
    # large.
    means = flow.reshape(1, 2, 6, 2, 8, 2).mean(axis=(3, 5)) / 2
    other = list(run(coarse, inputs, args)[0].values())[0]
    assert np.corrcoef(means.ravel(), other.ravel())[0, 1] > 0.9


def test_the_flow_that_networks_hand_out_is_the_one_that_they_warp_along():
    cfg = tiny.tiny_config('dff_rfcn', **tiny.STRIDE_8)
    instance = get_symbol_instance(cfg)
    symbol = instance.get_cur_test_symbol(cfg)
    out = mx.sym.Group([instance.flow(symbol, cfg), symbol.get_internals()['warping_feat_output']])
    data = (1, 3, 64, 96)
    assert out.infer_shape(data=data, data_key=data, feat_key=(1, 32, 8, 12))[1] == [(1, 2, 8, 12), (1, 32, 8, 12)]
    factors = [node.get('scalar') for node in Graph(out).nodes()
               if node.op == '_mul_scalar' and node.input(0).name == 'Convolution5']
    assert factors == [5.0, 5.0]


def test_boxes_follow_flow_of_cells_of_8_pixels():
    flow = np.zeros((2, 8, 12), np.float32)
    flow[:, 2:4, 4:8] = np.array([1.5, -0.5]).reshape(2, 1, 1)
    boxes = np.array([[30, 14, 65, 33]])
    np.testing.assert_array_equal(box_displacements(boxes, flow, 1.0, 8), [[12, -4]])
    np.testing.assert_array_equal(box_displacements(boxes / 2, flow, 2.0, 8), [[6, -2]])
    image = np.zeros((64, 96, 3), np.uint8)
    frame = Frame(image, np.zeros((1, 3, 64, 96), np.float32), np.array([[64, 96, 1]], np.float32))
    flow[:] = np.array([4.0, 0.0]).reshape(2, 1, 1)
    for stride, ids in ((8, [[1], [1]]), (16, [[1], [2]])):      # 4 cells are 32 pixels, not 64
        follow = Follower(Tracker(), stride)
        found = [follow(np.array([[1, 0.9, 40, 20, 59, 39]]), frame, True, None, True),
                 follow(np.array([[1, 0.9, 8, 20, 27, 39]]), frame, False, flow, False)]
        assert [list(each) for each in found] == ids


def test_figures_of_flow_at_cells_of_8_pixels():
    images = [np.zeros((64, 96, 3), np.uint8)] * 2
    flows = np.zeros((1, 2, 16, 24, 3), np.float16)
    flows[..., 0], flows[..., 2] = 8, 1          # everything moves by 8 pixels to the right
    window = Window('clip', [0, 1], images, flows)

    def boxes(pattern, frame):
        return np.array([[16.0 + 8 * frame, 16, 47 + 8 * frame, 47]]), np.array([1])

    figures, motion = measure([window], boxes, {'no motion': lambda *pair: no_motion(*pair, stride=8)}, (1,), 8)
    assert motion == {1: 1.0} and figures['no motion'][1].everywhere == pytest.approx(1.0)
    assert figures['DIS, step by step'][1] == pytest.approx((0, 0, 1))
    assert figures['no motion'][1].overlap == pytest.approx(24 / 40)
    assert 'in cells of 8 pixels' in table(figures, motion, 8)[0]
