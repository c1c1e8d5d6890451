"""What benchmarks/training_parts.py counts and how it names it; a run on a tiny network."""
import mxnet as mx
import pytest

from benchmarks import training_parts
from benchmarks.training_parts import Layers, slowest, table, work_of
from tests.helpers import tiny, tiny_seg
from tests.helpers.marks import slow


def convolution(body, name, kernel=1):
    return mx.sym.Convolution(body, num_filter=2, kernel=(kernel, kernel), pad=(kernel // 2,) * 2, name=name)


def test_work_of_frozen_and_trained_layers():
    body = convolution(mx.sym.Variable('data'), 'frozen')
    body = mx.sym.BatchNorm(body, name='norm')                # its statistics are not trained by gradients
    first = convolution(body, 'first', 3)
    second = convolution(first, 'second')
    blocked = convolution(mx.sym.BlockGrad(first), 'blocked')
    passed = convolution(second, 'frozen_later')
    symbol = mx.sym.Group([blocked, passed])
    fixed = [name for name in symbol.list_arguments() if name.startswith(('frozen', 'norm'))]
    work = work_of(symbol, {'data': (2, 3, 4, 5)}, fixed)
    places = 2 * 4 * 5
    assert work == {
        'frozen': (places * 3 * 2, 0),
        'first': (places * 2 * 2 * 9, places * 2 * 2 * 9),       # weights alone
        'second': (places * 2 * 2, 2 * places * 2 * 2),
        'blocked': (places * 2 * 2, places * 2 * 2),
        'frozen_later': (places * 2 * 2, places * 2 * 2),        # input alone
    }


def test_sums_of_gradients_count_for_the_operator_before():
    watch = Layers({'conv': 'a', 'relu': 'b'})
    names = ['conv', 'relu', 'relu_backward', 'sum_grad', 'conv_backward', 'zeros_without_dtype']
    assert [watch.part_of(name) for name in names] == ['conv', 'relu', 'relu_backward', 'relu_backward',
                                                       'conv_backward', 'conv_backward']


def test_tables():
    layers = {'conv': 3.0, 'relu': 1.0, 'relu_backward': 2.0, 'conv_backward': 7.0}
    work = {'conv': (1e9, 2e9)}
    assert table(layers, {'conv': 'stem', 'relu': 'rest'}, work, 1000).splitlines()[2:] == [
        '| stem | 3.0 | 2.0 | 7.0 | 4.0 |', '| rest | 1.0 |  | 2.0 |  |', '| all of these | 4.0 | 2.0 | 9.0 | 4.0 |']
    assert slowest(layers, work, 1000, 2).splitlines()[2:] == ['| conv_backward | 7.0 | 4.0 |',
                                                               '| relu_backward | 2.0 | 0.0 |']


def test_where_nothing_is_trained_there_is_nothing_to_measure(tmp_path):
    cfg = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=4)
    done = tiny.run_here(training_parts.main, '--cfg', cfg, '--steps', 1, '--set', 'network.FIXED_PARAMS=[""]')
    assert done.returncode == 2 and 'network.FIXED_PARAMS freezes all parameters' in done.stderr


@pytest.mark.parametrize('task, fixed', [slow('rfcn', 'conv1'), ('dff_rfcn', 'conv1,bn,res')])
def test_a_tiny_network(task, fixed, tmp_path, monkeypatch):
    monkeypatch.setattr(training_parts, 'peak', lambda: 100.0)       # seconds of matrix products, else
    cfg = tiny.write_experiment(tmp_path, task, clips=1, length=4)
    done = tiny.run_here(training_parts.main, '--cfg', cfg, '--steps', 1, '--slowest', 3, '--set',
                         'network.FIXED_PARAMS=[%s]' % fixed)
    assert done.returncode == 0, done.stderr
    lines = [[cell.strip() for cell in line.strip('|').split('|')]
             for line in done.stdout.splitlines() if line.startswith('|')]
    rows = {cells[0]: cells[1:] for cells in reversed(lines)}      # one of the slowest layers may come again below
    shown = ['feat_conv_3x3, dilated', 'RPN and R-FCN, 1x1', 'PS-RoI pooling', 'all of these']
    if task == 'rfcn':
        shown += ['stage 5, dilated']
    else:
        assert float(rows['frozen layers, apart'][0]) > 0 and not rows['frozen layers, apart'][2]
        assert 'stage 5, dilated' not in rows
        shown += ['FlowNet, contracting', 'FlowNet, expanding', 'warp']
    # Tenths of a millisecond, of which a small part may have none.
    assert all(float(rows[part][0]) >= 0 and float(rows[part][2]) >= 0 for part in shown)
    assert float(rows['proposals'][0]) >= 0 and float(rows['all of these'][0]) > 0
    assert float(rows['all'][0]) > 0 and float(rows['update of the parameters'][0]) > 0
    assert float(rows['peak memory, MB'][0]) > 50


def test_segmentation_is_refused(tmp_path):
    cfg = tiny_seg.write_experiment(tmp_path, 'deeplab')
    done = tiny.run_here(training_parts.main, '--cfg', cfg)
    assert done.returncode and 'this benchmark trains detectors' in done.stderr and 'Traceback' not in done.stderr
