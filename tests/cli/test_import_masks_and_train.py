"""From label maps of a tool to figures: import, check, training of both networks and their test, by
the commands of the guide."""
import cv2
import numpy as np
import pytest

from tests.helpers import tiny
from tests.helpers.seg_tools import write

HEIGHT, WIDTH, FRAMES = 48, 64, 6
# A frame takes milliseconds.
SETTINGS = ['network.depth=18', 'network.width=0.125', 'network.BN_GLOBAL_STATS=false', 'network.FIXED_PARAMS=[]',
            'network.pretrained=', 'TRAIN.BATCH_IMAGES=2', 'TRAIN.CROP_HEIGHT=32', 'TRAIN.CROP_WIDTH=48',
            'TRAIN.end_epoch=2', 'TRAIN.lr_step=', 'TRAIN.lr=0.02', 'TRAIN.warmup=false']
FLOW = ['network.flow=flownet', 'network.flow_width=0.125', 'network.pretrained_flow=', 'TRAIN.ENABLE_CROP=true',
        'TEST.KEY_FRAME_INTERVAL=2']
SCRIPTS = {'deeplab': ('experiments/deeplab/deeplab_train_test.py', []),
           'dff_deeplab': ('experiments/dff_deeplab/dff_deeplab_end2end_train_test.py', FLOW)}


def make_export(src):
    """Two clips as CVAT exports their masks: the last four of six frames are labelled."""
    for clip in ('walk', 'run'):
        for t in range(FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            for picture, colour in ((image, (40, 40, 230)), (colours, (32, 112, 48))):       # BGR
                cv2.rectangle(picture, (5 + 2 * t, 4 + t), (30 + 2 * t, 30 + t), colour, cv2.FILLED)
            write(src / 'JPEGImages' / clip / ('frame_%06d.png' % t), image)
            if t > 1:
                write(src / 'SegmentationClass' / clip / ('frame_%06d.png' % t), colours)
    (src / 'labelmap.txt').write_text('# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\n')
    return src


@pytest.mark.slow
def test_masks_of_ones_own(tmp_path):
    src, out = make_export(tmp_path / 'my masks'), tmp_path / 'own'
    status, printed, errors = tiny.run_script('tools/import_dataset.py', 'auto', src, out, '--clips', '--devices', 0,
                                              '--small')
    assert status == 0 and 'training:   clips 1, frames 6, labelled 4' in printed, errors
    assert printed.startswith('format:     masks, by ')
    for task, (script, more) in SCRIPTS.items():
        cfg = out / ('own_%s.yaml' % task)
        status, printed, errors = tiny.run_script('tools/check_dataset.py', '--cfg', cfg)
        assert status == 0 and '0 errors, 0 warnings' in printed, errors
        assert 'train (training): 4 labelled frames of 1 clips and 0 stills, 6 frames in all; 6 of 64 x 48' in printed
        status, printed, errors = tiny.run_script(script, '--cfg', cfg, '--gpus', 'cpu', '--set', *SETTINGS, *more,
                                                  'output_path=%s' % (tmp_path / 'output' / task))
        assert status == 0, errors
        assert 'IoU for cat = ' in printed and 'IoU for background = ' in printed, printed
        assert (tmp_path / 'output' / task / ('own_%s' % task) / 'train' / ('%s_own-0002.params' % task)).is_file()
