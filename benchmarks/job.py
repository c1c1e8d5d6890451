"""What tools/benchmark.py runs: settings of any task, parameters (random ones without a model),
frames (drawn ones without an input).
"""
import copy
import json
import os

import lib  # noqa: F401  before MXNet
import cv2
import numpy as np

from dff.errors import ConfigError
from dff.frames import largest_input
from lib.boxes.transform import target_normalisation
from lib.config.config import update_from_settings
from lib.engine.box_regression import fold_bbox_normalisation
from lib.engine.checkpoint import file_name, save_checkpoint
from lib.inference.key_frames import input_format
from lib.inference.testing import check_classes
from lib.symbols.initialise import LAST_LAYERS
from lib.symbols.registry import get_symbol_instance
from lib.tasks.task import task_of

FILE = 'job.json'
DRAWN = 12              # frames
LAST_LAYER_GAIN = 5     # of random parameters: scores that differ, boxes that move


class Job:
    """A network with its parameters and frames. cfg, settings, gpus: as on the command line;
    settings is a list of a.b=c.

    prefix, epoch: of the parameters; frames: a folder of frames or a video; interval: of key frames.
    `config` and `instance` are the settings and the symbol class. Raises ConfigError.
    """

    def __init__(self, cfg, settings=(), gpus=None, prefix=None, epoch=0, frames=None, interval=None):
        self.given = {
            'cfg': cfg, 'settings': list(settings), 'gpus': gpus, 'prefix': prefix, 'epoch': epoch,
            'frames': frames
        }
        self.prefix, self.epoch, self.frames = prefix, epoch, frames
        changed = [text.partition('=')[2].strip() for text in settings if text.startswith('symbol=')]
        self.task = task_of(cfg, changed[-1] if changed else None)
        self.config = self.task.new_config()
        self.task.merge_file(self.config, cfg)
        update_from_settings(self.config, settings)
        if gpus is not None:
            self.config.gpus = gpus
        self.instance = get_symbol_instance(self.config)
        if self.instance.aggregates:
            raise ConfigError('the benchmark runs networks of single frames and of key frames, and %s joins windows of '
                              "frames: benchmarks/fgfa_window.py measures those" % type(self.instance).__name__)
        self.interval = (interval or self.config.TEST.KEY_FRAME_INTERVAL) if self.instance.propagates else 1
        self.given['interval'] = self.interval

    def write(self, folder):
        """Keep it for the processes of the benchmark."""
        with open(os.path.join(folder, FILE), 'w', encoding='utf-8') as stream:
            json.dump(self.given, stream)

    @classmethod
    def read(cls, folder):
        """The Job that `write` kept."""
        with open(os.path.join(folder, FILE), encoding='utf-8') as stream:
            return cls(**json.load(stream))

    def params(self, report=print):
        """(arg_params, aux_params) for testing. Raises CheckpointError."""
        check_classes(self.task.kind, self.config, self.prefix, self.epoch)
        return self.task.kind.load_params(self.prefix, self.epoch, report)

    def predictor(self, device, interval):
        """The VideoPredictor of the task."""
        return self.task.kind.predictor(self.config, self.instance, self.params(lambda line: None), device, interval,
                                        file_name(self.prefix, self.epoch))

    def use_random_params(self, folder):
        """Write parameters as they are before training, but for livelier last layers, into `folder`, and use them."""
        config, instance = copy.deepcopy(self.config), self.instance
        height, width = largest_input(input_format(config))
        if instance.propagates:
            config.TEST.KEY_FRAME_INTERVAL = 2
            instance.get_batch_test_symbol(config)
            shapes = {'data_key': (1, 3, height, width), 'data_other': (1, 3, height, width), 'im_info': (2, 3)}
        else:
            instance.get_test_symbol(config)
            shapes = {'data': (1, 3, height, width), 'im_info': (1, 3)}
        if self.task.recognises == 'segmentation':
            del shapes['im_info']
        instance.infer_shape(shapes)
        arg_params, aux_params = {}, {}
        instance.init_weight(config, arg_params, aux_params)
        # DeepLab's test network has one.
        arg_params = {name: value for name, value in arg_params.items() if 'label' not in name}
        for name in LAST_LAYERS:
            if name + '_weight' in arg_params:
                arg_params[name + '_weight'] *= LAST_LAYER_GAIN
        arg_params = fold_bbox_normalisation(arg_params, *target_normalisation(config.TRAIN),
                                             config.network.RFCN_GROUP_SIZE ** 2)
        self.prefix = self.given['prefix'] = os.path.join(folder, 'random')
        self.epoch = self.given['epoch'] = 0
        save_checkpoint(self.prefix, 0, arg_params, aux_params)

    def use_drawn_frames(self, folder):
        """Draw JPEG frames into `folder`, a picture of blocks that moves, and use them: of 9:16
        where SCALES allows, else wider.
        """
        short, long = self.config.SCALES[0]
        height, width = min(short, long * 9 // 16), long
        blocks = np.random.RandomState(1).randint(0, 255, (height // 8 + 8, width // 8 + 8, 3)).astype(np.uint8)
        picture = blocks.repeat(8, axis=0).repeat(8, axis=1)
        self.frames = self.given['frames'] = os.path.join(folder, 'frames')
        os.makedirs(self.frames)
        for t in range(DRAWN):
            cv2.imwrite(os.path.join(self.frames, '%06d.jpg' % t), picture[t:t + height, 2 * t:2 * t + width])
