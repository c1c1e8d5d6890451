"""Input that is far too large, far too deep or of another world: one line, soon, and never a traceback."""
import json
import logging
import os
import struct
import subprocess
import sys
import time
from collections import Counter

import pytest
import yaml

from dff.errors import CheckpointError, ConfigError, DataError, shown
from lib.config.config import update_from_file, update_from_settings
from lib.config.defaults import detection_defaults
from lib.dataset.check.check_frame import check_frame
from lib.dataset.formats import cache
from lib.dataset.formats.annotations import Source, parse_annotation, read_annotations
from lib.dataset.formats.classes import load_classes
from lib.dataset.formats.image_sets import read_image_set
from lib.dataset.importers.yolo.description import read_description
from lib.dataset.importers.importer import import_dataset
from lib.dataset.importers.model import Options
from lib.engine.params_file import inspect
from lib.utils import cli
from tests.helpers import tiny

SOON = 10.0      # seconds of the processor; the right way takes at most 3, a quadratic one 18 or more


@pytest.fixture(autouse=True)
def soon():
    began = time.process_time()
    yield
    assert time.process_time() - began < SOON


def growing(levels=30):
    """YAML of lists in lists that would hold 10 ** levels values, were they written out."""
    lines = ['a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]']
    lines += ['a%d: &a%d [%s]' % (i, i, ', '.join(['*a%d' % (i - 1)] * 10)) for i in range(1, levels)]
    return '\n'.join(lines) + '\n'


# ---- what messages show

@pytest.mark.parametrize('value, expected', [
    ('short', "'short'"), (3, '3'), ([1, 2], '[1, 2]'), ({'a': 1}, "{'a': 1}"), (None, 'None'), ('a\0b', "'a\\x00b'")])
def test_small_values_are_shown_whole(value, expected):
    assert shown(value) == expected


def test_large_values_are_cut():
    nested = [[0]]
    for _ in range(60):
        nested = [nested] * 10
    for value in ('x' * 10 ** 7, nested, {'a': nested}, 10 ** 400, 10 ** 40000, list(range(10 ** 6)), b'x' * 10 ** 6):
        assert len(shown(value)) <= 500
    assert shown('x' * 10 ** 7).startswith("'xxx") and '...' in shown('x' * 10 ** 7)


def test_the_line_of_an_error_is_cut_and_has_no_control_characters(capsys):
    def fail():
        raise DataError('begin \0\x1b[2J' + 'x' * 10 ** 7)
    with pytest.raises(SystemExit):
        cli.run(fail)
    line = capsys.readouterr().err
    assert line.startswith('error: begin \\x00\\x1b[2Jxxx') and len(line) < 2100


# ---- settings

@pytest.mark.parametrize('key, message', [
    ('TRAIN', "'TRAIN' is a section; expected `key: value` lines below it, found [["),
    ('gpus', "'gpus' must be devices, as in 0, '0,1'"), ('SCALES', "'SCALES' must be two whole numbers"),
    ('plugins', "'plugins' must be text, found [1, 2, "), ('MXNET_VERSION', "'MXNET_VERSION' must be text, found [[")])
def test_yaml_that_grows_is_cut_in_messages(tmp_path, key, message):
    levels = [line.split(': ', 1)[1] for line in growing().splitlines()]
    (tmp_path / 'x.yaml').write_text('%s: [%s]' % (key, ', '.join(levels)))
    with pytest.raises(ConfigError) as error:
        update_from_file(detection_defaults(), str(tmp_path / 'x.yaml'))
    assert message in str(error.value) and len(str(error.value)) < 1500


@pytest.mark.parametrize('key', ['TRAIN.end_epoch', 'TRAIN.lr', 'gpus', 'TRAIN.MAX_LOSS',
                                 'network.ANCHOR_SCALES', 'SCALES'])
def test_numbers_of_400_digits(key):
    number = '9' * 400
    value = '[%s]' % number if 'SCALES' in key else number
    try:
        update_from_settings(detection_defaults(), ['%s=%s' % (key, value)])
    except ConfigError as error:
        assert key in str(error) and len(str(error)) < 1500


def test_whole_numbers_of_400_digits_are_refused():
    with pytest.raises(ConfigError, match=r"'TRAIN.end_epoch' must be a whole number, found 9+\.\.\.9+$"):
        update_from_settings(detection_defaults(), ['TRAIN.end_epoch=' + '9' * 400])


@pytest.mark.parametrize('line', ['output_path: "a\\0b"', 'network: {pretrained: "x\\0"}', 'dataset: {CLASSES: "x\\0"}',
                                  'dataset: {CLASSES: ["a", "x\\0"]}', 'plugins: ["x\\0.py"]'])
def test_no_path_has_a_nul(tmp_path, line):
    (tmp_path / 'x.yaml').write_text(line)
    with pytest.raises(ConfigError, match=r"must be (text|a file name or a list of class names), found .*x00"):
        update_from_file(detection_defaults(), str(tmp_path / 'x.yaml'))


# ---- lists, classes, annotations

def test_a_list_of_many_long_clips_is_refused(tmp_path):
    (tmp_path / 'VID_x_videos.txt').write_text(''.join('c%d %d 0 1000000\n' % (i, i * 10 ** 6 + 1) for i in range(10)))
    with pytest.raises(DataError, match='VID_x_videos.txt, line 3: the list holds more than 2000000 frames'):
        read_image_set(str(tmp_path), 'VID_x_videos')


def test_a_line_of_10_megabytes_is_cut(tmp_path):
    (tmp_path / 'VID_x.txt').write_text('a 1 0 3\n' + 'x' * 10 ** 7 + '\n')
    with pytest.raises(DataError) as error:
        read_image_set(str(tmp_path), 'VID_x')
    assert "line 2: expected 'clip_dir 1 frame_id clip_length'" in str(error.value) and len(str(error.value)) < 600


def xml(tmp_path, size='', objects=''):
    path = tmp_path / 'x.xml'
    path.write_text('<annotation>%s%s</annotation>' % (size, objects))
    return Source(str(path), str(tmp_path / 'x.JPEG'), 'list, line 1')


@pytest.mark.parametrize('digits', [20, 400, 5000])
def test_a_width_of_20_digits_is_refused(tmp_path, digits):
    source = xml(tmp_path, '<size><width>%s</width><height>3</height></size>' % ('9' * digits))
    with pytest.raises(DataError, match='list, line 1: .*x.xml(: a side of <size> has at most 134217728 '
                                        'pixels, found 9+| has no usable <size>)'):
        parse_annotation(source)


@pytest.mark.slow
def test_30000_unknown_classes_are_counted(tmp_path):
    box = '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>'
    names = ['c%d' % i for i in range(30000)] + ['c0', 'x' * 10 ** 6]
    source = xml(tmp_path, '<size><width>9</width><height>9</height></size>',
                 ''.join('<object><name>%s</name>%s</object>' % (name, box) for name in names))
    counts = Counter(problem.text.split(' has ')[1][:8] for problem in check_frame({}, False, source).problems
                     if problem.kind == 'unknown class')
    assert counts["1 x 'c1'"] == 1 and counts["2 x 'c0'"] == 1 and sum(counts.values()) == 30001
    table = read_annotations([source], load_classes(['dog']), '')
    assert table.unknown_names['c0'] == 2 and max(map(len, table.unknown_names)) == 100
    cache.store(str(tmp_path / 'c.npz'), 'key', table, logging.getLogger('dff'))
    assert cache.load(str(tmp_path / 'c.npz'), 'key').unknown_names == table.unknown_names


def test_class_lists_of_30000_lines_are_read(tmp_path):
    (tmp_path / 'classes.txt').write_text(''.join('n%d name %d\n' % (i, i) for i in range(30000)))
    assert len(load_classes(str(tmp_path / 'classes.txt'))) == 30001


# ---- parameters

def params(array, name=b'arg:w'):
    return struct.pack('<QQQ', 0x112, 0, 1) + array + struct.pack('<QQ', 1, len(name)) + name


@pytest.mark.parametrize('content, message', [
    (params(struct.pack('<Iiiqqiii', 0xF993faca, 0, 2, 1, 1, 1, 0, 0) + b'\0' * 4),
     r"was saved with NumPy's shapes \(mx.npx.set_np\(\)\), which the networks here are not made with: save it again"),
    (params(struct.pack('<Iii', 0xF993faca, 0, -1)), "NumPy's shapes"),
    (params(struct.pack('<Iiiqqiii', 0xF993fac9, 0, 2, 0, 3, 1, 0, 0)), r'shape \(0, 3\)'),
    (params(struct.pack('<IIqqiii', 0xF993fac8, 2, 0, 3, 1, 0, 0)), r'shape \(0, 3\)'),
    (params(struct.pack('<IIIiii', 2, 3, 0, 1, 0, 0)), r'shape \(3, 0\)'),
    (params(struct.pack('<Iii', 0xF993fac9, 0, 0)), 'array 0 would have 0 dimensions'),
    (params(struct.pack('<Iiiqiii', 0xF993fac9, 0, 1, 1, 1, 0, 0) + b'\0' * 4, b'arg:w\0x'), 'name 0 is no text'),
], ids=['version 3', 'version 3, none', 'zero side', 'zero side, version 1', 'zero side, version 0',
        'no values', 'NUL'])
def test_parameters_that_mxnet_reads_otherwise_are_refused(tmp_path, content, message):
    (tmp_path / 'x.params').write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        inspect(str(tmp_path / 'x.params'))


# ---- data to import

@pytest.mark.parametrize('target', ['/', '/etc', '/etc/hostname'])
def test_links_that_lead_out_of_a_data_set_are_refused(tmp_path, target):
    src = tmp_path / 'src'
    (src / 'images').mkdir(parents=True)
    os.symlink(target, str(src / 'images' / 'x'))
    with pytest.raises(DataError, match='images/x is refused: it is a link to %r, outside %s. Import the folder '
                                        'that it leads to, or put what it leads to into the data set'
                       % (target, src)):
        import_dataset('yolo', str(src), str(tmp_path / 'out'), Options())
    assert not (tmp_path / 'out').exists()


def test_images_beside_a_file_are_no_links_to_others(tmp_path):
    src = tmp_path / 'a' / 'src'
    src.mkdir(parents=True)
    os.symlink('/etc/hostname', str(src / '1.jpg'))
    (src / 'x.json').write_text(json.dumps({'images': [{'id': 1, 'file_name': '1.jpg'}], 'annotations': [],
                                            'categories': [{'id': 1, 'name': 'a'}]}))
    with pytest.raises(DataError, match='1.jpg is refused: it leads to a file outside the data set, by a link'):
        import_dataset('coco', str(src / 'x.json'), str(tmp_path / 'out'), Options(val=0))


def test_class_names_that_are_lists_of_lists_are_refused(tmp_path):
    text = growing().splitlines()
    (tmp_path / 'data.yaml').write_text('\n'.join(text[:-1] + ['names: ' + text[-1].split(' ', 2)[2]]))
    with pytest.raises(DataError, match=r'data.yaml: expected the names of classes in `names`, found \[\['):
        read_description(str(tmp_path))


# ---- output and locale

def test_output_that_nobody_reads_is_one_line(root):
    code = ('import sys; sys.path.insert(0, %r)\nfrom lib.utils.cli import run\n'
            'def main():\n    for _ in range(100000): print("x" * 100)\nrun(main)' % str(root))
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               universal_newlines=True)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait() == 141 and err == 'stopped: the output is no longer read\n'


def test_closed_streams_are_no_trouble(root, tmp_path):
    code = ('import os, sys; sys.path.insert(0, %r)\nfrom lib.utils.cli import run\n'
            'def main():\n    stream = open("x", "w")\n    print("lost")\n    os.write(1, b"lost")\n'
            '    stream.write("kept")\n'
            'run(main)' % str(root))
    status = subprocess.call('exec %s -c \'%s\' >&- <&-' % (sys.executable, code.replace("'", '"')), shell=True,
                             cwd=str(tmp_path))
    assert status == 0 and (tmp_path / 'x').read_text() == 'kept'


def test_a_log_goes_on_when_nobody_reads_the_terminal(root, tmp_path):
    code = ('import sys; sys.path.insert(0, %r)\n'
            'from lib.utils.cli import run\nfrom lib.utils.log import create_logger\n'
            'from lib.config.defaults import detection_defaults\n'
            'def main():\n    config = detection_defaults()\n    config.output_path = %r\n'
            '    logger, _ = create_logger(config, "x.yaml", "VID_a")\n    sys.stdin.readline()\n'
            '    for i in range(5000): logger.info("line %%d \\udcff \u4e2d", i)\nrun(main)'
            % (str(root), str(tmp_path)))
    process = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, universal_newlines=True)
    process.stdout.close()
    process.stdin.write('\n')
    process.stdin.close()
    err = process.stderr.read()
    assert process.wait() == 0
    assert err == 'cannot write to the terminal any more: [Errno 32] Broken pipe; the log file continues\n'
    assert next(tmp_path.rglob('*.log')).read_text(encoding='utf-8').count('line ') == 5000


@pytest.mark.slow
@pytest.mark.parametrize('where', ['argument', 'settings'])
def test_a_locale_that_cannot_express_a_name_is_one_line(root, tmp_path, where):
    folder = tmp_path / '数据'
    folder.mkdir()
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=2)
    text = path.read_text()
    if where == 'argument':
        path.rename(folder / path.name)
        path = folder / path.name
    else:
        tree = dict(yaml.safe_load(text), output_path=str(folder / 'out'))
        path.write_text(yaml.safe_dump(tree))
    environment = dict(os.environ, LC_ALL='C', PYTHONUTF8='0', PYTHONCOERCECLOCALE='0')
    done = subprocess.run([sys.executable, str(root / 'rfcn/test.py'), '--cfg', str(path)], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    lines = [line for line in done.stderr.splitlines() if 'MKLDNN' not in line]
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith('error: the name ')
    assert 'Set PYTHONUTF8=1 or LC_ALL=C.UTF-8, or rename the file or folder' in lines[0]
