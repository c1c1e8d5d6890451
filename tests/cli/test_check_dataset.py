"""tools/check_dataset.py: each kind of problem, planted and found; the report; the exit status."""
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from dff.errors import ConfigError, DataError
from lib.dataset.check.check import check
from lib.dataset.check import check as check_module
from lib.dataset.check.check_clips import ranges
from lib.dataset.check.check_html import write_html
from lib.dataset.formats.problems import KINDS
from tests.helpers.dataset_tools import DatasetFolder, annotation, object_xml

LENGTH = 6


class Planted(DatasetFolder):
    """Two training clips, one test clip, two stills; a cat and a dog in every frame.
    Clean until something is planted."""

    def __init__(self, path):
        super().__init__(path)
        self.lines = {'VID_train_x': ['train/a 1 3 6', 'train/b c 1 4 6'], 'VID_val_videos': ['val/v é 1 0 6'],
                      'DET_train_x': ['train/s1 1', 'train/s2 2']}
        self.names, self.symbol, self.num_classes = ('cat', 'dog'), 'resnet_v1_flownet_rfcn', 3
        rng = np.random.RandomState(0)
        for tree, paths in (('VID',
                             ['%s/%06d' % (clip, i) for clip in ('train/a', 'train/b c', 'val/v é')
                              for i in range(LENGTH)]),
                            ('DET', ['train/s1', 'train/s2'])):
            for path in paths:
                self.image(tree, path, self.xml())
                picture = cv2.resize(rng.randint(0, 255, (5, 8, 3)).astype(np.uint8), (60, 40))
                cv2.imencode('.jpg', picture)[1].tofile(str(self.file(path, tree)))

    @staticmethod
    def xml(cat=(5, 5, 24, 24), size='<size><width>60</width><height>40</height></size>', more=''):
        return annotation(object_xml('cat', *cat, '<trackid>0</trackid>'),
                          object_xml('dog', 30, 10, 50, 30, '<trackid>1</trackid>'), more,
                          size=size)

    def file(self, path, tree='VID', kind='Data'):
        return self.path / kind / tree / (path + {'Data': '.JPEG', 'Annotations': '.xml'}[kind])

    def write(self, path, xml, tree='VID'):
        self.file(path, tree, 'Annotations').write_text(xml, encoding='utf-8')

    def settings(self):
        for name, lines in self.lines.items():
            self.image_set(name, *lines)
        cfg = self.config('VID_train_x+DET_train_x', self.names)
        cfg.dataset.test_image_set, cfg.dataset.NUM_CLASSES = 'VID_val_videos', self.num_classes
        cfg.symbol = self.symbol
        return cfg

    def check(self, **options):
        """{kind: [text of each problem]}."""
        report = check(self.settings(), limit=0, workers=1, **options)
        assert {kind: len(kept) for kind, kept in report.problems.kept.items()} == dict(report.problems.counts)
        return {kind: [str(problem) for problem in kept] for kind, kept in report.problems.kept.items()}


@pytest.fixture
def planted(tmp_path):
    return Planted(tmp_path / 'own data 数据')


def test_clean(planted):
    assert planted.check() == {} and planted.check(decode=True) == {}


def line(planted, image_set, number):
    return '%s/ImageSets/%s.txt, line %d: ' % (planted.path, image_set, number)


def alter_bytes(file, function):
    file.write_bytes(function(file.read_bytes()))


A3, V2 = 'train/a/000003', 'val/v é/000002'
PLANTS = [
    ('image missing', lambda p: p.file(A3).unlink(), 'VID_train_x', 1, 'the image .*000003.JPEG does not exist'),
    ('image unreadable', lambda p: alter_bytes(p.file(A3), lambda b: b'no image'),
     'VID_train_x', 1, r'cannot decode image .*000003.JPEG \(8 bytes\)'),
    ('image unreadable', lambda p: alter_bytes(p.file(A3), lambda b: b[:60]),
     'VID_train_x', 1, 'cannot decode image .* no size in its header'),
    ('image truncated', lambda p: alter_bytes(p.file(A3), lambda b: b[:-40]),
     'VID_train_x', 1, r'000003.JPEG \(\d+ bytes\) breaks off before its end'),
    ('image truncated', lambda p: alter_bytes(p.file('train/a/000001'), lambda b: b[:-40]),
     'VID_train_x', 1, '000001.JPEG .* breaks off'),
    ('annotation missing', lambda p: p.file(V2, kind='Annotations').unlink(),
     'VID_val_videos', 1, 'the annotation .*000002.xml does not exist'),
    ('annotation invalid', lambda p: p.write(V2, '<annotation>'), 'VID_val_videos', 1,
     '000002.xml is not valid XML: no element found'),
    ('annotation invalid', lambda p: p.write(A3, p.xml(cat=(1, 'x', 3, 4))),
     'VID_train_x', 1, "expected a number in <bndbox><ymin>, found 'x'"),
    ('annotation invalid', lambda p: p.write(A3, p.xml(cat=(1, 2, 'nan', 4))),
     'VID_train_x', 1, "expected a number in <bndbox><xmax>, found 'nan'"),
    ('annotation invalid', lambda p: p.write(A3, p.xml(more='<object><bndbox/></object>')),
     'VID_train_x', 1, 'object 3 of .* has no <name>'),
    ('annotation invalid', lambda p: p.write(A3, '<!DOCTYPE a [<!ENTITY x "%s">]>' % ('ha' * 99) + p.xml(more='&x;')),
     'VID_train_x', 1, 'entity definitions are not allowed'),
    ('wrong size', lambda p: p.write(A3, p.xml(size='<size><width>61</width><height>40</height></size>')),
     'VID_train_x', 1, '000003.JPEG is 60 x 40 pixels, but its annotation says 61 x 40'),
    ('box empty', lambda p: p.write(A3, p.xml(cat=(20, 5, 10, 24))),
     'VID_train_x', 1, '000003.xml: cat at 20 5 10 24 in a frame of 60 x 40'),
    ('box outside', lambda p: p.write(A3, p.xml(cat=(70, 5, 80, 24))), 'VID_train_x', 1, 'cat at 70 5 80 24'),
    ('box over the edge', lambda p: p.write(A3, p.xml(cat=(-1, 5, 60, 24))), 'VID_train_x', 1, 'cat at -1 5 60 24'),
    ('unknown class', lambda p: p.write(A3, p.xml(more=2 * object_xml('<![CDATA[cow <é>]]>', 1, 1, 9, 9))),
     'VID_train_x', 1, "000003.xml has 2 x 'cow <é>', which is not in the class list"),
    ('track id twice', lambda p: p.write(V2, p.xml(more=object_xml('cat', 1, 1, 9, 9, '<trackid>0</trackid>'))),
     'VID_val_videos', 1, '000002.xml has 2 x track id 0 of cat'),
    ('frame without boxes', lambda p: p.write(A3, annotation()), 'VID_train_x', 1,
     'train/a/000003 has no box of a listed class'),
    ('list syntax', lambda p: p.lines['VID_train_x'].append('train/a 1 3'),
     'VID_train_x', 3, "expected 'clip_dir 1 frame_id clip_length'"),
    ('list syntax', lambda p: p.lines['VID_val_videos'].append('val/v 7 1 6'), 'VID_val_videos', 2,
     'the third field must be 0'),
    ('listed twice', lambda p: p.lines['DET_train_x'].append('train/s1 3'),
     'DET_train_x', 3, 'train/s1 is already at .*DET_train_x.txt, line 1'),
    ('clip length', lambda p: p.lines['VID_train_x'].__setitem__(0, 'train/a 1 3 5'), 'VID_train_x', 1,
     'clip_length is 5, .*train/a holds 6 frames'),
    ('clip length', lambda p: p.lines['VID_train_x'].append('train/a 1 2 4'), 'VID_train_x', 3,
     'clip_length is 4, .*train/a holds 6 frames'),
    ('reference frame missing', lambda p: [p.file('train/a/%06d' % i).unlink() for i in (0, 2)], 'VID_train_x', 1,
     'train/a has no frame 000000, 000002'),
    ('frame name', lambda p: shutil.copy(str(p.file(A3)), str(p.file(A3).parent / '3.jpg')),
     'VID_train_x', 1, 'holds 1 other files, such as .3.jpg'),
    ('annotation without frame', lambda p: p.write('train/a/000009', p.xml()), 'VID_train_x', 1,
     'Annotations/VID/train/a holds 1 without an image in .*, such as .000009.xml'),
    ('frame sizes differ',
     lambda p: cv2.imencode('.png', np.zeros((50, 60, 3), np.uint8))[1].tofile(str(p.file('train/a/000001'))),
     'VID_train_x', 1, r'differ in size: 60 x 40 \(000003.JPEG\), 60 x 50 \(000001.JPEG\)'),
    ('clip in training and test', lambda p: p.lines['VID_train_x'].append('val/v é 1 2 6'), 'VID_val_videos', 1,
     'clip val/v é is trained on: .*VID_train_x.txt, line 3'),
    ('frame in training and test', lambda p: shutil.copy(str(p.file(A3)), str(p.file(V2))), 'VID_val_videos', 1,
     'v é/000002.JPEG is trained on as .*train/a/000003.JPEG: .*VID_train_x.txt, line 1'),
]


@pytest.mark.parametrize('kind, plant, image_set, number, text', PLANTS, ids=[plant[0] for plant in PLANTS])
def test_each_problem_is_found(planted, kind, plant, image_set, number, text):
    plant(planted)
    found = planted.check()
    assert found.pop(kind)[0].startswith(line(planted, image_set, number)) and re.search(text, planted.check()[kind][0])
    # Nothing else is said, but what follows from the problem itself.
    follows = {'clip length',
               'annotation without frame'} if 'missing' in kind and kind != 'annotation missing' else set()
    assert set(found) == follows


def test_problems_of_the_whole(planted):
    planted.names, planted.num_classes = ('cat', 'dog', 'bird'), 3
    for clip in ('train/a', 'train/b c', 'val/v é'):
        for i in range(LENGTH):
            planted.write('%s/%06d' % (clip, i), annotation(object_xml('cat', 5, 5, 24, 24)))
    planted.write('train/s1', planted.xml(more=25 * object_xml('cat', 5, 5, 24, 24)), 'DET')
    planted.write('train/s2', annotation(object_xml('dog', 5, 5, 24, 24)), 'DET')
    planted.lines['VID_val_videos'].append('val/v é 3 0 1')
    found = planted.check()
    assert 'dataset.NUM_CLASSES is 3, but the class list (dataset.CLASSES) has 3 classes' in found['class count'][0]
    assert found['class without training boxes'] == ['bird'] and found['class without test boxes'] == ['dog', 'bird']
    assert found['frame number twice'][0].startswith(line(planted, 'VID_val_videos', 2)
                                                     + 'frame number 3 is already on line 1')
    assert found['no track ids'][0].endswith('no object has a track id and a second box nearby')


def test_label_balance_and_nothing_to_train_on(planted):
    planted.write('train/s1', planted.xml(more=80 * object_xml('cat', 5, 5, 24, 24)), 'DET')
    assert planted.check() == {'label balance': ['training has 84 boxes of cat, 4 of dog']}
    planted.names, planted.num_classes = ('bird',), 2
    assert planted.check()['nothing to train on'] == ['no training frame has a usable box of a listed class']


def test_a_list_that_is_missing(planted):
    planted.settings()
    cfg = planted.config('VID_train_y+VID_train_x+other', planted.names)
    cfg.dataset.test_image_set = 'VID_val_videos'
    kept = check(cfg, workers=1).problems.kept['image set']
    assert 'VID_train_y.txt does not exist; there are DET_train_x, VID_train_x, VID_val_videos' in kept[0].text
    assert "image set 'other': the name must start with DET_ or VID_" in kept[1].text and len(kept) == 2


def test_damage_inside_an_image_needs_decoding(planted):
    png = cv2.imencode('.png', np.random.RandomState(0).randint(0, 255, (40, 60, 3)).astype(np.uint8))[1].tobytes()
    planted.file(A3).write_bytes(png[:40] + b'\0' * 200 + png[240:])
    assert planted.check() == {}
    assert 'cannot decode image' in planted.check(decode=True)['image unreadable'][0]


def test_the_frame_baseline_needs_no_reference_frames(planted):
    planted.symbol = 'resnet_v1_rfcn'
    planted.file('train/a/000001').unlink()
    planted.file('train/a/000001', kind='Annotations').unlink()
    found = planted.check()
    assert list(found) == ['clip length'] and found['clip length'][0].endswith('train/a holds 5 frames, but not 000001')
    # As many files as clip_length says, but with a gap.
    shutil.copy(str(planted.file('train/a/000000')), str(planted.file('train/a/000006')))
    assert planted.check()['clip length'][0].endswith('train/a holds 6 frames, but not 000001')


def test_nothing_to_look_through(planted, tmp_path):
    cfg = planted.settings()
    cfg.dataset.dataset = 'SegFolder'
    with pytest.raises(ConfigError):
        check(cfg)
    cfg = planted.settings()
    cfg.dataset.dataset_path = str(tmp_path / 'none')
    with pytest.raises(DataError, match='the data set folder .*none .* does not exist'):
        check(cfg)


def test_processes_find_the_same(planted, monkeypatch):
    monkeypatch.setattr(check_module, 'PARALLEL_FROM', 1)
    planted.write(A3, planted.xml(cat=(70, 5, 80, 24)))
    one, two = (check(planted.settings(), workers=workers).lines() for workers in (1, 2))
    assert one == two and 'problems: 0 errors, 1 warning, 0 notes' == two[-1]


def test_limit_and_effects(planted):
    for i in range(LENGTH):
        planted.write('val/v é/%06d' % i, planted.xml(cat=(70, 5, 80, 24)))
    text = '\n'.join(check(planted.settings(), limit=2, workers=1).lines())
    assert 'warning: box outside (6)\n  -> %s\n' % KINDS['box outside'][1] in text
    assert '  ... and 4 more (--limit 0 shows all)' in text
    assert text.count('000.xml: cat at 70') + text.count('001.xml: cat at 70') == 2


def test_html(planted, tmp_path):
    planted.write(A3, planted.xml(more=object_xml('&lt;script&gt;', 1, 1, 9, 9)))
    write_html(check(planted.settings(), workers=1), str(tmp_path / 'r.html'), 'a & b')
    text = (tmp_path / 'r.html').read_text(encoding='utf-8')
    assert '<h1>a &amp; b</h1>' in text and '<script>' not in text and '&lt;script&gt;' in text
    # 2 + 2 training frames, 6 test frames
    assert text.count('data:image/jpeg;base64,') == 10 and 'val/v é/000005</figcaption>' in text
    assert '<td>slow (motion IoU &gt; 0.9)</td><td>12</td>' in text and '<td>16 to 32</td><td>12</td>' in text
    assert 'http' not in text


def test_ranges():
    assert ranges([1, 2, 3, 7]) == '000001-000003, 000007'


def run_tool(root, *arguments):
    return subprocess.run([sys.executable, str(root / 'tools' / 'check_dataset.py')] + list(arguments),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, encoding='utf-8')


def test_command(planted, root, tmp_path):
    planted.settings()
    settings = tmp_path / 'x.yaml'
    settings.write_text('symbol: resnet_v1_flownet_rfcn\ndataset:\n  dataset_path: "%s"\n  CLASSES: [cat, dog]\n'
                        '  NUM_CLASSES: 3\n  image_set: VID_train_x\n  test_image_set: VID_val_videos\n' % planted.path,
                        encoding='utf-8')
    done = run_tool(root, '--cfg', str(settings), '--html', str(tmp_path / 'out' / 'r.html'))
    assert (done.returncode, done.stderr) == (0, '') and done.stdout.endswith('clean: 0 errors, 0 warnings, 0 notes\n')
    assert (tmp_path / 'out' / 'r.html').stat().st_size > 5000
    planted.file(A3).unlink()
    done = run_tool(root, '--cfg', str(settings))
    assert (
        done.returncode == 1
        and 'error: image missing (1)\n  -> training and testing refuse to start' in done.stdout
    )
    done = run_tool(root, '--cfg', str(tmp_path / 'none.yaml'))
    assert done.returncode == 2 and done.stderr.startswith('error: cannot read the config')
