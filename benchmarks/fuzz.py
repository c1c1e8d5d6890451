"""Feeds damaged and hostile files to every reader: python benchmarks/fuzz.py [--inputs 100000] [--only xml png ...]

Each reader gets files made from a good one (bytes changed, cut off, repeated, hostile words put in) and random ones, drawn by hypothesis,
which also shrinks what fails. A reader may accept a file or raise one of the project's errors; anything else, or more than
SECONDS or MEMORY for one file, is a failure. Needs hypothesis (requirements-fuzz.txt).
"""
import argparse
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import cv2  # noqa: E402
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from lib.config.config import load_yaml, update_from_file, update_from_settings  # noqa: E402
from lib.config.defaults import detection_defaults  # noqa: E402
from lib.core.checkpoint import find_checkpoint, load_params  # noqa: E402
from lib.core.video_io import open_frames  # noqa: E402
from lib.dataset.annotations import Source, parse_annotation  # noqa: E402
from lib.dataset.classes import load_classes  # noqa: E402
from lib.dataset.detections import read_detections  # noqa: E402
from lib.dataset.image_sets import read_image_set  # noqa: E402
from lib.dataset.seg_classes import load_seg_classes  # noqa: E402
from lib.dataset.seg_labels import id_table, read_label  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.errors import DFFError, SetupError  # noqa: E402
from lib.utils.image import read_image  # noqa: E402
from lib.utils.image_header import read_header  # noqa: E402

SECONDS = 20               # for one file
MEMORY = 4 << 30           # bytes of address space above what the process has at the start
WORDS = [b'-1', b'0', b'nan', b'inf', b'1e400', b'9' * 30, b'9' * 5000, b'../../../etc/passwd', b'/etc/passwd', b'\x00', b'\xff\xfe',
         b'\r', b'\n', b' ', b'&lol;', b'<!DOCTYPE x [<!ENTITY lol "lol"><!ENTITY b "&lol;&lol;">]>', b'<!ENTITY x SYSTEM "file:///etc/passwd">',
         b'!!python/object/apply:os.system ["true"]', b'&a [*a]', b'{' * 2000, b'[' * 2000, b'<a>' * 2000, b'\xff\xff\xff\xff',
         b'\x7f\xff\xff\xff']

XML = b"""<annotation><folder>f</folder><filename>000000</filename><size><width>64</width><height>48</height></size>
<object><trackid>0</trackid><name>n02691156</name><bndbox><xmax>20</xmax><xmin>3</xmin><ymax>30</ymax><ymin>5</ymin></bndbox>
<occluded>0</occluded><generated>0</generated></object></annotation>"""
YAML = b"""MXNET_VERSION: mxnet\noutput_path: ./output\nsymbol: resnet_v1_101_rfcn\ngpus: '0,1'\nSCALES:\n- 600\n- 1000
network:\n  PIXEL_MEANS: [103.06, 115.90, 123.15]\n  ANCHOR_RATIOS: [0.5, 1, 2]\nTRAIN:\n  lr: 0.00025\n  lr_step: '1.333'\n"""


def _encoded(extension):
    picture = np.random.RandomState(0).randint(0, 5, (24, 32, 3)).astype(np.uint8) * 50
    return cv2.imencode(extension, picture)[1].tobytes()


def _label():
    stream = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 5, (24, 32)).astype(np.uint8)).save(stream, 'PNG')
    return stream.getvalue()


def _written(name, write):
    """The bytes of the file `name` that write(path) makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        write(path)
        with open(path, 'rb') as stream:
            return stream.read()


def _video(path):
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 24))
    for value in range(5):
        writer.write(np.full((24, 32, 3), 50 * value, np.uint8))
    writer.release()


def _params(path):
    mx.nd.save(path, {'arg:conv_weight': mx.nd.ones((2, 3)), 'aux:bn_moving_mean': mx.nd.zeros((4,))})


def _read_video(path):
    for index, _ in enumerate(open_frames(path)):
        if index == 20:
            break


def _read_yaml(path):
    load_yaml(path)
    update_from_file(detection_defaults(), path)


def _read_settings(path):
    with open(path, 'rb') as stream:
        update_from_settings(detection_defaults(), stream.read().decode('utf-8', 'replace').split('\n'))


def _image_set(path):
    read_image_set(os.path.dirname(path), os.path.basename(path)[:-len('.txt')])


def _read_image(path):
    read_header(path)
    read_image(path)


# name: (file name, a good file, reader)
TARGETS = {
    'training set': ('VID_train_15frames.txt', b'train/a 1 10 300\ntrain/b 1 0 20\n', _image_set),
    'frame set': ('VID_val_frames.txt', b'val/a/000000 1\nval/a/000001 2\n', _image_set),
    'clip set': ('VID_val_videos.txt', b'val/a 1 0 464\nval/b 465 0 10\n', _image_set),
    'still set': ('DET_train.txt', b'train/a 1\ntrain/b 2\n', _image_set),
    'xml': ('a.xml', XML, lambda path: parse_annotation(Source(path, '/nowhere.JPEG', 'line 1'))),
    'yaml': ('a.yaml', YAML, _read_yaml),
    'settings': ('a.txt', b"TRAIN.lr=0.001\nSCALES=[600, 1000]\ngpus='0,1'", _read_settings),
    'classes': ('a.txt', b'n02691156 airplane\nn02419796 antelope\n', lambda path: load_classes(path)),
    'seg classes': ('a.txt', b'road 128 64 128\nsidewalk\n', lambda path: load_seg_classes(path)),
    'label': ('a.png', _label(), lambda path: read_label(path, id_table(5))),
    'png': ('a.png', _encoded('.png'), _read_image),
    'jpeg': ('a.jpg', _encoded('.jpg'), _read_image),
    'params': ('a-0000.params', _written('a.params', _params), lambda path: load_params(path[:-len('-0000.params')], 0)),
    'record': ('a-0001.json', json.dumps({'sha256': {'params': '', 'states': ''}, 'num_update': 3}).encode(),
               lambda path: find_checkpoint(path[:-len('-0001.json')], 1)),
    'video': ('a.avi', _written('a.avi', _video), _read_video),
    'detections': ('a.txt', b'1 3 0.9000 1.00 2.00 30.00 40.00\n2 1 0.5000 1.00 2.00 30.00 40.00\n',
                   lambda path: read_detections(path, 31)),
}


def inputs(good):
    """A hypothesis strategy of files: `good` with a few changes, or anything."""
    strategies = _hypothesis().strategies
    place = strategies.integers(0, len(good))
    change = strategies.one_of(
        strategies.tuples(strategies.just('set'), place, strategies.binary(min_size=1, max_size=4)),
        strategies.tuples(strategies.just('put'), place, strategies.sampled_from(WORDS)),
        strategies.tuples(strategies.just('cut'), place, strategies.integers(1, 64)),
        strategies.tuples(strategies.just('end'), place, strategies.just(b'')))
    changed = strategies.lists(change, min_size=1, max_size=4).map(lambda changes: apply(good, changes))
    return strategies.one_of(changed, changed, changed, strategies.binary(max_size=200))


def apply(content, changes):
    """`content` after [(kind, place, value)]."""
    for kind, place, value in changes:
        if kind == 'set':
            content = content[:place] + value + content[place + len(value):]
        elif kind == 'put':
            content = content[:place] + value + content[place:]
        elif kind == 'cut':
            content = content[:place] + content[place + value:]
        else:
            content = content[:place]
    return content


def feed(name, content, folder):
    """Have the reader `name` read `content`; returns whether it took it. Anything but an error of ours comes through."""
    file, _, read = TARGETS[name]
    path = os.path.join(folder, file)
    with open(path, 'wb') as stream:
        stream.write(content)
    if name == 'record':
        for kind in ('params', 'states'):
            with open(os.path.join(folder, 'a-0001.' + kind), 'wb'):
                pass
    try:
        read(path)
        return True
    except DFFError:
        return False


def fuzz(name, count, folder):
    """Feed `count` files to the reader `name`; returns how many it took. Raises what it should not raise."""
    hypothesis = _hypothesis()
    taken = []

    @hypothesis.settings(max_examples=count, deadline=None, database=None, derandomize=True,
                         suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])
    @hypothesis.given(inputs(TARGETS[name][1]))
    def one(content):
        signal.alarm(SECONDS)
        taken.append(feed(name, content, folder))
        signal.alarm(0)
    with warnings.catch_warnings():
        warnings.simplefilter('error', ResourceWarning)
        one()
    return len(taken), sum(taken)


def _hypothesis():
    try:
        import hypothesis
    except ImportError as error:
        raise SetupError('hypothesis is not installed: `pip install -r requirements-fuzz.txt`') from error
    return hypothesis


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--inputs', type=int, default=100000, help='files over all readers (default 100000)')
    parser.add_argument('--only', nargs='+', choices=sorted(TARGETS), default=list(TARGETS), metavar='READER', help=', '.join(TARGETS))
    args = parser.parse_args()
    with open('/proc/self/statm') as stream:
        size = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            started = time.time()
            fed, taken = fuzz(name, max(1, args.inputs // len(args.only)), folder)
            total += fed
            print('%-13s %6d files, %5d taken, the others refused; %.0f s' % (name, fed, taken, time.time() - started), flush=True)
    print('%d files, no failure' % total)


if __name__ == '__main__':
    run(main)
