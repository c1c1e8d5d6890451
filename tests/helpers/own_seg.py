"""A small segmentation data set of a user's own, to be spoilt by a test."""

from lib.dataset.check.check_seg import check_segmentation
from tests.helpers.seg_tools import frame, label, seg_config


def make_folder(tmp_path):
    """A SegFolder of two classes: a clip of 4 frames, 2 labelled, and 2 stills for training, 2
    stills to test; clean."""
    for t in range(4):
        frame(tmp_path / 'train' / 'clip' / ('%06d.jpg' % t))
    for t in (1, 3):
        label(tmp_path / 'trainannot' / 'clip' / ('%06d.png' % t), [[0, 1, 255]])
    for part in ('train', 'val'):
        for name in 'ab':
            frame(tmp_path / part / (name + '.jpg'))
            label(tmp_path / (part + 'annot') / (name + '.png'), [[0, 1]])
    (tmp_path / 'classes.txt').write_text('ground 10 20 30\nobject\n')
    return tmp_path


def settings(folder, num_classes=2):
    cfg = seg_config('SegFolder', folder, num_classes, test_image_set='val')
    cfg.TRAIN.FLIP = False
    return cfg


def found(folder, **options):
    """{kind: [text of each problem]} of tools/check_dataset.py."""
    report = check_segmentation(settings(folder), limit=0, workers=1, **options)
    return {
        kind: [str(problem) for problem in kept] for kind, kept in report.problems.kept.items()
    }
