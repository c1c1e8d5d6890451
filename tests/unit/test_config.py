"""Settings: the original's files load, everything else is refused with a message that helps."""
import glob
import logging
import os

import mxnet as mx
import pytest

from deeplab.config.config import config as deeplab_config
from dff.errors import ConfigError
from dff_deeplab.config.config import config as dff_deeplab_config
from lib.config.checks import lr_steps
from lib.config.config import NAME_LISTS, update_from_file, update_from_settings
from lib.config.defaults import detection_defaults, fgfa_defaults, flow_defaults, segmentation_defaults
from lib.config.ranges import CHOICES, RANGES, leaves
from lib.graph.graph import Graph
from lib.train.trainer import fixed_param_names, with_stored_statistics
from lib.utils.paths import ROOT, resolve


@pytest.fixture
def config():
    return detection_defaults()


def defaults_for(path):
    """Default settings of the task that a file in experiments/ is for."""
    return (segmentation_defaults if 'deeplab' in path else fgfa_defaults if 'fgfa' in path else detection_defaults)()


def write(tmp_path, text):
    path = tmp_path / 'some.yaml'
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize('path', sorted(glob.glob(os.path.join(ROOT, 'experiments', '*rfcn', 'cfgs', '*.yaml'))),
                         ids=os.path.basename)
def test_every_shipped_file_loads(path):
    config = defaults_for(path)
    update_from_file(config, path)
    assert config.CLASS_AGNOSTIC is True


def test_the_original_values_arrive(config):
    update_from_file(config,
                     resolve('experiments/dff_rfcn/cfgs/resnet_v1_101_flownet_imagenet_vid_rfcn_end2end_ohem.yaml'))
    assert config.symbol == 'resnet_v1_101_flownet_rfcn'
    assert config.SCALES == [(600, 1000)]
    assert config.TRAIN.lr == 0.00025 and lr_steps(config.TRAIN.lr_step) == [1.333]
    assert config.TRAIN.BATCH_ROIS == -1 and config.TEST.KEY_FRAME_INTERVAL == 10
    assert config.TRAIN.MIN_OFFSET == -9 and config.dataset.NUM_CLASSES == 31


@pytest.mark.parametrize('path', sorted(glob.glob(os.path.join(ROOT, 'experiments', '*deeplab', 'cfgs', '*.yaml'))),
                         ids=os.path.basename)
def test_every_shipped_file_of_segmentation_loads(path):
    config = segmentation_defaults()
    update_from_file(config, path)
    assert config.TEST.KEY_FRAME_INTERVAL == 5 and config.network.USE_SCALE_MAP is False


def test_the_original_values_of_cityscapes_arrive():
    for name in ('deeplab/cfgs/deeplab_resnet_v1_101_cityscapes_segmentation_base.yaml',
                 'dff_deeplab/cfgs/resnet_v1_101_flownet_cityscapes_deeplab_end2end_ohem.yaml'):
        config = segmentation_defaults()
        update_from_file(config, resolve('experiments/' + name))
        assert config.SCALES == [(1024, 2048)]
        assert (config.dataset.dataset, config.dataset.NUM_CLASSES) == ('CityScape', 19)
        train = config.TRAIN
        assert (train.ENABLE_CROP, train.CROP_HEIGHT, train.CROP_WIDTH, train.lr,
                train.end_epoch) == (True, 768, 1024, 0.0005, 53)
        assert (train.warmup, train.warmup_lr, train.warmup_step) == (True, 0.00005, 1000)


def test_frozen_names_are_prefixes_but_for_deeplab():
    names = ['bn_conv1_gamma', 'bn5c_branch2c_gamma', 'res2a_branch1_weight', 'fc6_weight']
    symbol = mx.sym.Group([mx.sym.Variable(name) for name in names])
    frozen = [fixed_param_names(symbol, [], config.network) for config in (dff_deeplab_config, deeplab_config)]
    assert frozen == [[names[0], names[2]], names[:3]]


def test_frozen_normalisations_keep_their_statistics():
    def layer(body, number):
        body = mx.sym.Convolution(body, num_filter=4, kernel=(3, 3), no_bias=True, name='conv%d' % number)
        return mx.sym.BatchNorm(body, fix_gamma=False, name='bn%d' % number)
    symbol = layer(layer(mx.sym.Variable('data'), 1), 2)

    def stored(*fixed):
        changed = with_stored_statistics(symbol, ['data', 'bn2_gamma', 'bn2_beta'] + list(fixed))
        return [node.get('use_global_stats', False) for node in Graph(changed).nodes() if node.op == 'BatchNorm']
    first = ['conv1_weight', 'bn1_gamma', 'bn1_beta']
    assert stored() == stored(*first[:2]) == [False, False]
    assert stored(*first) == [True, False]
    assert stored('conv2_weight', *first) == [True, True]


def test_values_are_converted_to_the_type_of_the_key(tmp_path, config):
    update_from_file(config,
                     write(tmp_path, 'gpus: 0\nTRAIN:\n  lr: 1e-3\n  lr_step: 2\n  wd: 0\nnetwork:\n  pretrained:\n'))
    assert config.gpus == '0' and config.TRAIN.lr == 0.001 and config.TRAIN.lr_step == '2'
    assert config.network.pretrained == ''
    assert isinstance(config.TRAIN.wd, float)


@pytest.mark.parametrize('text, message', [
    ('TRAIN:\n  lr_stepp: 1', "there is no setting 'TRAIN.lr_stepp'; did you mean 'TRAIN.lr_step'?"),
    ('train:\n  lr: 1', "there is no setting 'train'; did you mean 'TRAIN'?"),
    ('zzz: 1', "there is no setting 'zzz'; the settings there are: CLASS_AGNOSTIC"),
    ('TRAIN:\n  lr: fast', "'TRAIN.lr' must be a number, found 'fast'"),
    ('TRAIN:\n  FLIP: 1', "'TRAIN.FLIP' must be true or false, found 1"),
    ('TRAIN:\n  end_epoch: 1.5', "'TRAIN.end_epoch' must be a whole number, found 1.5"),
    ('TRAIN: 3', "'TRAIN' is a section"),
    ('symbol: [a]', "'symbol' must be text"),
    ('SCALES: [1000, 600]', "'SCALES' must be two whole numbers"),
    ('network:\n  PIXEL_MEANS: 3', "'network.PIXEL_MEANS' must be a list of numbers"),
    ('network:\n  NUM_ANCHORS: 12', 'network.NUM_ANCHORS is 12, but ANCHOR_SCALES x ANCHOR_RATIOS make 9'),
    ('TRAIN:\n  MIN_OFFSET: 1', 'TRAIN.MIN_OFFSET (1) is above TRAIN.MAX_OFFSET (0)'),
    ('TEST:\n  KEY_FRAME_INTERVAL: 0', 'TEST.KEY_FRAME_INTERVAL must be at least 1'),
    ('TEST:\n  KEY_FRAME_POLICY: motion', "TEST.KEY_FRAME_POLICY must be fixed, middle, both or flow, found 'motion'"),
    ('TEST:\n  AGGREGATE: mean', "TEST.AGGREGATE must be none or recursive, found 'mean'"),
    ('TRAIN:\n  AGGREGATE: true', "'TRAIN.AGGREGATE' must be text"),
    ('network:\n  EMBED_DIM: 6', 'network.EMBED_DIM must be a multiple of 4'),
    ('network:\n  EMBED_DIM: 0', 'network.EMBED_DIM must be at least 4'),
    ('network:\n  FLOW_PASSES: 0', 'network.FLOW_PASSES must be at least 1 and at most 4, found 0'),
    ('network:\n  FLOW_INPUT_SCALE: 0.3', 'network.FLOW_INPUT_SCALE must be 0.25 or 0.5, found 0.3'),
    ('network:\n  EMBED_SHARPNESS: 0', 'network.EMBED_SHARPNESS must be above 0 and at most 1000'),
    ('TEST:\n  KEY_FRAME_MISMATCH: 0', 'TEST.KEY_FRAME_MISMATCH must be above 0'),
    ('TRAIN:\n  lr_step: a,b', "'TRAIN.lr_step' must be epochs above 0 and at most 1000000, separated by commas"),
    ('dataset:\n  CLASSES: [1, 2]', "'dataset.CLASSES' must be a file name or a list of class names"),
    ('gpus: 0\ngpus: 1', "the key 'gpus' is given twice"),
    ('a: [', 'is not valid YAML'),
    ('', 'expected `key: value` lines, found nothing'),
    ('- 1', 'expected `key: value` lines, found list'),
    ('a: !!python/object/apply:os.system [ls]', 'is not valid YAML'),
])
def test_refusals_name_the_file_and_the_key(tmp_path, config, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        update_from_file(config, path)
    assert message in str(error.value) and path in str(error.value)


def test_missing_file(config):
    with pytest.raises(ConfigError, match='cannot read the config nowhere.yaml: No such file'):
        update_from_file(config, 'nowhere.yaml')


def test_settings_from_the_command_line(config):
    update_from_settings(config, ['TRAIN.lr=1e-4', 'gpus=0,1', 'SCALES=[300, 500]', 'dataset.CLASSES=[car, person]'])
    assert config.TRAIN.lr == 1e-4 and config.gpus == '0,1' and config.SCALES == [(300, 500)]
    assert config.dataset.CLASSES == ['car', 'person']
    with pytest.raises(ConfigError,
                       match=r"--set TRAIN.lrr=1: there is no setting 'TRAIN.lrr'; did you mean 'TRAIN.lr'"):
        update_from_settings(config, ['TRAIN.lrr=1'])
    with pytest.raises(ConfigError, match='expected section.key=value'):
        update_from_settings(config, ['TRAIN.lr'])


def test_tasks_have_separate_settings():
    from dff_rfcn.config.config import config as dff
    from rfcn.config.config import config as rfcn
    assert dff is not rfcn and dff.TRAIN is not rfcn.TRAIN


def test_list_of_names_that_was_emptied_takes_names_again(config):
    update_from_settings(config, ['network.FIXED_PARAMS=[]'])
    update_from_settings(config, ['network.FIXED_PARAMS=[conv1, res2]'])
    assert config.network.FIXED_PARAMS == ['conv1', 'res2']


OF_FOUR = 'must hold 4 numbers, found '


@pytest.mark.parametrize('setting, message', [
    ('TRAIN.lr_step=nan', "'TRAIN.lr_step' must be epochs above 0 and at most 1000000"),
    ('TRAIN.lr_step=inf', "separated by commas, as in '1.333' or '2,3'; found 'inf'"),
    ('TRAIN.lr_step=.inf', "'TRAIN.lr_step' must be epochs above 0"),
    ('TRAIN.lr_step=-1', "'TRAIN.lr_step' must be epochs above 0"),
    ('TRAIN.lr_step=1e308', "'TRAIN.lr_step' must be epochs above 0"),
    ('TRAIN.lr_step=[1,[2]]', "'TRAIN.lr_step' must be epochs, as in 1.333, '2,3' or [2, 3], found [1, [2]]"),
    ('TRAIN.lr_step=true', "'TRAIN.lr_step' must be epochs, as in 1.333, '2,3' or [2, 3], found True"),
    ('TRAIN.RPN_POST_NMS_TOP_N=0', 'TRAIN.RPN_POST_NMS_TOP_N must be at least 1 and at most 100000, found 0'),
    ('TEST.RPN_POST_NMS_TOP_N=0', 'TEST.RPN_POST_NMS_TOP_N must be at least 1'),
    ('TRAIN.BATCH_ROIS_OHEM=0', 'TRAIN.BATCH_ROIS_OHEM must be at least 1'),
    ('TRAIN.BATCH_ROIS=0', 'TRAIN.BATCH_ROIS must be -1 (all) or at least 1, found 0'),
    ('TRAIN.RPN_BATCH_SIZE=0', 'TRAIN.RPN_BATCH_SIZE must be at least 1'),
    ('network.RFCN_GROUP_SIZE=0', 'network.RFCN_GROUP_SIZE must be at least 1 and at most 100, found 0'),
    ('network.RPN_FEAT_STRIDE=0', 'network.RPN_FEAT_STRIDE must be at least 8 and at most 16 (it follows '
     'network.FEATURE_STRIDE), found 0'),
    ('network.RCNN_FEAT_STRIDE=8', 'network.RCNN_FEAT_STRIDE is 8, but a cell of the feature map is 16 pixels wide: '
     'leave it out, it follows network.FEATURE_STRIDE'),
    ('network.FEATURE_STRIDE=4', 'network.FEATURE_STRIDE must be 8 or 16, found 4'),
    ('TRAIN.BBOX_MEANS=[0,0]', 'TRAIN.BBOX_MEANS %s[0.0, 0.0]' % OF_FOUR),
    ('network.ANCHOR_STDS=[0.1]', 'network.ANCHOR_STDS %s[0.1]' % OF_FOUR),
    ('network.ANCHOR_STDS=[0.1,0.1,0,0.4]', 'all of network.ANCHOR_STDS must be above 0 and at most 1000000, '
     'found 0.0'),
    ('network.ANCHOR_SCALES=[]', 'network.ANCHOR_SCALES must hold at least 1 number, found []'),
    ('network.PIXEL_MEANS=[1,2,.nan]', 'all of network.PIXEL_MEANS must be at least 0 and at most 255, found nan'),
    ('TRAIN.lr=-0.001', 'TRAIN.lr must be above 0, found -0.001'),
    ('TRAIN.lr=0', 'TRAIN.lr must be above 0, found 0.0'),
    ('TRAIN.lr=nan', 'TRAIN.lr must be above 0, found nan'),
    ('TRAIN.lr=.inf', 'TRAIN.lr must be above 0, found inf'),
    ('TRAIN.momentum=2', 'TRAIN.momentum must be at least 0 and below 1, found 2.0'),
    ('TRAIN.wd=-1', 'TRAIN.wd must be at least 0, found -1.0'),
    ('TRAIN.FG_THRESH=2', 'TRAIN.FG_THRESH must be at least 0 and at most 1, found 2.0'),
    ('TRAIN.BG_THRESH_LO=0.6', 'TRAIN.BG_THRESH_LO (0.6) is above TRAIN.BG_THRESH_HI (0.5)'),
    ('TRAIN.end_epoch=-1', 'TRAIN.end_epoch must be at least 1 and at most 1000000, found -1'),
    ('TRAIN.end_epoch=%s' % ('9' * 400), "'TRAIN.end_epoch' must be a whole number, found 999"),
    ('TRAIN.lr=0x%s' % ('f' * 5000), "'TRAIN.lr' must be a number, found <a number of 20000 bits>"),
    ('TEST.test_epoch=-2', 'TEST.test_epoch must be at least -1 and at most 1000000 (-1: the last), found -2'),
    ('dataset.NUM_CLASSES=1', 'dataset.NUM_CLASSES must be at least 2'),
    ('default.kvstore=none', 'default.kvstore must be local, device, dist_sync, dist_device_sync or dist_async, '
                             "found 'none'"),
    ('gpus=true', "'gpus' must be devices, as in 0, '0,1', [0, 1] or cpu, found True"),
    ('SCALES=[true,true]', "'SCALES' must be two whole numbers"),
], ids=lambda value: value[:40])
def test_a_number_that_cannot_be_names_its_key_and_its_range(config, setting, message):
    with pytest.raises(ConfigError) as error:
        update_from_settings(config, [setting])
    assert message in str(error.value) and str(error.value).startswith('--set')


def test_every_number_and_choice_has_its_range():
    keys = {}
    for defaults in (detection_defaults, segmentation_defaults, flow_defaults, fgfa_defaults):
        keys.update(leaves(defaults()))
    # An empty list is of numbers unless NAME_LISTS has it.
    numbers = {name for name, value in keys.items()
               if type(value) in (int, float) or isinstance(value, list) and name not in NAME_LISTS
               and not (value and isinstance(value[0], str))}
    assert numbers == set(RANGES) and set(CHOICES) <= set(keys)


@pytest.mark.parametrize('value, steps', [
    ('2', [2.0]), ('1.333', [1.333]), ("'2,3'", [2.0, 3.0]), ('[2, 3.5]', [2.0, 3.5]), ('[2]', [2.0]), ('', [])])
def test_steps_of_the_rate_are_text_a_number_or_a_list(config, value, steps):
    update_from_settings(config, ['TRAIN.lr_step=' + value])
    assert lr_steps(config.TRAIN.lr_step) == steps


def test_values_without_a_limit(config):
    update_from_settings(config, ['TRAIN.MAX_LOSS=.inf', 'TEST.KEY_FRAME_MISMATCH=.inf', 'gpus=[0, 1]',
                                  'TEST.max_per_image=-1', 'TEST.RPN_PRE_NMS_TOP_N=0'])
    assert config.gpus == '0,1' and config.TRAIN.MAX_LOSS == float('inf')


def test_a_plugin_s_settings_go_by_their_defaults():
    config = detection_defaults()
    config.TRAIN.update({'words': ['a'], 'numbers': [1.0], 'anything': None, 'share': 0.5})
    update_from_settings(config, ['TRAIN.words=[b, c]', 'TRAIN.numbers=[2]', 'TRAIN.anything=x', 'TRAIN.share=7'])
    assert (config.TRAIN.words, config.TRAIN.numbers, config.TRAIN.anything) == (['b', 'c'], [2.0], 'x')
    for setting, message in (('words=3', 'must be a list of names'), ('anything=[1]', 'must be text'),
                             ('share=.nan', 'TRAIN.share must be a finite number, found nan')):
        with pytest.raises(ConfigError, match=message):
            update_from_settings(config, ['TRAIN.' + setting])


def original_settings():
    """The settings files for the published networks."""
    return sorted(path for path in glob.glob(os.path.join(ROOT, 'experiments', '*', 'cfgs', '*.yaml'))
                  if os.path.basename(path).startswith(('resnet', 'deeplab_resnet')) or path.endswith('_vid_demo.yaml'))


@pytest.mark.parametrize('path', original_settings(), ids=os.path.basename)
def test_the_original_s_files_load_without_a_complaint(path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('dff'), 'propagate', True)
    update_from_file(defaults_for(path), path)
    assert caplog.records == []
