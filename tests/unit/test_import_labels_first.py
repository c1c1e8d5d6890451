"""What labels alone refuse is refused before videos are decoded and images converted."""
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.importers import media
from tests.helpers.dataset_tools import HEIGHT, WIDTH
from tests.helpers.import_tools import image, run_import, video
from tests.helpers.mask_tools import mask, squares
from tests.unit.test_import_cvat import box, document, track

LENGTH = 5


@pytest.fixture
def decoded(monkeypatch):
    """Names of videos, one for each frame that is decoded of them, and of images that are written."""
    names, frames, write = [], media.Video.__iter__, media.ImageFile.write

    def counted(self):
        for each in frames(self):
            names.append(self.path)
            yield each

    def written(self, *arguments):
        names.append(self.path)
        return write(self, *arguments)
    monkeypatch.setattr(media.Video, '__iter__', counted)
    monkeypatch.setattr(media.ImageFile, 'write', written)
    return names


def mot(folder, **lists):
    """Videos with MOT lists of {name: lines}."""
    for name, lines in lists.items():
        video(folder / (name + '.mp4'), LENGTH)
        (folder / (name + '.txt')).write_text('\n'.join(lines) + '\n')
    return folder


def lines(considered=1, label=1):
    return ['%d,1,11,6,20,30,%d,%d,1' % (frame, considered, label) for frame in range(1, LENGTH + 1)]


def refused(decoded, tmp_path, frames, match, format_name='mot', **options):
    """The message of an import that is refused, after `frames` frames."""
    with pytest.raises((DataError, ConfigError), match=match) as error:
        run_import(format_name, tmp_path / 'src', tmp_path / 'out', **options)
    assert len(decoded) == frames and not (tmp_path / 'out').exists()
    return str(error.value)


def test_classes_that_match_nothing(tmp_path, decoded):
    mot(tmp_path / 'src', a=lines(), b=lines(label=3))
    text = refused(decoded, tmp_path, 2, 'no box of any class could be imported; --classes lists dog', classes=['dog'])
    assert '5 boxes: not of the --classes: pedestrian (a, frame 1; a, frame 2; a, frame 3; ...)' in text


def test_a_class_that_only_validation_has(tmp_path, decoded):
    mot(tmp_path / 'src', a=lines(), b=lines(label=3))
    text = refused(decoded, tmp_path, 2, 'none of the 5 frames for training has a box', classes=['car'],
                   val_clips=['b'])
    assert 'car' not in text
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out', classes=['car'], val_clips=['a'])
    assert data.classes == ['car'] and len(data.boxes('VID_train_15frames')) == LENGTH


def test_frames_for_validation_of_a_video(tmp_path, decoded):
    mot(tmp_path / 'src', a=['5,1,11,6,20,30,1,1,1', '1,1,11,6,20,30,0,1,1'])
    refused(decoded, tmp_path, 1, 'none of the 3 frames for training has a box', val_frames=['a:4-5'])


def test_labels_of_a_later_clip_that_cannot_be_read(tmp_path, decoded):
    mot(tmp_path / 'src', a=lines(), b=lines()[:3] + ['4,1'])
    refused(decoded, tmp_path, 0, r"b\.txt, line 4: expected 'frame,track", val_clips=['a'])


def test_labels_of_another_size(tmp_path, decoded):
    for name in 'ab':
        video(tmp_path / 'src' / (name + '.mp4'), LENGTH, 64 if name == 'a' else 96)
        boxes = [box(frame, 10, 20, 30, 40) for frame in range(LENGTH)]
        (tmp_path / 'src' / (name + '.xml')).write_text(document(track(1, 'dog', *boxes), source=name + '.mp4'))
    text = refused(decoded, tmp_path, 2, '5 images: their size is not the one that the annotation states', 'cvat')
    assert 'b.xml, frame 0: 96x64 instead of 96x96' in text


@pytest.mark.parametrize('options, message', [
    ({'classes': ['car']}, 'no box of any class could be imported; --classes lists car'),
    ({'per_clip': -1}, '--per_clip: frames per clip must be 0')])
def test_tracks_and_options(tmp_path, decoded, options, message):
    video(tmp_path / 'src/a.mp4', LENGTH)
    (tmp_path / 'src/a.xml').write_text(document(track(1, 'dog', box(0, 10, 20, 30, 40)), source='a.mp4'))
    refused(decoded, tmp_path, 0 if 'per_clip' in options else 1, message, 'cvat', val=0, **options)


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_images(tmp_path, decoded, suffix):
    for name in 'ab':
        image(tmp_path / ('src/images/%s%s' % (name, suffix)))
        (tmp_path / 'src/labels').mkdir(exist_ok=True)
        (tmp_path / ('src/labels/%s.txt' % name)).write_text('0 0.5 0.5 0.2 0.3\n')
    (tmp_path / 'src/data.yaml').write_text('names: [cat]\n')
    refused(decoded, tmp_path, 0, 'no box of any class could be imported; --classes lists dog', 'yolo', classes=['dog'])
    assert run_import('yolo', tmp_path / 'src', tmp_path / 'out', val=0).classes == ['cat']
    assert len(decoded) == 2


def test_label_maps_of_one_class(tmp_path, decoded):
    for name in 'ab':
        image(tmp_path / ('src/images/%s.png' % name))
        mask(tmp_path / ('src/masks/%s.png' % name), squares(1, 1, height=HEIGHT, width=WIDTH))
    (tmp_path / 'src/classes.txt').write_text('background\ncat\ndog\n')
    refused(decoded, tmp_path, 0, 'hold cat only; expected two classes at least', 'masks', unlabelled='ignore')


def test_what_is_counted_ahead_is_counted_once(tmp_path):
    mot(tmp_path / 'src', a=lines() + ['2,3,11,6,20,30,0,1,1', '9,1,11,6,20,30,1,1,1'], b=lines())
    data = run_import('mot', tmp_path / 'src', tmp_path / 'out', val_clips=['b'], first_frame=1)
    assert data.said('left out:   1 boxes: marked as not to be considered')
    assert data.said('left out:   1 frames: labelled, but the clip does not have them')
    assert data.said('pedestrian (boxes 5 + 5)')
