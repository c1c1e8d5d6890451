"""A small detection data set of a user's own, to be spoilt by a test."""
import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults
from lib.dataset.check.check import check
from lib.dataset.registry import get_dataset
from lib.dataset.roidb import load_roidb
from lib.inference import testing
from tests.helpers import tiny
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml

CLIP, LENGTH = 'val/v', 6


class OwnData(DatasetFolder):
    """A training clip and a test clip of frames of 60 x 40 with a cat and a dog each; spoilt by a
    test."""

    def __init__(self, path):
        super().__init__(path)
        rng = np.random.RandomState(0)
        for clip in ('train/a', CLIP):
            for i in range(LENGTH):
                self.image('VID', '%s/%06d' % (clip, i), self.xml())
                picture = cv2.resize(rng.randint(0, 255, (5, 8, 3)).astype(np.uint8), (60, 40))
                cv2.imencode('.jpg', picture)[1].tofile(str(self.frame(clip, i)))
        self.image_set('VID_train_x', *('train/a 1 %d %d' % (i, LENGTH) for i in range(LENGTH)))
        self.image_set('VID_val_videos', '%s 1 0 %d' % (CLIP, LENGTH))

    @staticmethod
    def xml(cat=(5, 5, 24, 24), dog=(30, 10, 50, 30), names=('cat', 'dog')):
        return annotation(
            object_xml(names[0], *cat, '<trackid>0</trackid>'),
            object_xml(names[1], *dog, '<trackid>1</trackid>'),
        )

    def frame(self, clip, i):
        return self.path / 'Data' / 'VID' / clip / ('%06d.JPEG' % i)

    def annotate(self, clip, *texts):
        """Write the annotations of a clip's frames, `texts` in turn."""
        for i in range(LENGTH):
            (self.path / 'Annotations' / 'VID' / clip / ('%06d.xml' % i)).write_text(
                texts[i % len(texts)], encoding='utf-8'
            )

    def settings(self, image_set='VID_train_x', classes=('cat', 'dog')):
        cfg = self.config(image_set, classes)
        cfg.dataset.test_image_set, cfg.symbol, cfg.TRAIN.FLIP = (
            'VID_val_videos',
            'resnet_v1_rfcn',
            False,
        )
        return cfg

    def train(self, **options):
        return load_roidb(self.settings(**options))

    def test(self, **options):
        """What a test does before its first frame."""
        return get_dataset(self.settings(**options), 'VID_val_videos').check_test()

    def found(self, **options):
        """{kind: [text of each problem]} of tools/check_dataset.py."""
        report = check(self.settings(), limit=0, workers=1, **options)
        return {
            kind: [str(problem) for problem in kept] for kind, kept in report.problems.kept.items()
        }


def both_refuse(data, message, train=None):
    """Training and testing refuse with a message that holds the pattern `message`."""
    for clip, run in (('train/a', train or data.train), (CLIP, data.test)):
        with pytest.raises(DataError, match=message.replace('CLIP', clip)):
            run()


def run_test(path, **settings):
    cfg = detection_defaults()
    update_from_file(cfg, str(path))
    cfg.TEST.update(settings)
    return testing.test_net(tiny.fresh_task('rfcn'), cfg, str(path))
