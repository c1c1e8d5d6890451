"""Real situations of public reports: pictures lying on their side, archives as tools hand them out,
nothing to train on; each imported as it stands and compared by value."""
import shutil

import cv2
import pytest

from dff.errors import DataError
from tests.conftest import shared_folder
from tests.helpers.import_tools import run_import


@pytest.fixture(scope='module')
def cases():
    """The folder of the cases."""
    return shared_folder('cases')


def size_of(path):
    """(height, width) of a picture as it is stored."""
    return cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION).shape[:2]


def test_portrait_videos_of_a_phone(cases, tmp_path):
    data = run_import('cvat', cases / 'B-1/c7', tmp_path / 'own', val_clips=['phone2'])
    box = ('cone', 100, 20, 149, 119)
    assert data.boxes('VID_train_15frames') == {'train/phone1/%06d' % i: [box] for i in range(12)}
    assert {size_of(path) for path in (data.path / 'Data').rglob('*.JPEG')} == {(320, 192)}
    assert data.said('size:       192x320 (24 frames)')


def test_stills_turned_by_exif(cases, tmp_path):
    data = run_import('yolo', cases / 'B-9/y8', tmp_path / 'own', val=0)
    images = sorted((data.path / 'Data').rglob('*.JPEG'))
    assert size_of(cases / 'B-9/y8/images/p0.jpg') == (320, 192)
    assert len(images) == 4 and {size_of(path) for path in images} == {(192, 320)}
    box = ('cone', 48, 38.4, 79, 75.8)                           # 0.2 0.3 0.1 0.2 of 320x192
    assert data.boxes('DET_train_all') == {'train/p%d' % i: [box] for i in range(4)}
    assert data.said('turned upright (EXIF orientation)')


def test_nothing_to_train_on(cases, tmp_path):
    src = cases / 'B-18/mot15'
    data = run_import('mot', src, tmp_path / 'own', val_clips=['train/seq2'])
    assert len(data.boxes('VID_train_15frames')) == 5
    shutil.copytree(str(src), str(tmp_path / 'src'))
    (tmp_path / 'src/train/seq1/gt/gt.txt').write_text('1,1,9000,20,30,50,1,1,1\n')       # outside
    with pytest.raises(DataError, match='none of the 5 frames for training has a box; choose other clips'):
        run_import('mot', tmp_path / 'src', tmp_path / 'none', val_clips=['train/seq2'])


@pytest.mark.parametrize('format_name', ['cvat', 'auto'])
def test_archive_of_a_cvat_task(cases, tmp_path, format_name):
    archive = cases / 'B-24/z1/task.zip'
    data = run_import(format_name, archive, tmp_path / 'own', val=0, frames=str(cases / 'B-2/c1'))
    assert data.boxes('VID_train_15frames') == {
        'train/task/%06d' % i: [('cone', 20, 40, 119, 159)] for i in range(6)}
    with pytest.raises(DataError, match=r'task.zip: found no frames of any annotated video; --frames FOLDER says'):
        run_import(format_name, archive, tmp_path / 'none', val=0)


@pytest.mark.parametrize('format_name', ['coco', 'auto'])
def test_archive_of_coco(cases, tmp_path, format_name):
    data = run_import(format_name, cases / 'B-24/z1/coco.zip', tmp_path / 'own', val=0,
                      frames=str(cases / 'B-17/k1/images'))
    assert data.boxes('DET_train_all') == {
        'train/images/p%d' % i: [('cone', 10, 20, 59, 79)] for i in range(4)}
    assert data.said('4 copied')
