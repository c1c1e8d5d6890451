"""Networks of exported folders and the sizes that they are given."""
import contextlib
import glob
import os

import pytest

from benchmarks.model_folders import outcome
from lib.config.config import update_from_file
from lib.utils.paths import ROOT
from lib.config.defaults import detection_defaults, segmentation_defaults
from dff.frames import largest_input
from lib.inference.exported import INPUTS
from lib.inference.key_frames import input_format
from lib.graph.exported_network import ExportedNetwork
from lib.operator_cxx import loader
from lib.graph.graph import Graph
from lib.symbols.registry import get_symbol_instance
from dff.errors import CheckpointError
from tests.helpers.exported_tools import folders, open_folder  # noqa: F401  (fixtures)

YAMLS = sorted(path for task in ('rfcn', 'dff_rfcn', 'deeplab', 'dff_deeplab')
               for path in glob.glob(os.path.join(ROOT, 'experiments', task, 'cfgs', '*.yaml'))
               if 'demo' not in path)


def test_what_make_folders_makes_runs(folders):  # noqa: F811
    for path in sorted(folders.iterdir()):
        assert outcome(str(path)) == 'ran'


def halves(tree):
    """Multiply the regions by a value of the image's halves, alike where its sides are even."""
    nodes, pooling = tree['nodes'], {'kernel': '(2, 2)', 'stride': '(2, 2)', 'pool_type': 'max'}

    def add(op, name, inputs, **values):
        nodes.append({'op': op, 'name': name, 'attrs': values, 'inputs': inputs})
        return [len(nodes) - 1, 0, 0]
    floor = add('Pooling', 'floor', [[0, 0, 0]], pooling_convention='valid', **pooling)
    ceiling = add('Pooling', 'ceiling', [[0, 0, 0]], pooling_convention='full', **pooling)
    pair = add('stack', 'pair', [floor, ceiling], num_args='2', axis='1')
    flat = add('Reshape', 'flat', [pair], shape='(-1, 1)')
    one = add('slice_axis', 'one', [flat], axis='0', begin='0', end='1')
    tree['heads'][0] = add('broadcast_mul', 'multiplied', [tree['heads'][0], one])


def test_a_size_that_does_not_fit_is_found_when_it_comes(open_folder):  # noqa: F811
    """MXNet's stack would read outside of the smaller one."""
    edited = open_folder('rfcn-flownet', built_in=True)
    edited.change('frame.*.json', halves)
    instance = edited.load()[0]
    instance.check_size(32, 96)
    with pytest.raises(CheckpointError, match="node 'pair', 'stack', does not fit shapes"):
        instance.check_size(61, 83)
    assert outcome(str(edited.path)).startswith('refused: ')        # a frame of 61x83 is in it


def folded(symbol):
    """`symbol` without its batch normalisation, which an export folds."""
    graph = Graph(symbol)
    for node in graph.nodes():
        if node.op == 'BatchNorm':
            graph.replace(node, node.input(0))
    return graph.symbol()


@pytest.mark.parametrize('operators', [loader.built_in, contextlib.nullcontext])
@pytest.mark.parametrize('path', YAMLS, ids=os.path.basename)
def test_networks_of_full_size_pass(path, operators):
    cfg = segmentation_defaults() if 'deeplab' in path else detection_defaults()
    update_from_file(cfg, path)
    instance, image = get_symbol_instance(cfg), (1, 3) + largest_input(input_format(cfg))
    classes = cfg.dataset.NUM_CLASSES
    settings = {'symbol': cfg.symbol, 'network': {}, 'dataset': {'NUM_CLASSES': classes}}
    inputs = {'data': image, 'data_key': image, 'im_info': (1, 3)}
    with operators():
        symbols = {role: folded(symbol) for role, symbol in instance.test_networks(cfg).items()}
    for role in sorted(symbols, reverse=True):       # the key network first
        network = ExportedNetwork(role, symbols[role], settings, instance.recognises)
        shapes = network.shapes(inputs)
        network.check_outputs(shapes, image)
        assert not set(network.needed(shapes)) & set(INPUTS)
        inputs.setdefault('feat_key', network.outputs(shapes)[0])
