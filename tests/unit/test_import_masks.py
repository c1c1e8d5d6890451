"""Label maps of tools as a data set for segmentation: every pixel's class by value."""
import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.dataset.formats.label_png import write_label_png
from lib.dataset.importers.importer import recognise
from tests.conftest import shared_folder
from tests.helpers.import_tools import video
from tests.helpers.mask_tools import HEIGHT, WIDTH, import_masks, mask, picture, squares

LABELMAP = '# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\ntraffic light:176,112,32::\n'
COLOURS = np.array([[0, 0, 0], [48, 112, 32], [176, 112, 32], [224, 224, 192]], np.uint8)
IDS = squares(0, 1, 2)


def cvat(src, names=('a', 'b'), ids=IDS):
    """A task of CVAT as Segmentation mask 1.1."""
    src.mkdir(parents=True, exist_ok=True)
    (src / 'labelmap.txt').write_text(LABELMAP)
    for name in names:
        picture(src / 'JPEGImages' / (name + '.jpg'))
        mask(src / 'SegmentationClass' / (name + '.png'), COLOURS[ids])
        mask(src / 'SegmentationObject' / (name + '.png'), COLOURS[squares(1, 0, 0)])
    return src


def test_masks_of_cvat_without_images(tmp_path):
    src = shared_folder('cases') / 'B-19/s1'
    for i in range(3):
        picture(tmp_path / 'frames' / ('frame_%06d.jpg' % i), 192, 320)
    data = import_masks('masks', src, tmp_path / 'own', frames=str(tmp_path / 'frames'), clips=True, val=0)
    assert data.classes == ['background 0 0 0', 'cat 48 112 32', 'traffic light 176 112 32']
    expected = np.zeros((192, 320), np.uint8)
    expected[20:80, 30:120], expected[100:160, 150:280] = 1, 2
    labels = data.labels()
    assert sorted(labels) == ['s1/000000', 's1/000001', 's1/000002'] and data.clips() == [3]
    for label in labels.values():
        assert (label == expected).all()


def test_parts_boundaries_and_names(tmp_path):
    src = cvat(tmp_path / 'task', 'abcd', squares(0, 1, 2, 3))
    lists = src / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'Train.txt').write_text('a\nb\n')
    (lists / 'Validation.txt').write_text('c\n')
    (lists / 'Test.txt').write_text('d\n')
    picture(src / 'JPEGImages' / 'e.jpg')
    data = import_masks('masks', src, tmp_path / 'own')
    expected = squares(0, 1, 2, 255)
    assert {name: (label == expected).all() for name, label in data.labels().items()} == {'a': True, 'b': True}
    assert list(data.labels('val')) == ['c'] and (data.labels('val')['c'] == expected).all()
    assert data.said('left out:   1 images: of the test part of the source (d)')
    assert data.said('images: no label map (%s' % (src / 'JPEGImages/e.jpg'))
    assert data.said('ignored:    25 % + 25 % of the pixels')
    assert data.said('classes:    background (33.3 % + 33.3 %), cat (33.3 % + 33.3 %)')
    assert data.problems() == {}
    assert data.config().dataset.NUM_CLASSES == data.config('dff_deeplab').dataset.NUM_CLASSES == 3


def test_classes_that_are_asked_for(tmp_path):
    src = cvat(tmp_path / 'task')
    data = import_masks('masks', src, tmp_path / 'one', classes=['traffic light'], val=0)
    assert data.names == ['background', 'traffic light']
    assert (data.labels()['a'] == squares(0, 0, 1)).all()
    assert data.said('left out:   2 label maps: pixels not of the --classes: cat (a, frame 0; b, frame 0)')
    data = import_masks('masks', src, tmp_path / 'two', classes=['traffic light', 'cat'], unlabelled='ignore', val=0)
    assert data.names == ['traffic light', 'cat'] and (data.labels()['b'] == squares(255, 1, 0)).all()
    assert data.said('pixels without class are ignored (255)') is False     # they have one: the background
    with pytest.raises(DataError, match='--classes: there is no class dog; the classes of the source are background, '
                                        'cat, traffic light'):
        import_masks('masks', src, tmp_path / 'three', classes=['dog'])
    with pytest.raises(DataError, match='hold cat only; expected two classes at least; --unlabelled background'):
        import_masks('masks', src, tmp_path / 'four', classes=['cat'], unlabelled='ignore')


def test_a_class_that_no_pixel_has_and_void(tmp_path):
    src = cvat(tmp_path / 'task', ids=squares(0, 2, 1))
    (src / 'labelmap.txt').write_text(LABELMAP.replace('cat:', 'void:').replace('traffic', 'dog:1,2,3::\ntraffic'))
    data = import_masks('masks', src, tmp_path / 'own', val=0)
    assert data.names == ['background', 'traffic light']
    assert (data.labels()['a'] == squares(0, 1, 255)).all()
    assert data.said('left out:   1 classes: no pixel has them (dog)')
    assert data.said('assumed:    pixels of the class void are ignored (255)')


def test_what_is_wrong_is_said(tmp_path):
    src = cvat(tmp_path / 'task')
    mask(src / 'SegmentationClass/b.png', COLOURS[IDS] + np.uint8(1))
    with pytest.raises(DataError, match=r'label maps: cannot be used \(label map \S+b.png, row 0, column 0: the colour '
                                        r'1 1 1 is of no class in \S+labelmap.txt \(96 such pixels\); add it there'):
        import_masks('masks', src, tmp_path / 'own', val=0)
    mask(src / 'SegmentationClass/b.png', COLOURS[squares(0, 1, height=5)])
    with pytest.raises(DataError, match='its label maps are of another image; .*b.png: 12x5 instead of 12x8'):
        import_masks('masks', src, tmp_path / 'own', val=0)
    (src / 'labelmap.txt').write_text('cat\ndog 1 2\n')
    mask(src / 'SegmentationClass/b.png', COLOURS[IDS])
    with pytest.raises(DataError, match='the colour 0 0 0 is of no class'):
        import_masks('masks', src, tmp_path / 'own', val=0)
    (src / 'labelmap.txt').rename(src / 'notes.txt')
    (src / 'SegmentationClass').rename(src / 'masks')
    with pytest.raises(DataError, match='nothing says which class the colours .* are; put a list into it, one of lab'):
        import_masks('masks', src, tmp_path / 'own', val=0)
    assert not (tmp_path / 'own').exists()


def test_labels_of_another_size_are_scaled(tmp_path):
    src = cvat(tmp_path / 'task')
    mask(src / 'SegmentationClass/b.png', COLOURS[squares(0, 1, 2, height=16, width=24)])
    data = import_masks('masks', src, tmp_path / 'own', val=0)
    assert (data.labels()['b'] == IDS).all()
    assert data.said('1 frames: labelled at another size, their label maps were scaled (b.png, frame 0'
                     ) or data.said('their label maps were scaled (b.png: from 24x16 to 12x8)')


def test_pictures_turned_by_exif(tmp_path):
    """A mask of the picture as it is shown, and one as it is stored."""
    src = cvat(tmp_path / 'task', 'ab')
    stored = np.full((WIDTH, HEIGHT, 3), 90, np.uint8)
    jpeg = cv2.imencode('.jpg', stored)[1].tobytes()
    exif = b'\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    for name in 'ab':
        (src / 'JPEGImages' / (name + '.jpg')).write_bytes(jpeg[:2] + exif + jpeg[2:])
    mask(src / 'SegmentationClass/b.png', COLOURS[squares(0, 1, 2, height=WIDTH, width=HEIGHT)])
    data = import_masks('masks', src, tmp_path / 'own', val=0)
    labels = data.labels()            # the reader compares the sizes
    assert labels['a'].shape == (HEIGHT, WIDTH) and (labels['a'] == IDS).all()
    assert labels['b'].shape == (WIDTH, HEIGHT)
    assert data.said('1 turned upright')


def voc(src):
    palette = np.zeros((256, 3), np.uint8)
    palette[:3], palette[255] = [[0, 0, 0], [128, 0, 0], [0, 128, 0]], [224, 224, 192]
    for i in range(2):
        picture(src / 'JPEGImages' / ('2007_00003%d.jpg' % i))
        mask(src / 'SegmentationClass' / ('2007_00003%d.png' % i), squares(0, 1, 2, 255), 'P', palette)
    return src


def camvid(src):
    src.mkdir()
    (src / 'label_colors.txt').write_text('64 128 64\tAnimal\n0 0 0 Void\n0 128 192\tBicyclist\n')
    colours = np.array([[64, 128, 64], [0, 128, 192], [0, 0, 0]], np.uint8)
    for part in ('train', 'val'):
        picture(src / part / '0001TP_006690.png')
        mask(src / (part + 'annot') / '0001TP_006690.png', colours[squares(0, 1, 2)])
    return src


def cityscapes(src):
    """As CVAT writes it."""
    colours = np.array([[128, 64, 128], [0, 0, 142], [111, 74, 0]], np.uint8)
    for part in ('train', 'val'):
        stem = 'aachen_000000_000019'
        picture(src / 'imgsFine/leftImg8bit' / part / (stem + '_leftImg8bit.png'))
        mask(src / 'gtFine' / part / (stem + '_gtFine_color.png'), colours[squares(0, 1, 2)])
        for other in ('instanceIds', 'labelIds'):
            mask(src / 'gtFine' / part / ('%s_gtFine_%s.png' % (stem, other)), squares(7, 26, 5))
    return src


def roboflow(src):
    for part in ('train', 'valid'):
        stem = '%s_mp4-0001_jpg.rf.0123456789abcdef0123456789abcdef' % part
        picture(src / part / (stem + '.jpg'))
        mask(src / part / (stem + '_mask.png'), squares(0, 3, 1))
        (src / part / '_classes.csv').write_text('Pixel Value, Class\n0, background\n1, cat\n3, dog\n')
    return src


def kaggle(src):
    """CamVid as Kaggle has it: <part>_labels, *_L.png and a CSV file."""
    src.mkdir()
    (src / 'class_dict.csv').write_text('name,r,g,b\nAnimal,64,128,64\nBicyclist,0,128,192\nSky,1,2,3\n')
    colours = np.array([[64, 128, 64], [0, 128, 192]], np.uint8)
    for part in ('train', 'val'):
        picture(src / part / '0001TP_006690.png')
        mask(src / (part + '_labels') / '0001TP_006690_L.png', colours[squares(0, 1)])
    return src


def grey(src):
    """images/ and masks/ of numbers, with a list of names."""
    src.mkdir()
    (src / 'classes.txt').write_text('ground\nroad\nthe sky\n')
    for name in 'ab':
        picture(src / 'images' / (name + '.jpg'))
        mask(src / 'masks' / (name + '.png'), squares(2, 0, 255, 1))
    return src


FORMS = {
    voc: (['background', 'aeroplane', 'bicycle'], squares(0, 1, 2, 255), None),
    camvid: (['Animal', 'Bicyclist'], squares(0, 1, 255), '0001TP_006690'),
    cityscapes: (['road', 'car'], squares(0, 1, 255), 'aachen_000000_000019'),
    roboflow: (['background', 'cat', 'dog'], squares(0, 2, 1), None),
    kaggle: (['Animal', 'Bicyclist'], squares(0, 1), '0001TP_006690'),
    grey: (['ground', 'road', 'the sky'], squares(2, 0, 255, 1), None)}


@pytest.mark.parametrize('make', FORMS, ids=lambda make: make.__name__)
def test_forms_of_masks(tmp_path, make):
    names, expected, stem = FORMS[make]
    src = make(tmp_path / 'src')
    assert recognise(str(src))[0] == 'masks'
    data = import_masks('auto', src, tmp_path / 'own')
    assert data.names == names
    for image_set in ('train', 'val'):
        labels = data.labels(image_set)
        assert len(labels) == 1 and all((label == expected).all() for label in labels.values())
        assert stem is None or stem in list(labels)[0]
    assert data.problems() == {}
    assert data.said('parts:      as the data set has them') == (stem is not None or make is roboflow)


def test_clips_keep_the_frames_before(tmp_path):
    """Every third frame is labelled; DFF needs the others."""
    src = cvat(tmp_path / 'walk', ['frame_%06d' % i for i in (2, 5)])
    for i in range(7):
        picture(src / 'JPEGImages' / ('frame_%06d.jpg' % i))
    data = import_masks('masks', src, tmp_path / 'own', clips=True, val_frames=['walk:5-6'])
    assert list(data.labels()) == ['walk/000002'] and data.clips() == [5]
    assert list(data.labels('val')) == ['walk/000000'] and data.clips('val') == [2]
    assert data.problems() == {'unlabelled frames': 2}


def test_stills_and_clips_apart(tmp_path):
    src = cvat(tmp_path / 'task', ['walk/frame_%06d' % i for i in range(3)] + ['run/frame_%06d' % i for i in range(3)])
    data = import_masks('masks', src, tmp_path / 'own', clips=True, small=True)
    assert data.clips() == [3] and data.clips('val') == [3]
    data = import_masks('masks', src, tmp_path / 'stills')
    assert len(data.labels()) == 5 and data.clips() == [1] * 5
    assert data.said('there are only stills to train on')
    assert (data.path / 'train' / 'walk_frame_000000.jpg').is_symlink()


def test_frames_of_a_video(tmp_path):
    """Masks of a task without its images, and the video."""
    src = cvat(tmp_path / 'task', [])
    for i in (1, 3):
        mask(src / 'SegmentationClass' / ('frame_%06d.png' % i), COLOURS[squares(0, 1, 2, height=64, width=96)])
    video(src / 'walk.mp4', 5)
    data = import_masks('auto', src, tmp_path / 'own', clips=True, val=0)
    labels = data.labels()
    assert sorted(labels) == ['task/000001', 'task/000003'] and data.clips() == [5]
    assert all((label == squares(0, 1, 2, height=64, width=96)).all() for label in labels.values())
    assert data.said('belongs to %s, the only video' % (src / 'walk.mp4')) and data.said('5 decoded from video')


def test_class_maps_of_demos_come_back(tmp_path):
    """What `demo.py --labels` writes, corrected or not, beside the frames; and an import that is imported again."""
    palette = np.array([[0, 0, 0], [10, 20, 30], [200, 100, 0]], np.uint8)
    src = tmp_path / 'src'
    for i in range(3):
        picture(src / 'images/walk' / ('%06d.jpg' % i))
        (src / 'labels/walk').mkdir(parents=True, exist_ok=True)
        write_label_png(str(src / 'labels/walk' / ('%06d.png' % i)), np.roll(IDS, i, axis=1), palette)
    (src / 'classes.txt').write_text('ground 0 0 0\nroad 10 20 30\ncar 200 100 0\n')
    first = import_masks('auto', src, tmp_path / 'first', clips=True, val=0, copy=True)
    second = import_masks('auto', tmp_path / 'first', tmp_path / 'second', clips=True, val=0)
    for data in (first, second):
        assert data.names == ['ground', 'road', 'car'] and data.clips() == [3]
        assert [(data.labels()['walk/%06d' % i] == np.roll(IDS, i, axis=1)).all() for i in range(3)] == [True] * 3


def test_settings(tmp_path):
    """The learning rate goes by the devices, frames are not enlarged, DFF of the small networks starts from DeepLab."""
    src = tmp_path / 'src'
    (src / 'SegmentationClass').mkdir(parents=True)
    (src / 'labelmap.txt').write_text(LABELMAP)
    for name in ('walk/frame_000000', 'walk/frame_000001', 'run/frame_000000'):
        picture(src / 'JPEGImages' / (name + '.jpg'), 300, 400)
        mask(src / 'SegmentationClass' / (name + '.png'), COLOURS[squares(0, 1, 2, height=300, width=400)])
    data = import_masks('masks', src, tmp_path / 'own', clips=True, val_clips=['run'], devices=2)
    for task in ('deeplab', 'dff_deeplab'):
        cfg = data.config(task)
        assert (cfg.TRAIN.lr, cfg.gpus, cfg.SCALES) == (0.001, '0,1', [(300, 400)])
        assert (cfg.TRAIN.CROP_HEIGHT, cfg.TRAIN.CROP_WIDTH, cfg.TRAIN.end_epoch) == (304, 400, 30)
        assert (cfg.dataset.image_set, cfg.dataset.test_image_set, cfg.dataset.NUM_CLASSES) == ('train', 'val', 3)
        assert cfg.TRAIN.warmup_step == 6 and cfg.TRAIN.model_prefix == task + '_own'       # of 60 updates
    data = import_masks('masks', src, tmp_path / 'own', clips=True, val_clips=['run'], small=True, force=True,
                        devices=0)
    first, second = data.config().network, data.config('dff_deeplab').network
    assert first.pretrained.endswith('rfcn_toy_vid') and data.config().SCALES == [(192, 320)]
    assert second.pretrained == './output/deeplab/own/own_deeplab/train/deeplab_own' and second.pretrained_epoch == 30
