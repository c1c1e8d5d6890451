"""network.FLOW_INPUT_SCALE: the flow network sees images of a quarter of their sides."""
import mxnet as mx
import numpy as np
import pytest

from lib.onnx_export.export import export_onnx
from lib.operator_cxx import loader
from lib.symbols.flownet import flownet
from lib.symbols.operators import image_pair
from lib.symbols.registry import get_symbol_instance
from lib.symbols.warp import cell_flow
from tests.helpers import tiny, tiny_seg
from tests.helpers.symbol_tools import relative_difference, run

KINDS = 'flownet', 'flownet_correlation', 'flownet_inception'
QUARTER = {'network__FLOW_INPUT_SCALE': 0.25}


def symbol_of(kind, stride, input_scale, passes=1):
    images = [mx.sym.Variable(name) for name in ('data', 'data_ref')]
    return mx.sym.Group(list(flownet(*images, 24, 0.25, kind=kind, stride=stride, passes=passes,
                                     input_scale=input_scale)))


def parameters(symbol, gain=1.4, seed=0):
    random = np.random.RandomState(seed)
    shapes = zip(symbol.list_arguments(), symbol.infer_shape(data=(1, 3, 64, 96), data_ref=(1, 3, 64, 96))[0])
    return {name: gain * random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) + 1)
            for name, shape in shapes if not name.startswith('data')}


def images(height, width, count=1):
    random = np.random.RandomState(1)
    return {name: 40 * random.standard_normal((count, 3, height, width)) for name in ('data', 'data_ref')}


def halved(image):
    """Means of the pixels that there are of every 2 x 2."""
    rows, columns = (np.arange(0, side, 2) for side in image.shape[2:])
    area = np.ones(image.shape[2:])

    def total(value):
        return np.add.reduceat(np.add.reduceat(value, rows, axis=-2), columns, axis=-1)
    return total(image) / total(area)


def doubled(image):
    return image.repeat(2, axis=2).repeat(2, axis=3)


@pytest.mark.parametrize('native', [True, False])
@pytest.mark.parametrize('size', [(8, 12), (9, 13), (13, 6), (5, 1)])
def test_the_images_are_halved_twice(monkeypatch, native, size):
    if not native:
        monkeypatch.setattr(loader, 'load', lambda: False)
    given = images(*size, count=2)
    given['data_ref'] = given['data_ref'][:1]
    pair = image_pair(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 0.3, shared=True, again=True)
    found = list(run(pair, given)[0].values())[0]
    wanted = np.concatenate([given['data'], given['data_ref'].repeat(2, axis=0)], axis=1)
    np.testing.assert_allclose(found, 0.3 * halved(halved(wanted)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('passes', [1, 2])
@pytest.mark.parametrize('stride', [16, 8])
@pytest.mark.parametrize('kind', KINDS)
def test_shapes(kind, stride, passes):
    symbol = symbol_of(kind, stride, 0.25, passes)
    for size in (64, 96), (90, 122), (33, 70), (61, 47):
        _, shapes, _ = symbol.infer_shape(data=(2, 3) + size, data_ref=(2, 3) + size)
        cells = tuple(-(-side // stride) for side in size)
        assert shapes == [(2, 2) + cells, (2, 24) + cells]


@pytest.mark.parametrize('stride', [16, 8])
@pytest.mark.parametrize('kind', KINDS)
def test_a_prediction_is_as_many_pixels_at_both_scales(kind, stride):
    """Of the image: 40 for one unit."""
    for input_scale in 0.5, 0.25:
        symbol = symbol_of(kind, stride, input_scale)
        args = dict(parameters(symbol, gain=0), Convolution5_bias=np.array([0.5, -0.25]))
        for flow in symbol[0], cell_flow(symbol, stride):
            found = list(run(flow, images(70, 102), args)[0].values())[0]
            assert found.shape == (1, 2, -(-70 // stride), -(-102 // stride))
            np.testing.assert_allclose(stride * found[0, 0], 20, rtol=1e-5)
            np.testing.assert_allclose(stride * found[0, 1], -10, rtol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_at_cells_of_16_it_is_the_network_of_cells_of_8_on_halved_images(kind):
    """With the same parameters; one unit is the same in pixels, and cells are twice as wide."""
    symbols = symbol_of(kind, 16, 0.25), symbol_of(kind, 8, 0.5)
    small = images(35, 51)
    inputs = {name: doubled(image) for name, image in small.items()}, small
    args = parameters(symbols[0])
    (flow, scale), (fine_flow, fine_scale) = (
        list(run(symbol, given, args)[0].values()) for symbol, given in zip(symbols, inputs))
    assert np.abs(flow).max() > 0.1 and relative_difference(flow, fine_flow / 2) < 1e-4
    assert relative_difference(scale, fine_scale) < 1e-4


@pytest.mark.parametrize('kind', KINDS)
def test_cells_of_8_lie_between_those_of_16(kind):
    """Where a prediction depends on its own cell alone: the mean of 3 x 3 cells of half the width."""
    coarse, fine = symbol_of(kind, 16, 0.25), symbol_of(kind, 8, 0.25)
    given, args = images(70, 102), parameters(coarse)
    args['Convolution5_weight'][:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    (flow, scale), found = (list(run(symbol, given, args)[0].values()) for symbol in (coarse, fine))
    for here, wanted in zip(found, (2 * flow, scale)):
        wide = np.pad(doubled(wanted), ((0, 0), (0, 0), (1, 1), (1, 1)), mode='edge')
        height, width = here.shape[2:]
        mean = sum(wide[:, :, y:y + height, x:x + width] for y in range(3) for x in range(3)) / 9
        assert (height, width) == (9, 13) and relative_difference(here, mean) < 1e-4


@pytest.mark.parametrize('task', ['dff_rfcn', 'fgfa_rfcn', 'dff_deeplab'])
def test_every_network_with_flow_has_it(task):
    config = tiny_seg.seg_config if task == 'dff_deeplab' else tiny.tiny_config
    cfg = config(task, **QUARTER)
    first = get_symbol_instance(cfg).get_train_symbol(cfg).get_internals()['flow_conv1_output']
    shape = {name: (1, 3, 70, 102) for name in first.list_arguments() if name.startswith('data')}
    assert first.infer_shape(**shape)[1][0][2:] == (9, 13)


@pytest.mark.parametrize('stride, passes', [(16, 1), (8, 1), (8, 2)])
def test_every_layer_learns(stride, passes):
    symbol = symbol_of('flownet', stride, 0.25, passes)
    losses = mx.sym.Group([mx.sym.MakeLoss(output) for output in symbol])
    _, gradients = run(losses, images(70, 102), parameters(symbol), train=True)
    layers = [name for name in symbol.list_arguments() if not name.startswith('data')]
    assert len(layers) > 40 and not [name for name in layers if not np.abs(gradients[name]).max() > 0]
    cells = np.prod(symbol[0].infer_shape(data=(1, 3, 70, 102), data_ref=(1, 3, 70, 102))[1][0][2:])
    np.testing.assert_allclose(gradients['Convolution5_bias'], 40 / stride * cells, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('task', ['fgfa_rfcn', 'dff_deeplab'])
def test_onnx_files_compute_the_same(tmp_path, task):
    from tests.helpers.onnx_tools import export_tiny      # skips where onnx is missing
    assert export_onnx(export_tiny(task, tmp_path, **QUARTER), str(tmp_path))[0].startswith('float32: ')
