"""The clip of CamVid as a data set of detection."""
import os
import shutil

import pytest

from lib.dataset.formats.classes import load_classes
from lib.dataset.sets.imagenet_vid import ImageNetVID


@pytest.fixture
def camvid_vid(camvid, tmp_path):
    """The data set of the clip, whole where a copy has turned its links into texts."""
    folder = tmp_path / 'camvid' / 'vid'
    shutil.copytree(camvid / 'vid', folder, symlinks=True)
    (tmp_path / 'camvid' / 'seg').symlink_to(camvid / 'seg')
    for image in folder.glob('Data/**/*.JPEG'):
        if not image.is_symlink() and image.stat().st_size < 200:
            target = image.read_text()
            os.chmod(image.parent, 0o755)
            image.unlink()
            image.symlink_to(target)
    return folder


def test_camvid(camvid_vid):
    classes = load_classes(['car', 'pedestrian', 'bicyclist'])
    stills = ImageNetVID('DET_train_camvid', str(camvid_vid), classes).gt_roidb()
    assert len(stills) == 367 and sum(len(record.boxes) for record in stills) == 1790
    frames = ImageNetVID('VID_train_first50', str(camvid_vid), classes).gt_roidb()
    assert [record.frame_id for record in frames][:3] == [1, 4, 7] and {record.clip_length for record in frames} == {50}
    clip, = ImageNetVID('VID_val_videos', str(camvid_vid), classes).clips()
    assert (clip.first_number, clip.length) == (1, 101)
