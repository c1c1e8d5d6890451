"""Names, shapes and composition of the detection networks."""
import copy
import json

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError, ConfigError
from dff_rfcn.config.config import config as default_config
from lib.symbols.backbones.resnet_v1 import resnet_v1
from lib.symbols.registry import get_symbol_instance
from tests.helpers.symbol_tools import INPUTS, METHODS, network, small

NAMES = {'rfcn': 'resnet_v1_101_rfcn', 'dff_rfcn': 'resnet_v1_101_flownet_rfcn'}
SYMBOLS = ['rfcn.test', 'rfcn.train', 'dff_rfcn.key_test', 'dff_rfcn.cur_test', 'dff_rfcn.batch_test', 'dff_rfcn.train']


@pytest.fixture
def cfg():
    return copy.deepcopy(default_config)


@pytest.fixture(scope='module')
def recorded(root):
    return json.loads((root / 'tests' / 'data' / 'detection_symbols.json').read_text())


def build(which, cfg):
    task, kind = which.split('.')
    instance = network(task, NAMES[task])
    getattr(instance, METHODS[kind])(cfg)
    return instance


@pytest.mark.parametrize('which', SYMBOLS)
def test_names_and_shapes_are_the_recorded_ones(which, cfg, recorded):
    wanted = recorded['symbols'][which]
    instance = build(which, cfg)
    instance.infer_shape({name: tuple(shape) for name, shape in wanted['inputs'].items()})
    arguments = dict(wanted['inputs'])
    for group in wanted['parameters']:
        arguments.update(recorded['parameters'][group])
    assert {name: list(shape) for name, shape in instance.arg_shape_dict.items()} == arguments
    assert {name: list(shape) for name, shape in instance.out_shape_dict.items()} == wanted['outputs']
    assert list(instance.out_shape_dict) == list(wanted['outputs'])
    auxiliary = recorded['parameters']['aux'] if 'backbone' in wanted['parameters'] else {}
    assert {name: list(shape) for name, shape in instance.aux_shape_dict.items()} == auxiliary


def test_extract_agrees_with_the_reference(reference, recorded):
    for which, wanted in recorded['symbols'].items():
        task, kind = which.split('.')
        full = json.loads((reference / ('%s_symbols.json' % task)).read_text())[kind]
        assert {n: s for n, s in full['arguments'].items() if n in INPUTS} == wanted['inputs']
        parameters = {n: s for group in wanted['parameters'] for n, s in recorded['parameters'][group].items()}
        assert {n: s for n, s in full['arguments'].items() if n not in INPUTS} == parameters
        assert full['outputs'] == wanted['outputs'] and full['aux'] in ({}, recorded['parameters']['aux'])


@pytest.mark.parametrize('batch_rois', [-1, 8])
@pytest.mark.parametrize('which', SYMBOLS)
def test_no_custom_operator(which, batch_rois, cfg):
    cfg.TRAIN.BATCH_ROIS = batch_rois
    operators = {node['op'] for node in json.loads(build(which, cfg).sym.tojson())['nodes']}
    assert 'Convolution' in operators
    assert not operators & {'Custom', '_contrib_MultiProposal'}


def test_scale_bias_is_not_trained(cfg):
    attributes = build('dff_rfcn.train', cfg).sym.attr_dict()
    assert float(attributes['Convolution5_scale_bias']['__lr_mult__']) == 0
    assert '__lr_mult__' not in attributes.get('Convolution5_scale_weight', {})


@pytest.mark.parametrize('depth, layers, last, filters', [
    (18, 20, 'res5b_branch2b', 512), (34, 36, 'res5c_branch2b', 512), (50, 53, 'res5c_branch2c', 2048),
    (101, 104, 'res5c_branch2c', 2048), (152, 155, 'res5c_branch2c', 2048)])
def test_resnet_depths(depth, layers, last, filters):
    body = resnet_v1(mx.sym.Variable('data'), depth)
    convolutions = [name for name in body.list_arguments() if name.endswith('weight')]
    # One projection in every stage whose shape changes comes on top of the depth's own layers, less the classifier.
    assert len(convolutions) == layers
    assert last + '_weight' in convolutions
    assert body.infer_shape(data=(1, 3, 97, 130))[1] == [(1, filters, 7, 9)]


@pytest.mark.parametrize('depth, unit', [(50, 'res4f'), (101, 'res4b22'), (152, 'res3b7'), (152, 'res4b35')])
def test_resnet_unit_names_are_caffes(depth, unit):
    assert unit + '_branch2b_weight' in resnet_v1(mx.sym.Variable('data'), depth).list_arguments()


def test_wrong_depth_and_width_are_explained(cfg):
    cfg.network.depth = 77
    with pytest.raises(ConfigError, match='depth is 77; ResNet-v1 exists in depths 18, 34, 50, 101, 152'):
        network('rfcn', 'resnet_v1_rfcn').get_train_symbol(cfg)
    cfg.network.update(depth=18, width=0.13)
    with pytest.raises(ConfigError, match='network.width is 0.13'):
        network('rfcn', 'resnet_v1_rfcn').get_train_symbol(cfg)
    cfg.network.update(width=1.0, flow_width=0.01)
    with pytest.raises(ConfigError, match='network.flow_width is 0.01'):
        network('dff_rfcn', 'resnet_v1_flownet_rfcn').get_train_symbol(cfg)


def test_network_of_fixed_size_refuses_another(cfg):
    cfg.symbol, cfg.network.depth = 'resnet_v1_101_rfcn', 50
    with pytest.raises(ConfigError,
                       match='resnet_v1_101_rfcn has a fixed size: depth 101.*set symbol to resnet_v1_rfcn'):
        network('rfcn', 'resnet_v1_101_rfcn').get_train_symbol(cfg)


def test_registry_lists_what_exists(cfg):
    network('rfcn', 'resnet_v1_101_rfcn')
    cfg.symbol = 'resnet_v1_rfcn'
    assert type(get_symbol_instance(cfg)) is type(network('rfcn', 'resnet_v1_rfcn'))
    cfg.symbol = 'resnet_v2_rfcn'
    with pytest.raises(ConfigError, match="no network called 'resnet_v2_rfcn'.*resnet_v1_101_rfcn, .*resnet_v1_rfcn"):
        get_symbol_instance(cfg)


def test_generic_network_of_depth_101_is_the_original(cfg):
    for task, generic in (('rfcn', 'resnet_v1_rfcn'), ('dff_rfcn', 'resnet_v1_flownet_rfcn')):
        symbols = [network(task, name).get_train_symbol(cfg) for name in (NAMES[task], generic)]
        assert symbols[0].list_arguments() == symbols[1].list_arguments()


def initialised(cfg):
    instance = network('dff_rfcn', 'resnet_v1_flownet_rfcn')
    instance.get_train_symbol(small(cfg))
    shapes = {'data': (1, 3, 64, 96), 'data_ref': (1, 3, 64, 96), 'eq_flag': (1,), 'im_info': (1, 3),
              'gt_boxes': (1, 2, 5), 'label': (1, 144), 'bbox_target': (1, 24, 4, 6), 'bbox_weight': (1, 24, 4, 6)}
    instance.infer_shape(shapes)
    args, auxs = {}, {}
    added = instance.init_weight(cfg, args, auxs)
    return instance, shapes, args, auxs, added


def test_initial_values(cfg):
    instance, shapes, args, auxs, added = initialised(cfg)
    assert set(added) == set(args) | set(auxs) and not set(args) & set(shapes)
    values = {name: value.asnumpy() for name, value in {**args, **auxs}.items()}
    assert (values['Convolution5_scale_weight'] == 0).all() and (values['Convolution5_scale_bias'] == 1).all()
    assert (values['bn_conv1_gamma'] == 1).all() and (values['bn2a_branch2a_moving_var'] == 1).all()
    assert (values['bn_conv1_moving_var'] == 7200).all() and (values['bn_conv1_moving_mean'] == 0).all()
    assert (values['bn_conv1_beta'] == 0).all() and (values['rfcn_cls_bias'] == 0).all()
    assert 0.009 < values['rfcn_cls_weight'].std() < 0.011
    assert values['res5a_branch2b_weight'].std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.05)
    upsample = values['upsample_flow6to5_weight']
    assert (upsample[0, 1] == 0).all() and upsample[0, 0].sum() == pytest.approx(4)
    instance.check_parameter_shapes(args, auxs, shapes)


def test_only_missing_parameters_are_initialised(cfg):
    instance, _, args, auxs, _ = initialised(cfg)
    again = {name: value for name, value in args.items() if not name.startswith(('deconv', 'Convolution'))}
    kept = again['conv1_weight']
    added = instance.init_weight(cfg, again, auxs)
    assert added and all(name.startswith(('deconv', 'Convolution')) for name in added)
    assert again['conv1_weight'] is kept
    assert (again['deconv5_weight'].asnumpy() == args['deconv5_weight'].asnumpy()).all()


def test_parameter_errors_name_the_parameter_and_the_shapes(cfg):
    instance, shapes, args, auxs, _ = initialised(cfg)
    args['rfcn_cls_weight'] = mx.nd.zeros((7, 16, 1, 1))
    with pytest.raises(CheckpointError,
                       match=r'rfcn_cls_weight has shape \(7, 16, 1, 1\), the network needs \(196, 16, 1, 1\)'):
        instance.check_parameter_shapes(args, auxs, shapes)
    del args['rfcn_cls_weight']
    with pytest.raises(CheckpointError, match=r'1 of the \d+ parameters of the network are missing: rfcn_cls_weight\.'):
        instance.check_parameter_shapes(args, auxs, shapes)
