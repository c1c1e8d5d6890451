"""Settings that nothing reads: they load, and a line says so where they ask for what is not done."""
import copy

import pytest

from lib.config.config import update_from_file, update_from_settings
from lib.config.defaults import detection_defaults, fgfa_defaults, flow_defaults, segmentation_defaults
from lib.config.ranges import leaves
from lib.config.without_effect import WITHOUT_EFFECT

DEFAULTS = {'rfcn': detection_defaults, 'dff_rfcn': detection_defaults, 'deeplab': segmentation_defaults,
            'dff_deeplab': segmentation_defaults, 'fgfa_rfcn': fgfa_defaults, 'flownet': flow_defaults}
OTHERS = {'MXNET_VERSION': 'mxnet_v0.10', 'network.FIXED_PARAMS_SHARED': '[conv1]',
          'dataset.proposal': 'selective_search', 'dataset.motion_iou_path': 'motion.mat',
          'dataset.enable_detailed_eval': 'false', 'TRAIN.END2END': 'false', 'TRAIN.CXX_PROPOSAL': 'false',
          'TRAIN.BBOX_REGRESSION_THRESH': '0.7',
          'TRAIN.RPN_POSITIVE_WEIGHT': '0.5', 'TEST.HAS_RPN': 'false', 'TEST.CXX_PROPOSAL': 'false',
          'TEST.BATCH_IMAGES': '2'}


def defaults_with(key):
    """Settings that have `key`."""
    return next(config for config in (segmentation_defaults(), fgfa_defaults()) if key in dict(leaves(config)))


@pytest.mark.parametrize('key', sorted(WITHOUT_EFFECT))
def test_another_value_is_named_and_loads(key, caplog):
    update_from_settings(defaults_with(key), ['%s=%s' % (key, OTHERS[key])])
    assert [record.message for record in caplog.records] == [record.message for record in caplog.records
                                                             if 'settings without effect: %s: ' % key in record.message]
    assert len(caplog.records) == 1 and WITHOUT_EFFECT[key][1] in caplog.text


@pytest.mark.parametrize('key', sorted(WITHOUT_EFFECT))
def test_the_value_in_effect_is_not_worth_a_line(key, caplog):
    values, _ = WITHOUT_EFFECT[key]
    update_from_settings(defaults_with(key), ['%s=%s' % (key, '' if value is None else value) for value in values])
    assert not caplog.records


def test_one_line_names_them_all(tmp_path, caplog):
    path = tmp_path / 'old.yaml'
    path.write_text('TRAIN: {END2END: false, RPN_POSITIVE_WEIGHT: 0.5}\nTEST: {HAS_RPN: false}\n')
    config = detection_defaults()
    update_from_file(config, str(path))
    assert [record.message for record in caplog.records] == [
        '%s: settings without effect: TRAIN.END2END: False (training is end to end); '
        'TRAIN.RPN_POSITIVE_WEIGHT: 0.5 (all anchors of a batch have one weight); '
        'TEST.HAS_RPN: False (proposals come from the RPN)' % path]


def test_shipped_settings_are_quiet(root, caplog):
    paths = sorted((root / 'experiments').glob('*/cfgs/*.yaml'))
    for path in paths:
        update_from_file(copy.deepcopy(DEFAULTS[path.parts[-3]]()), str(path))
    assert len(paths) > 15 and not caplog.records
