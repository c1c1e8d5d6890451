"""What benchmarks/fuzz.py feeds: for every reader a good file, and how to have it read."""
import io
import json
import logging
import os
import pathlib
import pickle
import struct
import tempfile
from typing import Callable, NamedTuple

import lib  # noqa: F401  (prepares the import of MXNet)
import cv2
import mxnet as mx
import numpy as np
from PIL import Image

from benchmarks.fuzz_checks import check_frame, check_label
from benchmarks.fuzz_formats import FORMATS
from lib.config.config import load_yaml, merge, update_from_file, update_from_settings, validate
from lib.config.defaults import detection_defaults
from lib.engine.checkpoint import find_checkpoint, load_params
from dff.tracking.clip_boxes import ClipBoxes, SavedBoxes, Selection
from lib.boxes.seq_nms import select
from lib.engine.compact import FILE as COMPACT, load_compact, save_compact
from lib.inference.clip_results import saved_clips
from lib.inference.exported import exported_settings
from lib.graph.symbol_file import read_symbol
from dff.sources import open_frames
from lib.dataset.formats.annotations import Source, parse_annotation
from lib.dataset.formats.classes import load_classes
from lib.dataset.formats.colour_files import read_colour_file
from lib.evaluation.detections import read_detections
from lib.dataset.formats.image_sets import read_image_set
from lib.dataset.importers.importer import import_dataset
from lib.dataset.importers.model import Options
from lib.dataset.formats.seg_classes import load_seg_classes
from lib.dataset.formats.seg_labels import id_table, read_label
from lib.flow.chairs import read_flo
from dff.errors import DFFError
from dff.image import read_image
from lib.utils.image_header import read_header
from lib.weights.formats.caffemodel import read_caffemodel
from lib.weights.formats.pickled import read_pickle
from lib.weights.resnet_graph import recognise
from tests.helpers.foreign_graphs import Net, write_caffemodel

logging.getLogger('dff').addHandler(logging.NullHandler())       # or each warning would be a line

XML = b"""<annotation><folder>f</folder><filename>000000</filename><size><width>32</width><height>24</height></size>
<object><trackid>0</trackid><name>n02691156</name><bndbox>
<xmax>20</xmax><xmin>3</xmin><ymax>20</ymax><ymin>5</ymin></bndbox>
<occluded>0</occluded><generated>0</generated></object></annotation>"""
YAML = b"""MXNET_VERSION: mxnet
output_path: ./output\nsymbol: resnet_v1_101_rfcn\ngpus: '0,1'\nSCALES:\n- 600\n- 1000
network:\n  PIXEL_MEANS: [103.06, 115.9, 123.15]\n  ANCHOR_RATIOS: [0.5, 1, 2]
TRAIN:\n  lr: 0.00025\n  lr_step: '1.333'\n"""
CVAT = b"""<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<meta><task><size>3</size><start_frame>0</start_frame><stop_frame>2</stop_frame><frame_filter>step=1</frame_filter><labels><label><name>dog</name></label></labels></task>
<source>clip.mp4</source></meta>%s</annotations>"""
TRACK = b"""<track id="0" label="dog"><box frame="0" outside="0" occluded="0" keyframe="1"
xtl="1.00" ytl="2.00" xbr="9.00" ybr="9.00"/>
<box frame="2" outside="1" occluded="1" keyframe="1" xtl="3.00" ytl="2.00" xbr="11.00" ybr="9.00"/></track>"""
IMAGE = b"""<image id="0" name="000000.jpg" width="32" height="24">
<box label="dog" occluded="0" xtl="1" ytl="2" xbr="9" ybr="9"
rotation="0"/></image>"""
COCO = {'images': [{'id': 1, 'file_name': '000000.jpg', 'height': 24, 'width': 32, 'video_id': 1, 'frame_id': 0}],
        'videos': [{'id': 1, 'name': 'clip'}], 'categories': [{'id': 1, 'name': 'dog'}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 8.5, 7],
                         'iscrowd': 0, 'instance_id': 4}]}
MODEL = {'format': 1, 'networks': ['frame'], 'operators': ['built_in'], 'made_from': 'x',
         'settings': {'symbol': 'resnet_v1_rfcn', 'SCALES': [600, 1000], 'network': {'depth': 18},
                      'dataset': {'CLASSES': ['a', 'b']}}}


class Target(NamedTuple):
    """A reader."""

    file: str                            # file name that it expects
    good: bytes                          # a file that it takes
    read: Callable[[str], object]        # called with the path


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


def _boxes(path):
    boxes = ClipBoxes()
    for t in range(5):
        boxes.add(np.array([[1, 0.9, t, 2, 9 + t, 9], [3, 0.5, 0, 0, 20, 20]], np.float32))
    boxes.save(path)


def _params(path):
    mx.nd.save(path, {'arg:conv_weight': mx.nd.ones((2, 3)), 'aux:bn_moving_mean': mx.nd.zeros((4,))})


def _network():
    data = mx.sym.Variable('data')
    score = mx.sym.Convolution(data, name='conv', kernel=(3, 3), pad=(1, 1), num_filter=4)
    return mx.sym.softmax(score, name='out').tojson().encode()


def _read_caffemodel(path):
    recognise(read_caffemodel(path), path)


def _compact(path):
    save_compact(os.path.dirname(path), {'conv_weight': np.ones((2, 3, 1, 1)), 'conv_bias': np.zeros(2)})


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


def _read_image_set(path):
    read_image_set(os.path.dirname(path), os.path.basename(path)[:-len('.txt')])


def _read_image(path):
    read_header(path)
    read_image(path)


def _read_model(path):
    config, settings = detection_defaults(), exported_settings(os.path.dirname(path))
    merge(config, settings, path)
    validate(config, path)


def _read_record(path):
    for kind in ('params', 'states'):
        with open('%s.%s' % (os.path.splitext(path)[0], kind), 'wb'):
            pass
    find_checkpoint(path[:-len('-0001.json')], 1)


def _importer(format_name, file, good, **beside):
    """Return the Target of a format of tools/import_dataset.py, whose frames are elsewhere.

    beside: {name of a .txt beside the file: content}.
    """
    def read(path):
        src, root = os.path.dirname(path), os.path.dirname(os.path.dirname(path))
        frames = [os.path.join(root, 'frames', folder, '%06d.jpg' % i) for folder in ('', 'clip') for i in range(3)]
        files = {os.path.join(src, name + '.txt'): content for name, content in beside.items()}
        files.update(dict.fromkeys(frames, JPEG))
        for name in files.keys() - FRAMES:
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, 'wb') as stream:
                stream.write(files[name])
        FRAMES.update(files)
        import_dataset(format_name, src, os.path.join(root, 'imported'),
                       Options(frames=os.path.join(root, 'frames'), val=0, force=True))
    return Target(file, good, read)


FRAMES = set()         # files that the importers find beside what is fed, written once
JPEG = _encoded('.jpg')
_JPEG = _encoded('.jpg')
_EXIF = b'Exif\0\0MM\0*' + struct.pack('>IHHHIHHI', 8, 1, 0x112, 3, 1, 3, 0, 0)
TURNED = _JPEG[:2] + b'\xff\xe1' + struct.pack('>H', len(_EXIF) + 2) + _EXIF + _JPEG[2:]
ENCODED = (
    '<?xml version="1.0" encoding="gbk"?>' + XML.decode().replace('n02691156', '\u9f99')
).encode('gbk')
RECORD = {'sha256': {'params': '', 'states': ''}, 'num_update': 3}
PICKLED = {'model': {'conv1.weight': np.ones((2, 3), np.float32)}, '__author__': 'x'}
TARGETS = {
    'training set': Target(
        'VID_train_15frames.txt', b'train/a 1 10 300\ntrain/b 1 0 20\n', _read_image_set
    ),
    'frame set': Target(
        'VID_val_frames.txt', b'val/a/000000 1\nval/a/000001 2\n', _read_image_set
    ),
    'clip set': Target('VID_val_videos.txt', b'val/a 1 0 464\nval/b 465 0 10\n', _read_image_set),
    'still set': Target('DET_train.txt', b'train/a 1\ntrain/b 2\n', _read_image_set),
    'xml': Target(
        'a.xml', XML, lambda path: parse_annotation(Source(path, '/nowhere.JPEG', 'line 1'))
    ),
    'yaml': Target('a.yaml', YAML, _read_yaml),
    'settings': Target('a.txt', b"TRAIN.lr=0.001\nSCALES=[600, 1000]\ngpus='0,1'", _read_settings),
    'classes': Target('a.txt', b'n02691156 airplane\nn02419796 antelope\n', load_classes),
    'checked xml': Target('a.xml', XML, lambda path: check_frame(path, TURNED, XML)),
    'checked image': Target('a.JPEG', TURNED, lambda path: check_frame(path, TURNED, XML)),
    'checked list': Target('a.txt', b's 1\n', lambda path: check_frame(path, TURNED, XML)),
    'checked label': Target('a.png', _label(), lambda path: check_label(path, _encoded('.png'))),
    'encoded xml': Target(
        'a.xml', ENCODED, lambda path: parse_annotation(Source(path, '/nowhere.JPEG', 'line 1'))
    ),
    'names with blanks': Target('a.txt', b'traffic light\ntraffic sign\nn01 dog\n', load_classes),
    'seg classes': Target('a.txt', b'road 128 64 128\nsidewalk\n', load_seg_classes),
    'label': Target('a.png', _label(), lambda path: read_label(path, id_table(5))),
    'png': Target('a.png', _encoded('.png'), _read_image),
    'jpeg': Target('a.jpg', _encoded('.jpg'), _read_image),
    'params': Target('a-0000.params', _written('a.params', _params),
                     lambda path: load_params(path[:-len('-0000.params')], 0)),
    'record': Target('a-0001.json', json.dumps(RECORD).encode(), _read_record),
    'video': Target('a.avi', _written('a.avi', _video), _read_video),
    'detections': Target(
        'a.txt',
        b'1 3 0.9000 1.00 2.00 30.00 40.00\n2 1 0.5000 1.00 2.00 30.00 40.00\n',
        lambda path: read_detections(path, 31),
    ),
    'boxes': Target('a.raw.npy', _written('a.raw.npy', _boxes), lambda path: list(
        select(SavedBoxes(path, 5, 4), Selection('avg', 0.3, 300, 1e-3)))),
    'clip record': Target('clips/a.json',
                          b'{"clip": ["val/a", 1, 464, "a/000000.JPEG", "0"], "raw": true}',
                          lambda path: list(saved_clips(os.path.dirname(os.path.dirname(path))))),
    'exported model': Target('model.json', json.dumps(MODEL).encode(), _read_model),
    'network': Target('a.json', _network(), read_symbol),
    'caffemodel': Target('a.caffemodel', _written('a.caffemodel', lambda path: write_caffemodel(
        pathlib.Path(path), Net((2, 2, 2, 2), False, 1, 1))), _read_caffemodel),
    'compact': Target(COMPACT, _written(COMPACT, _compact), lambda path: load_compact(os.path.dirname(path))),
    'pickle': Target('a.pkl', pickle.dumps(PICKLED), read_pickle),
    'flow': Target('a.flo', struct.pack('<fii', 202021.25, 3, 2) + bytes(48), read_flo),
    'coco': _importer('coco', 'a.json', json.dumps(COCO).encode()),
    'coco-vid': _importer('coco-vid', 'a.json', json.dumps(COCO).encode()),
    'cvat': _importer('cvat', 'clip.xml', CVAT % TRACK),
    'cvat-images': _importer('cvat-images', 'a.xml', CVAT % IMAGE),
    'mot': _importer('mot', 'clip.txt', b'1,1,2,3,9,9,1,1,1\n2,1,3,3,9,9,1,1,0.5\n'),
    'voc': _importer('voc', '000000.xml', XML),
    'yolo': _importer(
        'yolo',
        '000000.txt',
        b'0 0.5 0.5 0.25 0.5\n1 0 0 0.5 0 0.5 1 0.1 0.2\n',
        classes=b'cat\ndog\n',
    ),
    'yolo names': _importer(
        'yolo',
        'data.yaml',
        b"path: ../x\ntrain: images\nnc: 2\nnames:\n  0: cat\n  1: 'dog'\n",
        **{'000000': b'0 0.5 0.5 0.25 0.5\n'},
    ),
}
TARGETS.update((name, _importer(name, *good)) for name, good in FORMATS.items())
TARGETS['masks'] = _importer('masks', '000000_mask.png', _label(), classes=b'road\ncar\nsky\na\nb\n')
TARGETS['masks-yolo'] = _importer('masks-yolo', '000000.txt', b'0 0.1 0.1 0.5 0.1 0.5 0.9\n1 0 0 1 0 1 .5 0 .5 0 .25\n',
                                  classes=b'cat\ndog\n')
TARGETS['class colours'] = Target(
    'labelmap.txt', b'# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\n', read_colour_file)


def feed(name, content, folder):
    """Have the reader `name` read `content`, in a folder of its own below `folder`; returns whether it took it.

    Anything but an error of ours comes through.
    """
    target = TARGETS[name]
    path = os.path.join(folder, name.replace(' ', '_'), target.file)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as stream:
        stream.write(content)
    try:
        target.read(path)
        return True
    except DFFError:
        return False
