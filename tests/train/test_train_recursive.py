"""Training with TRAIN.AGGREGATE: recursive from a DFF checkpoint, by the command, then testing what came of it."""
import json

import numpy as np
import pytest
import yaml

from lib.dataset.toy import toy_generator
from lib.engine.checkpoint import load_params
from lib.symbols.warp import EMBEDDING
from tests.helpers import tiny

pytestmark = pytest.mark.slow


def test_from_a_dff_checkpoint_to_a_test(tmp_path):
    size = toy_generator.Size(train_clips=1, stills=0, val_clips=1, val_length=7)
    toy_generator.generate(str(tmp_path / 'toy_vid'), size, workers=1)
    path = tiny.write_experiment(tmp_path, 'dff_rfcn')
    started = str(tmp_path / 'dff')
    tiny.save_params(started, tiny.tiny_config('dff_rfcn', dataset__NUM_CLASSES=6), epoch=4)
    values = yaml.safe_load(path.read_text())
    values['network'].update(EMBED_DIM=16, pretrained=started, pretrained_epoch=4, pretrained_flow='',
                             FIXED_PARAMS=['conv1', 'bn', 'res'])
    values['TRAIN'].update(AGGREGATE='recursive', end_epoch=1, lr=0.0001, MIN_OFFSET=-2)
    values['TEST'].update(AGGREGATE='recursive')
    path.write_text(yaml.safe_dump(values))
    status, printed, errors = tiny.run_script('experiments/dff_rfcn/dff_rfcn_end2end_train_test.py', '--cfg', path)
    assert status == 0, errors
    assert 'newly initialised, 6 parameters of: em_conv1, em_conv2, em_conv3' in printed + errors

    before, _ = load_params(started, 4)
    after, _ = load_params(tiny.prefix(tmp_path, 'dff_rfcn'), 1)
    assert set(EMBEDDING) <= set(after) - set(before)
    assert after['em_conv3_weight'].shape == (16, 4, 1, 1)
    assert all(np.isfinite(value.asnumpy()).all() for value in after.values())
    assert not np.array_equal(before['feat_conv_3x3_weight'].asnumpy(), after['feat_conv_3x3_weight'].asnumpy())
    folder = tmp_path / 'output' / 'tiny_dff_rfcn' / 'VID_val_videos' / 'tiny-0001_interval3_recursive'
    results = json.loads((folder / 'results.json').read_text())
    assert results['frames'] == 7 and results['key_frames'] == 3


def test_a_test_without_training_for_it_is_refused_before_training(tmp_path):
    path = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=2)
    status, _, errors = tiny.run_script('experiments/dff_rfcn/dff_rfcn_end2end_train_test.py', '--cfg', path,
                                        '--set', 'TEST.AGGREGATE=recursive')
    assert status == 2 and 'TEST.AGGREGATE is recursive, but TRAIN.AGGREGATE none' in errors
