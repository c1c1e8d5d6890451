"""tools/check_dataset.py for segmentation: each kind of problem, planted and found; the report; the page."""
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from dff.errors import ConfigError
from lib.dataset.check.check_html import write_html
from lib.dataset.check.check_seg import check_segmentation
from tests.helpers.damage import stray_bytes
from tests.helpers.own_seg import found, make_folder, settings
from tests.helpers.seg_tools import frame, label, seg_config, write


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


def spoil_palette(folder):
    image = Image.fromarray(np.zeros((12, 20), np.uint8))
    image.putpalette([0, 0, 0, 9, 9, 9] * 128)
    image.save(str(folder / 'trainannot' / 'a.png'))


PLANTS = [
    (
        'label size',
        lambda f: label(f / 'trainannot' / 'a.png', [[0, 1]], height=11),
        r'a.png is 20 pixels wide and 11 high, but its frame',
    ),
    (
        'label invalid',
        lambda f: label(f / 'trainannot' / 'a.png', [[0, 5]]),
        'a.png holds ids that are no class: 5',
    ),
    ('label invalid', spoil_palette, 'a.png has a palette; expected one channel of class ids'),
    (
        'label invalid',
        lambda f: (f / 'trainannot' / 'a.png').write_bytes(b'x'),
        'cannot read label .*a.png: not a whole PNG file',
    ),
    (
        'frame without label',
        lambda f: frame(f / 'train' / 'c.jpg'),
        'frame .*c.jpg has no label: .*trainannot/c.png does not exist',
    ),
    (
        'label without frame',
        lambda f: label(f / 'valannot' / 'z.png'),
        'label .*valannot/z.png has no frame',
    ),
    (
        'label form',
        lambda f: write(f / 'trainannot' / 'q.jpg', np.zeros((12, 20), np.uint8)),
        'q.jpg is no PNG file; JPEG changes pixels',
    ),
    (
        'frames missing',
        lambda f: [frame(f / 'train' / 'clip' / ('%06d.jpg' % t)) for t in (6, 7, 8)],
        'clip .*clip: after frame 000003 comes 6, but the others are 1 apart',
    ),
    (
        'clip sizes differ',
        lambda f: frame(f / 'train' / 'clip' / '000002.jpg', 14, 20),
        r'frames of one clip differ in size: 20 x 12 \(.*000000.jpg\), 20 x 14 \(.*000002.jpg\)',
    ),
    (
        'image unreadable',
        lambda f: (f / 'train' / 'clip' / '000002.jpg').write_bytes(b'xx'),
        'cannot decode image .*000002.jpg',
    ),
    (
        'frame in training and test',
        lambda f: [
            (f / part / 'b.jpg').unlink() or (f / part / 'b.jpg').symlink_to(f / 'train' / 'a.jpg')
            for part in ('val',)
        ],
        'val/b.jpg is trained on',
    ),
]


@pytest.mark.parametrize('kind, plant, message', PLANTS, ids=[plant[0] for plant in PLANTS])
def test_each_problem_is_found_and_the_others_go_on(folder, kind, plant, message):
    import re

    plant(folder)
    problems = found(folder)
    assert re.search(message, problems[kind][0]) and set(problems) - {'unlabelled frames'} == {
        kind
    }


def test_a_damaged_frame_is_counted_by_decode(folder):
    stray_bytes(folder / 'val' / 'a.jpg')
    assert (
        'val/a.jpg: the decoder says: Corrupt JPEG data'
        in found(folder, decode=True)['image damaged'][0]
    )


def test_the_other_data_sets(tmp_path):
    for number in (1, 2):
        frame(tmp_path / 'cam' / 'train' / ('f_%06d.png' % (30 * number)))
        label(tmp_path / 'cam' / 'trainannot' / ('f_%06d.png' % (30 * number)), [list(range(12))])
        stem = 'aachen_000000_%06d_' % number
        frame(tmp_path / 'city' / 'leftImg8bit' / 'train' / 'aachen' / (stem + 'leftImg8bit.png'))
        label(
            tmp_path / 'city' / 'gtFine' / 'train' / 'aachen' / (stem + 'gtFine_labelIds.png'),
            [list(range(34))],
            width=40,
        )
    for name, path, count, image_set in (
        ('CamVid', 'cam', 11, 'train'),
        ('CityScape', 'city', 19, 'leftImg8bit_train'),
    ):
        cfg = seg_config(name, tmp_path / path, count, image_set, test_image_set=image_set)
        report = check_segmentation(cfg, workers=1)
        assert set(report.problems.counts) <= {
            'frame in training and test',
            'label size',
            'class never labelled',
        }
        assert len(report.classes) == count and report.sets[0].frames == 2
    cfg = seg_config('SegFolder', tmp_path / 'cam', 11, CLASSES=['c%d' % i for i in range(11)])
    cfg.dataset.dataset = 'ImageNetVID'
    with pytest.raises(ConfigError):
        check_segmentation(cfg)


@pytest.mark.slow
def test_toy_seg(tmp_path):
    cfg = seg_config('ToySeg', tmp_path / 'toy', 6, 'stills', test_image_set='val')
    assert check_segmentation(cfg).problems.clean


def test_the_command_and_its_page(folder, root):
    path = folder / 'x.yaml'
    path.write_text(
        yaml.safe_dump(
            {
                'symbol': 'resnet_v1_deeplab',
                'dataset': {
                    'dataset': 'SegFolder',
                    'dataset_path': str(folder),
                    'NUM_CLASSES': 2,
                    'image_set': 'nowhere',
                    'test_image_set': 'val',
                },
            }
        )
    )

    def run(*words):
        return subprocess.run(
            [sys.executable, str(root / 'tools' / 'check_dataset.py'), '--cfg', str(path)]
            + list(words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    done = run('--set', 'dataset.image_set=train', '--html', str(folder / 'r.html'))
    assert (done.returncode, done.stderr) == (0, '') and done.stdout.endswith(
        'clean: 0 errors, 0 warnings, 1 note\n'
    )
    text = (folder / 'r.html').read_text()
    assert (
        text.count('data:image/jpeg;base64,') == 6
        and 'Pixels by class, training' in text
        and 'train/clip/000001</figcaption>' in text
    )
    done = run()
    assert done.returncode == 1 and "image set 'nowhere': the folder" in done.stdout


def test_the_page_shows_no_frame_that_cannot_be_read(folder, tmp_path):
    (folder / 'train' / 'a.jpg').write_bytes(b'x')
    write_html(check_segmentation(settings(folder), workers=1), str(tmp_path / 'r.html'), 'x')
    assert (tmp_path / 'r.html').read_text().count('data:image/jpeg;base64,') == 5
