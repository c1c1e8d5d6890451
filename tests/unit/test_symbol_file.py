"""Files of networks: those of this project are read, and nothing that MXNet would follow into bad memory."""
import glob
import json
import os
import subprocess
import sys

import pytest

import deeplab.symbols  # noqa: F401  (registers)
import dff_deeplab.symbols  # noqa: F401
import dff_rfcn.symbols  # noqa: F401
import rfcn.symbols  # noqa: F401
from dff.errors import CheckpointError
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults, segmentation_defaults
from lib.graph.symbol_file import read_symbol
from lib.operator_cxx import loader
from lib.symbols.registry import get_symbol_instance
from lib.utils.paths import ROOT

METHODS = ('get_test_symbol', 'get_key_test_symbol', 'get_cur_test_symbol')
SETTINGS = sorted(path for task in ('rfcn', 'dff_rfcn', 'deeplab', 'dff_deeplab')
                  for path in glob.glob(os.path.join(ROOT, 'experiments', task, 'cfgs', '*.yaml'))
                  if 'demo' not in path)


@pytest.mark.parametrize('path', SETTINGS, ids=os.path.basename)
def test_test_networks_are_let_through(path, tmp_path):
    cfg = segmentation_defaults() if 'deeplab' in path else detection_defaults()
    update_from_file(cfg, path)
    instance = get_symbol_instance(cfg)
    for method in METHODS:
        if hasattr(instance, method):
            symbol = getattr(instance, method)(cfg)
            with loader.built_in():
                both = symbol, getattr(instance, method)(cfg)
            for written in both:
                (tmp_path / 'x.json').write_text(written.tojson())
                assert read_symbol(str(tmp_path / 'x.json')).tojson() == written.tojson()


def tree(op='Activation', **changes):
    node = dict({'op': op, 'name': 'x', 'attrs': {'act_type': 'relu'}, 'inputs': [[0, 0, 0]]}, **changes)
    return {'nodes': [{'op': 'null', 'name': 'data', 'inputs': []}, node], 'arg_nodes': [0], 'node_row_ptr': [0, 1, 2],
            'heads': [[1, 0, 0]], 'attrs': {'mxnet_version': ['int', 10901]}}


def test_a_small_network(tmp_path):
    (tmp_path / 'x.json').write_text(json.dumps(tree()))
    assert read_symbol(str(tmp_path / 'x.json')).infer_shape(data=(1, 2))[1] == [(1, 2)]


@pytest.mark.parametrize('text, reason', [
    (json.dumps(tree('_NDArray', attrs={'info': '0x10'})), "node 1 is the operator '_NDArray'"),
    (json.dumps(tree('_Native', attrs={'info': '0x10'})), "node 1 is the operator '_Native'"),
    (json.dumps(tree('Custom', attrs={'op_type': 'x'})), "node 1 is the operator 'Custom'"),
    (json.dumps(tree()).replace('"op": "Activation"', '"op": "Activation", "op": "_NDArray"'),
     "node 1 is the operator '_NDArray'"),
    (json.dumps(tree(subgraphs=[tree('_NDArray')])), 'node 1 has other entries than attrs, inputs, name, op'),
    (json.dumps(tree(inputs=[[0, 5, 0]])), 'an input of node 1 is output 5 of node 0'),
    (json.dumps(tree(inputs=[[1, 0, 0]])), 'an input of node 1 is output 0 of node 1'),
    (json.dumps(tree(inputs=[[-1, 0, 0]])), 'an input of node 1 is output 0 of node -1'),
    (json.dumps(tree(inputs=[['0', 0, 0]])), 'an input of node 1 is no'),
    (json.dumps(tree(inputs=None)), 'an input of node 1 is missing'),
    (json.dumps(tree(attrs={'act_type': 3})), 'an attribute of node 1 is no text'),
    (json.dumps(dict(tree(), heads=[[1, 4, 0]])), 'a head is output 4 of node 1'),
    (json.dumps(dict(tree(), heads=[])), 'it has no list of nodes, or none of heads'),
    ('[]', 'it has no list of nodes'),
])
def test_what_is_refused(tmp_path, text, reason):
    (tmp_path / 'x.json').write_text(text)
    with pytest.raises(CheckpointError) as error:
        read_symbol(str(tmp_path / 'x.json'))
    assert 'x.json is refused: %s' % reason in str(error.value)


@pytest.mark.parametrize('text',
                         ['', '{', '[' * 100000, '\udcff', json.dumps(tree(attrs={'act_type': 'none of these'})),
                          json.dumps(dict(tree(), arg_nodes=[9]))])
def test_what_is_damaged(tmp_path, text):
    (tmp_path / 'x.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
    with pytest.raises(CheckpointError, match='x.json is missing or damaged'):
        read_symbol(str(tmp_path / 'x.json'))


def test_mxnet_would_follow_an_address():
    """Why all this: the day that MXNet refuses it too, read_symbol can go."""
    text = json.dumps(tree('_NDArray', attrs={'info': '0x10'}))
    code = 'import lib, mxnet as mx; mx.sym.load_json(%r).list_arguments()' % text
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode != 0 and b'Traceback' not in done.stderr
