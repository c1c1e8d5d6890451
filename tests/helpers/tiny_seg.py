"""Segmentation networks small enough for tests, with random parameters, and a small data set for them."""
import yaml

import deeplab.symbols  # noqa: F401  (registers)
import dff_deeplab.symbols  # noqa: F401
from lib.config.defaults import segmentation_defaults
from lib.engine.checkpoint import save_checkpoint
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny
from tests.helpers.seg_tools import write

CLASSES = ['ground', 'blob', 'tree', 'sky']
SETTINGS = {'network.depth': 18, 'network.width': 0.125, 'network.flow_width': 0.125, 'SCALES': [64, 96],
            'dataset.NUM_CLASSES': len(CLASSES), 'TEST.KEY_FRAME_INTERVAL': 3}


def seg_config(task, **changes):
    """Settings of `task` for a tiny network; changes: SECTION__key=value."""
    cfg = segmentation_defaults()
    values = dict(SETTINGS, symbol='resnet_v1_flownet_deeplab' if task == 'dff_deeplab' else 'resnet_v1_deeplab')
    values.update({name.replace('__', '.'): value for name, value in changes.items()})
    values['SCALES'] = [tuple(values['SCALES'])]
    tiny.set_values(cfg, values)
    return cfg


def seg_params(cfg, seed=0):
    """(arg_params, aux_params) of both tasks' networks of this size,
    whose class maps have several classes and follow the image."""
    cfg = seg_config('dff_deeplab', dataset__NUM_CLASSES=cfg.dataset.NUM_CLASSES, TRAIN__SEED=seed)
    instance = get_symbol_instance(cfg)
    instance.get_batch_test_symbol(cfg)
    instance.infer_shape({'data_key': (1, 3, 64, 96), 'data_other': (cfg.TEST.KEY_FRAME_INTERVAL - 1, 3, 64, 96)})
    arg_params, aux_params = {}, {}
    instance.init_weight(cfg, arg_params, aux_params)
    for name, gain in (('fc6_weight', 10), ('score_weight', 10), ('Convolution5_weight', 100)):
        arg_params[name] *= gain
    return arg_params, aux_params


def make_folder(path, clips=2, length=5, labelled=None):
    """A SegFolder data set with the image set `val`; labelled: places of the labelled frames, None for all."""
    for c in range(clips):
        for t in range(length):
            name = 'clip_%d/%06d' % (c, t)
            write(path / 'val' / (name + '.png'), tiny.frame(t + 7 * c))
            if labelled is None or t in labelled:
                label = tiny.frame(t + 7 * c)[..., 0] // 64
                label[:4] = 255
                write(path / 'valannot' / (name + '.png'), label)
    (path / 'classes.txt').write_text(''.join(name + '\n' for name in CLASSES))
    return path


def write_experiment(folder, task, **changes):
    """A YAML file for the data set of make_folder at `folder`/set, and a checkpoint of random parameters;
    returns its path."""
    values = dict(SETTINGS, symbol=seg_config(task).symbol, output_path=str(folder / 'output'), gpus='cpu')
    values.update({'dataset.dataset': 'SegFolder', 'dataset.dataset_path': str(folder / 'set'),
                   'dataset.image_set': 'train', 'dataset.test_image_set': 'val', 'TRAIN.model_prefix': 'tiny',
                   'TEST.test_epoch': 1})
    values.update({name.replace('__', '.'): value for name, value in changes.items()})
    path = folder / ('tiny_%s.yaml' % task)
    path.write_text(yaml.safe_dump(tiny.nested(values)))
    save_params(prefix(folder, task))
    return path


def save_params(where, seed=0):
    """A checkpoint of random parameters of epoch 1."""
    save_checkpoint(where, 1, *seg_params(seg_config('dff_deeplab'), seed))


def prefix(folder, task):
    """Prefix of the checkpoint that write_experiment makes."""
    return str(folder / 'output' / ('tiny_%s' % task) / 'train' / 'tiny')
