"""From videos of a user to figures: import, training from a model of other classes, testing,
by the commands of the guide."""
import os

import pytest

from lib.engine.checkpoint import load_params
from tests.helpers import tiny
from tests.helpers.import_tools import image


@pytest.mark.slow
def test_videos_of_ones_own(tmp_path):
    src, out = tmp_path / 'my videos', tmp_path / 'own'
    for clip, name in enumerate(('walk', 'run')):
        for i in range(1, 6):
            image(src / name / 'img1' / ('%06d.jpg' % i), 64, 96, 40 * i + 20 * clip)
        (src / name / 'gt').mkdir()
        (src / name / 'gt/gt.txt').write_text(''.join('%d,1,%d,11,40,40,1,1,1\n' % (i, 10 + 2 * i)
                                                      for i in range(1, 6)))
    status, printed, errors = tiny.run_script('tools/import_dataset.py', 'mot', src, out, '--devices', 0)
    assert status == 0 and 'classes:    pedestrian (boxes 5 + 5)' in printed, errors
    status, printed, errors = tiny.run_script('tools/check_dataset.py', '--cfg', out / 'own_dff_rfcn.yaml')
    assert status == 0 and 'clean: 0 errors' in printed, errors

    cfg = tiny.tiny_config('dff_rfcn')                     # 3 classes
    tiny.save_params(str(tmp_path / 'released'), cfg, epoch=0)
    settings = ['%s=%s' % item for item in tiny.SETTINGS.items() if item[0] != 'dataset.NUM_CLASSES']
    settings += ['symbol=resnet_v1_flownet_rfcn', 'network.pretrained=%s' % (tmp_path / 'released'),
                 'network.pretrained_flow=', 'TRAIN.end_epoch=1', 'TEST.test_epoch=1', 'TRAIN.RPN_POST_NMS_TOP_N=20',
                 'TRAIN.BATCH_ROIS_OHEM=16', 'TRAIN.FLIP=false', 'output_path=%s' % (tmp_path / 'output'),
                 'dataset.root_path=%s' % tmp_path]
    status, printed, errors = tiny.run_script('experiments/dff_rfcn/dff_rfcn_end2end_train_test.py',
                                              '--cfg', out / 'own_dff_rfcn.yaml', '--gpus', 'cpu',
                                              '--set', *[text.replace(' ', '') for text in settings])
    assert status == 0, errors
    assert 'rfcn_cls_bias (196,) -> (98,)' in printed and 'newly initialised, 2 parameters of: rfcn_cls' in printed
    assert 'AP for pedestrian = ' in printed and 'Mean AP@0.5 = ' in printed
    trained = tmp_path / 'output' / 'own_dff_rfcn' / 'VID_train_15frames' / 'dff_rfcn_own'
    args, _ = load_params(str(trained), 1)
    assert args['rfcn_cls_weight'].shape[0] == 98
    assert os.path.isdir(str(tmp_path / 'cache'))          # the reader's cache is where dataset.root_path says
