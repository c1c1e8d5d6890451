"""Settings: the original's files load, everything else is refused with a message that helps."""
import glob
import os

import mxnet as mx
import pytest

from deeplab.config.config import config as deeplab_config
from dff.errors import ConfigError
from dff_deeplab.config.config import config as dff_deeplab_config
from lib.config.checks import lr_steps
from lib.config.config import update_from_file, update_from_settings
from lib.config.defaults import detection_defaults, segmentation_defaults
from lib.graph.graph import Graph
from lib.train.trainer import fixed_param_names, with_stored_statistics
from lib.utils.paths import ROOT, resolve


@pytest.fixture
def config():
    return detection_defaults()


def write(tmp_path, text):
    path = tmp_path / 'some.yaml'
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize('path', sorted(glob.glob(os.path.join(ROOT, 'experiments', '*rfcn', 'cfgs', '*.yaml'))),
                         ids=os.path.basename)
def test_every_shipped_file_loads(path, config):
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
    ('TEST:\n  KEY_FRAME_POLICY: motion', "TEST.KEY_FRAME_POLICY must be fixed, middle or flow, found 'motion'"),
    ('TEST:\n  KEY_FRAME_MISMATCH: 0', 'TEST.KEY_FRAME_MISMATCH must be above 0'),
    ('TRAIN:\n  lr_step: a,b', "must be epochs separated by commas"),
    ('dataset:\n  CLASSES: [1, 2]', "'dataset.CLASSES' must be a file name or a list of class names"),
    ('gpus: 0\ngpus: 1', "the key 'gpus' stands twice"),
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
