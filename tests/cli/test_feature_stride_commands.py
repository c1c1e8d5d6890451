"""network.FEATURE_STRIDE: 8 in the commands: from checkpoints of stride 16 to tests with tracks and both sides."""
import json

import numpy as np
import pytest
import yaml

from lib.dataset.toy import toy_generator
from lib.engine.checkpoint import load_params
from tests.helpers import tiny

pytestmark = pytest.mark.slow
NEW = {'feat_up_weight', 'feat_lateral_weight', 'feat_lateral_bias'}


def write_settings(folder, task, started):
    """Settings that train two batches from the checkpoint `started`, epoch 4; returns their path."""
    path = tiny.write_experiment(folder, task)
    values = yaml.safe_load(path.read_text())
    values['network'].update(FEATURE_STRIDE=8, pretrained=started, pretrained_epoch=4, pretrained_flow='',
                             FIXED_PARAMS=['conv1', 'bn', 'res'])
    values['TRAIN'].update(end_epoch=1, lr=0.0001, MIN_OFFSET=-2)
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn', 'fgfa_rfcn'])
def test_from_a_checkpoint_of_stride_16_to_a_test(tmp_path, task):
    size = toy_generator.Size(train_clips=1, train_length=2, stills=0, val_clips=1, val_length=7)
    toy_generator.generate(str(tmp_path / 'toy_vid'), size, workers=1)
    started = str(tmp_path / 'started')
    tiny.save_params(started, tiny.tiny_config(task, dataset__NUM_CLASSES=6), epoch=4)
    path = write_settings(tmp_path, task, started)
    command = 'experiments/%s/%s_end2end_train_test.py' % (task, task)
    status, printed, errors = tiny.run_script(command, '--cfg', path)
    assert status == 0, errors
    assert 'newly initialised, 3 parameters of: feat_up, feat_lateral' in printed + errors, printed
    before, after = load_params(started, 4)[0], load_params(tiny.prefix(tmp_path, task), 1)[0]
    assert NEW <= set(after) - set(before)
    assert np.abs(after['feat_lateral_weight'].asnumpy()).max() > 0
    assert all(np.isfinite(value.asnumpy()).all() for value in after.values())

    test = 'experiments/%s/%s_test.py' % (task, task)
    if task == 'dff_rfcn':
        for setting in ('TEST.KEY_FRAME_POLICY=both', 'TEST.KEY_FRAME_POLICY=flow', 'TEST.TRACK=true'):
            status, printed, errors = tiny.run_script(test, '--cfg', path, '--set', setting)
            assert status == 0 and 'Mean AP@0.5' in printed + errors, errors
        records = [json.loads(each.read_text()) for each in (tmp_path / 'output').rglob('results.json')]
        assert len(records) == 3 and {record['frames'] for record in records} == {7}

    # What was trained at 8 is not taken for a network of stride 16, nor the other way round.
    status, _, errors = tiny.run_script(test, '--cfg', path, '--set', 'network.RPN_FEAT_STRIDE=16')
    assert status == 2 and 'network.RPN_FEAT_STRIDE is 16, but a cell of the feature map is 8 pixels wide' in errors
    tiny.save_params(tiny.prefix(tmp_path, task), tiny.tiny_config(task, dataset__NUM_CLASSES=6), epoch=1)
    status, _, errors = tiny.run_script(test, '--cfg', path)
    assert status == 2 and 'has features of stride 16 (without feat_lateral_weight), and the settings say 8' in errors
