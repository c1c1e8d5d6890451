"""COCO and COCO-VID JSON."""
import json

import numpy as np
import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video

CATEGORIES = [{'id': 3, 'name': 'traffic light'}, {'id': 1, 'name': 'person'}]


def coco(images, annotations, **more):
    return dict({'info': {}, 'licenses': [], 'images': images, 'categories': list(CATEGORIES), 'annotations': [
        dict({'id': i, 'iscrowd': 0, 'area': 1, 'segmentation': [[1, 2, 3, 4]]}, **a)
        for i, a in enumerate(annotations, 1)]}, **more)


def entry(identity, name, height=40, width=60, **more):
    return dict({'id': identity, 'file_name': name, 'height': height, 'width': width}, **more)


def write(path, tree):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding='utf-8')
    return path


@pytest.fixture
def src(tmp_path):
    """COCO's own folders: annotations/instances_{train,val}2017.json, train2017, val2017."""
    root = tmp_path / 'coco é'
    for part, count in (('train', 3), ('val', 2)):
        images = [entry(i, '%s %d.jpg' % (part, i)) for i in range(count)]
        for e in images:
            image(root / (part + '2017') / e['file_name'])
        write(root / 'annotations' / ('instances_%s2017.json' % part), coco(images, [
            {'image_id': 0, 'category_id': 3, 'bbox': [5, 6, 20.5, 10]},
            {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 60, 40]},
            {'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 30, 30], 'iscrowd': 1}]))
        write(root / 'annotations' / ('captions_%s2017.json' % part), {'images': [], 'annotations': []})
    return root


def test_coco_folder(src, tmp_path):
    data = run_import('coco', src, tmp_path / 'out')
    assert data.classes == ['traffic_light traffic light', 'person']
    assert data.boxes('DET_train_all') == {'train/train 0': [('traffic light', 5, 6, 24.5, 15)],
                                           'train/train 1': [('person', 0, 0, 59, 39)]}
    assert data.clips() == [('val/val 0', 1), ('val/val 1', 1)]        # a still to test is a clip of one frame
    assert data.said('only stills to train on') and data.said('2 boxes: iscrowd') and data.said('images:     5 linked')
    link = data.path / 'Data/DET/train/train 0.JPEG'
    assert link.is_symlink() and link.resolve() == src / 'train2017/train 0.jpg'
    assert run_import('coco', src, tmp_path / 'copies', copy=True).said('images:     5 copied')


def test_the_same_boxes_as_pycocotools_reads(src, tmp_path):
    reader = pytest.importorskip('pycocotools.coco').COCO(str(src / 'annotations/instances_train2017.json'))
    expected = {}

    def corners(x, y, width, height):
        return x, y, x + width - 1, y + height - 1
    for e in reader.loadImgs(reader.getImgIds()):
        boxes = reader.loadAnns(reader.getAnnIds(imgIds=[e['id']], iscrowd=False))
        if boxes:
            expected['train/' + e['file_name'][:-4]] = [(reader.cats[b['category_id']]['name'],) + corners(*b['bbox'])
                                                        for b in boxes]
    assert run_import('coco', src, tmp_path / 'out').boxes('DET_train_all') == expected


def test_masks_of_pycocotools(tmp_path):
    """Outlines as pycocotools writes them, run lengths packed (RLE) or not;
    those of crowds stay out, boxes come from its toBbox."""
    mask = pytest.importorskip('pycocotools.mask')
    pixels = np.zeros((40, 60), np.uint8, order='F')
    pixels[5:15, 10:30] = 1
    packed = mask.encode(pixels)
    outline = dict(packed, counts=packed['counts'].decode('ascii'))
    plain = {'size': [40, 60],
             'counts': [int(n) for n in np.diff(np.flatnonzero(np.diff(np.r_[2, pixels.ravel('F'), 2])))]}
    box = mask.toBbox(packed).tolist()
    assert box == [10, 5, 20, 10] and mask.area(mask.frPyObjects(plain, 40, 60)) == 200
    file = write(tmp_path / 'a.json', coco([entry(1, 'a.jpg')], [
        {'image_id': 1, 'category_id': 1, 'bbox': box, 'segmentation': outline, 'area': 200},
        {'image_id': 1, 'category_id': 3, 'bbox': box, 'segmentation': plain, 'area': 200, 'iscrowd': 1}]))
    image(tmp_path / 'a.jpg')
    assert len(pytest.importorskip('pycocotools.coco').COCO(str(file)).getAnnIds(iscrowd=True)) == 1
    data = run_import('coco', file, tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('person', 10, 5, 29, 14)]} and data.said('1 boxes: iscrowd')


def test_stills_are_split_by_image_with_a_seed(tmp_path):
    file = write(tmp_path / 'a.json', coco([entry(i, '%d.jpg' % i) for i in range(10)], [
        {'image_id': i, 'category_id': 1, 'bbox': [1, 1, 9, 9]} for i in range(10)]))
    for i in range(10):
        image(tmp_path / 'images' / ('%d.jpg' % i))
    first, again, other = (run_import('coco', file, tmp_path / name, val=0.3, seed=seed)
                           for name, seed in (('first', 1), ('again', 1), ('other', 2)))
    assert first.clips() == again.clips() != other.clips() and len(first.clips()) == 3
    assert len(first.boxes('DET_train_all')) == 7


def test_frames_of_clips(tmp_path):
    """--clips: by folder and by name, also frames that the file does not list; in the order of their numbers."""
    names = 'walk/frame_9.jpg', 'walk/frame_11.jpg', 'run_2.png', 'title.jpg', 'walk/frame_12.jpg', 'walk/frame_09.jpg'
    images = [entry(i, name) for i, name in enumerate(names, 1)]
    for name in ('walk/frame_9.jpg', 'walk/frame_10.jpg', 'walk/frame_11.jpg', 'run_2.png', 'title.jpg'):
        image(tmp_path / 'frames' / name)
    file = write(tmp_path / 'a.json',
                 coco(images, [{'image_id': i, 'category_id': 1, 'bbox': [i, 1, 9, 9]} for i in (1, 2, 3)]))
    data = run_import('coco', file, tmp_path / 'out', clips=True, frames=str(tmp_path / 'frames'), val_clips=['run'])
    assert data.boxes('VID_train_15frames') == {'train/walk/000000': [('person', 1, 1, 9, 9)],
                                                'train/walk/000002': [('person', 2, 1, 10, 9)]}
    assert len(list((data.path / 'Data/VID/train/walk').iterdir())) == 3 and data.clips() == [('val/run', 1)]
    assert data.said('1 images: --clips needs names that end in the number of the frame (title)')
    assert data.said('1 images: the file is missing (walk/frame_12)')
    assert data.said('1 images: another of the clip has the same number (walk/frame_09)')


@pytest.mark.parametrize('first', [0, 1])
def test_labelled_frames_of_a_video(tmp_path, first):
    for name in ('walk', 'run'):
        video(tmp_path / 'videos' / (name + '.avi.mp4' if name == 'run' else name + '.mp4'), 6)
    images = [entry(i, 'walk/frame_%06d.png' % (i + first), 64, 96)
              for i in (1, 4)] + [entry(9, 'run.avi_%d.jpg' % first, 64, 96)]
    file = write(tmp_path / 'a.json',
                 coco(images, [{'image_id': i, 'category_id': 1, 'bbox': [i, 1, 9, 9]} for i in (1, 4, 9)]))
    data = run_import('coco', file, tmp_path / 'out', clips=True, frames=str(tmp_path / 'videos'), first_frame=first,
                      val_clips=['run.avi'])
    assert data.boxes('VID_train_15frames') == {'train/walk/000001': [('person', 1, 1, 9, 9)],
                                                'train/walk/000004': [('person', 4, 1, 12, 9)]}
    assert data.clips() == [('val/run.avi', 6)] and data.said('5 frames for validation are not labelled')


def vid_tree(names=('walk', 'run')):
    images = [entry(10 * v + f, '%s/%d.jpg' % (name, f), video_id=v, frame_id=f) for v, name in enumerate(names, 1)
              for f in (2, 0, 1)]
    return coco(images, [{'image_id': e['id'], 'category_id': 1, 'bbox': [e['frame_id'], 1, 9, 9], 'instance_id': 4,
                          'video_id': e['video_id']} for e in images],
                videos=[{'id': v, 'name': name} for v, name in enumerate(names, 1)])


def test_coco_vid(tmp_path):
    file = write(tmp_path / 'vid.json', vid_tree())
    for name in ('walk', 'run'):
        for i in range(3):
            image(tmp_path / name / ('%d.jpg' % i))
    data = run_import('coco-vid', file, tmp_path / 'out', val_clips=['run'])
    assert data.boxes('VID_train_15frames') == {'train/walk/%06d' % i: [('person', i, 1, i + 8, 9)] for i in range(3)}
    assert data.clips() == [('val/run', 3)] and '<trackid>4</trackid>' in data.xml('VID/val/run/000002')
    assert data.said('tracks:     2')


def test_the_layout_of_mmtracking(tmp_path):
    """annotations/<set>_{train,val}.json over the tree of ILSVRC2015; every second frame of training listed."""
    root = tmp_path / 'ILSVRC'
    for part in ('train', 'val'):
        tree = vid_tree(('%s/ILSVRC2015_%s_000' % (part, part),))
        tree['images'] = [e for e in tree['images'] if part == 'val' or e['frame_id'] != 1]
        for e in tree['images']:
            e['file_name'] = '%s/%06d.JPEG' % (e['file_name'].rpartition('/')[0], e['frame_id'])
            image((root / 'Data/VID' / e['file_name']).with_suffix('.jpg')).rename(root / 'Data/VID' / e['file_name'])
        for a in tree['annotations']:
            a.update(occluded=True, generated=a['image_id'] % 10 == 2)
        write(root / 'annotations' / ('imagenet_vid_%s.json' % part), tree)
    data = run_import('coco-vid', root, tmp_path / 'out', frames=str(root / 'Data/VID'))
    clip = 'train/ILSVRC2015_train_000/00000'
    assert data.boxes('VID_train_15frames') == {clip + '0': [('person', 0, 1, 8, 9)],
                                                clip + '1': [('person', 2, 1, 10, 9)]}
    assert data.clips() == [('val/ILSVRC2015_val_000', 3)]
    assert '<occluded>1</occluded>\n\t\t<generated>1</generated>' in data.xml('VID/val/ILSVRC2015_val_000/000002')
    assert '<generated>0</generated>' in data.xml('VID/val/ILSVRC2015_val_000/000001')


@pytest.mark.parametrize('change, expected', [
    (lambda t: t['videos'][0].update(name='..'), "the file name '..' is refused"),
    (lambda t: t['images'][0].update(file_name='a\0'), "is refused: it names no file"),
    (lambda t: t['videos'][0].pop('id'), 'a video needs an id'),
    (lambda t: t.pop('videos'), "the list 'videos' is not there"),
    (lambda t: [e.update(frame_id='x') for e in t['images']], 'none of the images or videos that it lists is there'),
])
def test_what_is_no_coco_vid(tmp_path, change, expected):
    tree = vid_tree()
    for e in tree['images']:
        image(tmp_path / 'src' / e['file_name'])
    change(tree)
    with pytest.raises(DataError) as error:
        run_import('coco-vid', write(tmp_path / 'src/x.json', tree), tmp_path / 'out')
    assert expected in str(error.value) and not (tmp_path / 'out').exists()


def test_coco_vid_with_videos(tmp_path):
    tree = vid_tree(('walk.mp4', 'run'))
    for e in tree['images']:
        e.update(height=64, width=96)
    file = write(tmp_path / 'vid.json', tree)
    video(tmp_path / 'walk.mp4', 4)
    video(tmp_path / 'run.mp4', 4)
    data = run_import('coco-vid', file, tmp_path / 'out', val_clips=['run'])
    assert list(data.boxes('VID_train_15frames')) == ['train/walk/%06d' % i for i in range(3)]
    assert data.clips() == [('val/run', 4)]


@pytest.mark.parametrize('change, expected', [
    (lambda t: t.pop('categories'), "'categories' is not there"),
    (lambda t: t.update(images=[1]), "'images' is not there"),
    (lambda t: t['images'].append({'id': 9}), 'an image needs id and file_name'),
    (lambda t: t['images'].append(entry([1], 'a.jpg')), 'an image needs id and file_name'),
    (lambda t: t.update(images=[entry(9, '../../etc/passwd')]),
     'none of the 1 images that it lists is there'),
    (lambda t: t.update(images=[entry(9, '/etc/passwd')]),
     'none of the 1 images that it lists is there'),
    (lambda t: t['images'].append(entry(9, 'a\0.jpg')), 'is refused'),
    (lambda t: t['categories'].append({'id': 5}), 'a category needs id and name'),
    (lambda t: t.update(images=[entry(1, 'none.jpg')]),
     'none of the 1 images that it lists is there'),
])
def test_what_is_refused(tmp_path, change, expected):
    tree = coco([entry(0, 'a.jpg'), entry(1, 'b.jpg')], [{'image_id': 0, 'category_id': 1, 'bbox': [1, 1, 9, 9]}])
    change(tree)
    image(tmp_path / 'src/a.jpg')
    image(tmp_path / 'src/b.jpg')
    with pytest.raises(DataError) as error:
        run_import('coco', write(tmp_path / 'src/x.json', tree), tmp_path / 'out')
    assert expected in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ['src']


@pytest.mark.parametrize('text, expected',
                         [('{"images": [', 'x.json is not valid JSON'), ('[1]', "'images' is not there"),
                          ('[' * 100000, 'x.json is not valid JSON'), ('\udcff', 'x.json is not valid JSON')])
def test_what_is_no_coco(tmp_path, text, expected):
    (tmp_path / 'x.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
    for format_name in ('coco', 'coco-vid'):
        with pytest.raises(DataError, match=expected):
            run_import(format_name, tmp_path / 'x.json', tmp_path / 'out')


def test_unusable_boxes_are_counted(tmp_path):
    boxes = [[float('nan'), 1, 9, 9], ['x', 1, 9, 9], [1, 1, float('inf'), 9], [1, 1, 10 ** 400, 9], [None, 1, 1, 1],
             [1, 1, 0, 9], [1, 1, -5, 9], [70, 1, 9, 9], [-20, 1, 9, 9], [1, 1, 9], 'box', [50, 30, 90, 90],
             [2, 2, 5, 5]]
    tree = coco([entry(0, 'a.jpg'), entry(1, 'b.jpg'), entry(2, 'c.jpg')],
                [{'image_id': 0, 'category_id': 1, 'bbox': b} for b in boxes]
                + [{'image_id': 0, 'category_id': 9, 'bbox': [1, 1, 9, 9]},
                   {'image_id': 8, 'category_id': 1, 'bbox': [1, 1, 9, 9]},
                   {'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9]},
                   {'image_id': [0], 'category_id': 1, 'bbox': [1, 1, 9, 9]}])
    for name in 'abc':
        image(tmp_path / (name + '.jpg'))
    data = run_import('coco', write(tmp_path / 'x.json', tree), tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {
        'train/a': [('person', 50, 30, 59, 39), ('person', 2, 2, 6, 6)],
        'train/b': [('person', 1, 1, 9, 9)]
    }
    for line in ('5 boxes: a coordinate is no number', '2 boxes: smaller than a pixel', '2 boxes: outside their image',
                 '2 boxes: bbox is not [x, y, width, height]',
                 '3 boxes: their category_id or image_id is none of the file',
                 'changed:    1 boxes reached over the edge'):
        assert data.said(line), line
