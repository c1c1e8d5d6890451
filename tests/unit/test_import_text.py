"""The formats of text and of one file an image: MOT Challenge, YOLO, PASCAL VOC and labelImg."""
import pytest

from dff.errors import DataError
from tests.helpers.import_tools import image, run_import, video


def lines(path, *texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(text + '\n' for text in texts), encoding='utf-8')
    return path


# ---- MOT Challenge

def sequence(folder, length=4, *gt):
    lines(folder / 'gt/gt.txt', *gt)
    lines(folder / 'seqinfo.ini', '[Sequence]', 'name=%s' % folder.name, 'imDir=img1', 'seqLength=%d' % length)
    for i in range(1, length + 1):
        image(folder / 'img1' / ('%06d.jpg' % i))


def test_mot17(tmp_path):
    gt = ('1,1,11,6,20,30,1,1,1', '1,2,31,6,10,10,0,12,0.5', '2,1,12,6,20,30,1,1,0.25', '4,5,1,1,60,40,1,3,1')
    for name in ('MOT17-02-DPM', 'MOT17-02-SDP', 'MOT17-04-DPM'):
        sequence(tmp_path / 'MOT17/train' / name, 4, *gt)
    data = run_import('mot', tmp_path / 'MOT17', tmp_path / 'out', val_clips=['train/MOT17-04-DPM'])
    assert data.classes == ['pedestrian', 'car']
    clip = 'train/MOT17-02-DPM/00000'
    assert data.boxes('VID_train_15frames') == {clip + '0': [('pedestrian', 10, 5, 29, 34)],
                                                clip + '1': [('pedestrian', 11, 5, 30, 34)],
                                                clip + '3': [('car', 0, 0, 59, 39)]}
    assert data.boxes('VID_val_frames')['val/MOT17-04-DPM/000002'] == []
    xml = data.xml('VID/train/MOT17-02-DPM/000001')
    assert '<trackid>1</trackid>' in xml and '<occluded>1</occluded>' in xml
    assert data.said('2 boxes: marked as not to be considered') and data.said('1 sequences: the same frames as another')
    assert data.said('images:     8 linked')


def test_mot_lists_beside_videos(tmp_path):
    """A sequence alone, columns of 2015, labels.txt of CVAT's export."""
    for name in ('a b', 'c'):
        video(tmp_path / 'src' / (name + '.mp4'), 3)
        lines(tmp_path / 'src' / (name + '.txt'), '3,1,11,6,20,30,1,-1,-1,-1', '', '1, 2, 11.5, 6, 20, 30')
    lines(tmp_path / 'src/labels.txt', 'dog', 'cat')
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out', val_clips=['c'])
    assert data.boxes('VID_train_15frames') == {'train/a b/000000': [('dog', 10.5, 5, 29.5, 34)],
                                                'train/a b/000002': [('dog', 10, 5, 29, 34)]}


def test_one_sequence(tmp_path):
    sequence(tmp_path / 'seq', 3, '1,1,11,6,20,30,1,1,1')
    with pytest.raises(DataError, match=r'there is only one clip \(seq\), and frames of one clip must not be parted'):
        run_import('mot', tmp_path / 'seq', tmp_path / 'out')
    assert run_import('mot', tmp_path / 'seq', tmp_path / 'train', val=0).boxes('VID_train_15frames')
    assert run_import('mot', tmp_path / 'seq', tmp_path / 'test', val=1).clips() == [('val/seq', 3)]


@pytest.mark.parametrize('line', ['1,1,2,3,4', 'x,1,2,3,4,5,1,1,1', '1;1;2;3;4;5', '1.5,1,2,3,4,5', 'nan,1,2,3,4,5'])
def test_lines_that_are_not_mot(tmp_path, line):
    sequence(tmp_path / 'seq', 2, '1,1,11,6,20,30,1,1,1', line)
    with pytest.raises(DataError, match=r"gt\.txt, line 2: expected 'frame,track,left,top,width,height,"):
        run_import('mot', tmp_path / 'seq', tmp_path / 'out', val=0)


def test_mot_values_that_cannot_be(tmp_path):
    sequence(tmp_path / 'seq', 2, '1,1,nan,6,20,30,1,1,1', '1,1,x,6,20,30,1,1,1', '1,1,5,6,20,30,1,77,1',
             '999999999999,1,1,1,5,5,1,1,1', '2,1,2,3,4,5,1,1,1')
    data = run_import('mot', tmp_path / 'seq', tmp_path / 'out', val=0)
    assert data.boxes('VID_train_15frames') == {'train/seq/000001': [('pedestrian', 1, 2, 4, 6)]}
    assert data.said('2 boxes: a coordinate is no number')
    assert data.said('1 boxes: the class number is none of the class names')
    assert data.said('1 frames: labelled, but the clip does not have them (seq, frame 999999999999)')


def test_mot_without_frames(tmp_path):
    lines(tmp_path / 'src/a/gt/gt.txt', '1,1,2,3,4,5,1,1,1')
    with pytest.raises(DataError, match='found no sequence'):
        run_import('mot', tmp_path / 'src', tmp_path / 'out')


# ---- YOLO

def test_yolo_folders(tmp_path):
    src = tmp_path / 'yo lo'
    lines(src / 'data.yaml', 'path: ../x', 'names:', '  0: person', '  1: Fußgänger', 'nc: 2')
    for part in ('train', 'val'):
        for i in range(2):
            image(src / 'images' / part / ('%d.jpg' % i))
        lines(src / 'labels' / part / '0.txt', '1 0.5 0.5 0.5 0.25', '0 0 0 0.5 0 0.5 1 0.1 0.2', '0 nan 0.5 0.1 0.1',
              '0 0.5', '7 .5 .5 .1 .1')
    data = run_import('yolo', src, tmp_path / 'out')
    assert data.boxes('DET_train_all') == {'train/0': [('Fußgänger', 15, 15, 44, 24), ('person', 0, 0, 29, 39)]}
    assert data.clips() == [('val/0', 1), ('val/1', 1)] and data.classes == ['person', 'Fußgänger']
    for line in ('2 boxes: a coordinate is no number', '2 boxes: the line is not', '2 boxes: the class number'):
        assert data.said(line), line


@pytest.mark.parametrize('folders', ['%s/images', 'images/%s'])
def test_yolo_with_a_test_part(tmp_path, folders):
    """train, valid and test, as exports have them: the test part is neither trained on nor validated with."""
    src = tmp_path / 'src'
    lines(src / 'data.yaml', 'train: ../train/images', 'val: ../valid/images', 'test: ../test/images', 'nc: 1',
          "names: ['cat']")
    for part in ('train', 'valid', 'test'):
        image(src / (folders % part) / (part + '.jpg'))
        lines(src / (folders.replace('images', 'labels') % part) / (part + '.txt'), '0 0.5 0.5 0.5 0.5')
    data = run_import('yolo', src, tmp_path / 'out')
    assert list(data.boxes('DET_train_all')) == ['train/train'] and data.clips() == [('val/valid', 1)]
    assert data.said('1 images: of the test part of the source (test/test)')


def test_a_source_of_nothing_but_a_test_part_is_split_as_any_other(tmp_path):
    lines(tmp_path / 'src/classes.txt', 'cat')
    for i in range(4):
        image(tmp_path / 'src/test' / ('%d.jpg' % i))
        lines(tmp_path / 'src/test' / ('%d.txt' % i), '0 0.5 0.5 0.5 0.5')
    data = run_import('yolo', tmp_path / 'src', tmp_path / 'out', val=0.5)
    assert len(data.boxes('DET_train_all')) == len(data.clips()) == 2 and not data.said('test part')


def test_yolo_beside_the_images_and_of_videos(tmp_path):
    src = tmp_path / 'src'
    lines(src / 'classes.txt', 'cat', '', 'big dog')
    for i in range(3):
        image(src / ('img_%d.jpg' % i))
        lines(src / ('img_%d.txt' % i), '1 0.5 0.5 0.5 0.5')
    data = run_import('yolo', src, tmp_path / 'out', val=0)
    assert data.classes == ['big_dog big dog'] and len(data.boxes('DET_train_all')) == 3
    labels = tmp_path / 'labels'
    lines(labels / 'obj.names', 'cat')
    for name in ('walk', 'run'):
        video(tmp_path / 'videos' / (name + '.mp4'), 4)
        lines(labels / ('%s_2.txt' % name), '0 0.5 0.5 0.5 0.5')
    data = run_import('yolo', labels, tmp_path / 'clips', clips=True, frames=str(tmp_path / 'videos'), first_frame=1,
                      val_clips=['run'])
    assert data.boxes('VID_train_15frames') == {'train/walk/000001': [('cat', 24, 16, 71, 47)]}


@pytest.mark.parametrize('name, text, expected', [
    ('a.txt', '', 'found no class names; expected data.yaml'),
    ('data.yaml', 'names: [a', 'data.yaml is not valid YAML'),
    ('data.yaml', '!!python/object/apply:os.system ["true"]', 'data.yaml is not valid YAML'),
    ('classes.txt', 'a', 'found neither images')])
def test_yolo_that_is_none(tmp_path, name, text, expected):
    lines(tmp_path / 'src' / name, text)
    with pytest.raises(DataError, match=expected):
        run_import('yolo', tmp_path / 'src', tmp_path / 'out')


# ---- PASCAL VOC and labelImg

def voc(*objects, size=(60, 40), filename='x.jpg'):
    return ('<annotation verified="yes"><folder>f</folder><filename>%s</filename><path>C:\\x.jpg</path>'
            '<source><database>Unknown</database></source>'
            '<size><width>%s</width><height>%s</height><depth>3</depth></size>'
            '<segmented>0</segmented>%s</annotation>'
            % ((filename,) + size + (''.join(
                '<object><name>%s</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>'
                '<bndbox><xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax></bndbox></object>' % item
                for item in objects),)))


def test_voc_folders(tmp_path):
    src = tmp_path / 'VOC2007'
    for name in ('000005', '000007', '000009'):
        image(src / 'JPEGImages' / (name + '.jpg'))
        lines(src / 'Annotations' / (name + '.xml'), voc(('chair', 11, 6, 30, 36), filename='../../' + name + '.jpg'))
    image(src / 'JPEGImages/000011.jpg')
    lines(src / 'ImageSets/Main/train.txt', '000005', '000007')
    lines(src / 'ImageSets/Main/val.txt', '000009')
    image(src / 'JPEGImages/000013.jpg')
    lines(src / 'Annotations/000013.xml', voc(('chair', 11, 6, 30, 36)))
    lines(src / 'ImageSets/Main/test.txt', '000013')
    data = run_import('voc', src, tmp_path / 'out')
    assert data.boxes('DET_train_all') == {'train/0000%s' % n: [('chair', 10, 5, 29, 35)] for n in ('05', '07')}
    assert data.clips() == [('val/000009', 1)] and data.said('1 images: no annotation')
    assert data.said('1 images: of the test part of the source')


def test_labelimg_beside_frames_of_clips(tmp_path):
    """XML beside the images, every second frame labelled, sizes missing."""
    src = tmp_path / 'my frames'
    for clip in ('walk one', 'walk two'):
        for i in range(6):
            image(src / clip / ('%d.png' % i))
            if i % 2:
                lines(src / clip / ('%d.xml' % i), voc(('a person', 11, 6, 30, 36), size=(0, 0)))
    data = run_import('labelimg', src, tmp_path / 'out', clips=True, val_clips=['walk two'])
    assert data.boxes('VID_train_15frames') == {'train/walk one/00000%d' % i: [('a person', 10, 5, 29, 35)]
                                                for i in (1, 3, 5)}
    assert data.clips() == [('val/walk two', 6)] and data.said('12 converted to JPEG')
    assert data.said('3 frames for validation are not')


def test_voc_of_the_frames_of_videos(tmp_path):
    for name in ('walk', 'run'):
        video(tmp_path / 'videos' / (name + '.mp4'), 4)
        lines(tmp_path / 'src' / ('%s_3.xml' % name), voc(('cat', 11, 6, 30, 36), size=(96, 64)))
    data = run_import('voc', tmp_path / 'src', tmp_path / 'out', clips=True, frames=str(tmp_path / 'videos'),
                      first_frame=1, val_clips=['run'])
    assert data.boxes('VID_train_15frames') == {'train/walk/000002': [('cat', 10, 5, 29, 35)]}
    assert data.clips() == [('val/run', 4)] and data.said('8 decoded from video')


@pytest.mark.parametrize('text, expected', [
    ('<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>',
     'is refused: entity definitions'),
    ('<annotation><object>', 'is not valid XML'), ('', 'is not valid XML'),
    ('<html/>', 'expected a PASCAL VOC <annotation>, found')])
def test_voc_that_is_none(tmp_path, text, expected):
    image(tmp_path / 'src/a.jpg')
    lines(tmp_path / 'src/a.xml', text)
    with pytest.raises(DataError, match=expected):
        run_import('voc', tmp_path / 'src', tmp_path / 'out', val=0)
    assert not (tmp_path / 'out').exists()


def test_voc_values_that_cannot_be(tmp_path):
    src = tmp_path / 'src'
    objects = [('cat', 'nan', 1, 9, 9), ('cat', '', 1, 9, 9), ('', 1, 1, 9, 9), ('__background__', 1, 1, 9, 9),
               ('cat', 9, 1, 5, 9), ('cat', 1, 1, 9, 9)]
    for name, size in (('a', (60, 40)), ('c', (60, 40))):
        image(src / (name + '.jpg'))
        lines(src / (name + '.xml'), voc(*objects, size=size))
    (src / 'c.jpg').write_bytes(b'no image')
    data = run_import('voc', src, tmp_path / 'out', val=0)
    assert data.boxes('DET_train_all') == {'train/a': [('cat', 0, 0, 8, 8)]}
    for line in ('2 boxes: a coordinate is no number', '2 boxes: no class name, or the name of the background',
                 '1 boxes: smaller than a pixel', '1 images: unreadable (cannot read image'):
        assert data.said(line), line
