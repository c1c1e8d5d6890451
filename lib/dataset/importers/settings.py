"""Ready settings for an imported data set, made from the shipped ones."""
import os
from typing import List, Optional, Tuple

from lib.config.config import load_yaml, merge, update_from_file
from lib.config.yaml_text import dump_settings
from lib.dataset.suggest.sample import Sample
from lib.dataset.suggest.settings import (LR_ONE_DEVICE, UPDATES, UPDATES_SMALL, Suggestion, changed, epochs_for,
                                          suggest_network, with_settings)
from lib.tasks.task import TASKS
from lib.utils.paths import ROOT


def write_settings(folder: str, final: str, classes: int, lists: List[str], images: int,
                   devices: int, small: bool, sample: Optional[Sample] = None
                   ) -> Tuple[List[str], List[Suggestion]]:
    """Write <name>_rfcn.yaml and <name>_dff_rfcn.yaml; return (names of the files, what was fitted to the data).

    Args:
        folder: where to write them.
        final: where the data set will be; its last part is the name.
        classes: how many, without the background.
        lists: names of the training lists.
        images: entries in these lists.
        devices: GPUs to train on, 0 for the CPU.
        small: use the network of the embedded data set instead of ResNet-101.
        sample: boxes that SCALES and anchors are fitted to; None: they are those of the shipped settings.
    """
    name = os.path.basename(final)
    place = os.path.relpath(final, ROOT).replace(os.sep, '/')
    place = os.path.abspath(final) if place.startswith('..') else './' + place
    written = []
    fitted: List[Suggestion] = []
    tasks = [task for _, task in TASKS.items() if task.recognises == 'detection' and task.shipped]
    tasks.sort(key=lambda task: task.propagates)                 # the frame baseline comes first
    # It starts from the R-FCN of `sh init.sh --demo`.
    toy = load_yaml(os.path.join(ROOT, tasks[-1].shipped['small']))['network']
    start = toy['pretrained'], toy['pretrained_epoch']
    for task in tasks:
        base = task.shipped['small' if small else 'original']
        tree = load_yaml(os.path.join(ROOT, base))
        tree.update(output_path='./output/%s/%s' % (task.name, name), gpus=','.join(str(i) for i in range(devices)))
        tree['dataset'].update(dataset='ImageNetVID', dataset_path=place, NUM_CLASSES=classes + 1,
                               CLASSES=place + '/classes.txt', image_set='+'.join(_for_task(task, lists, small)))
        _schedule(tree['TRAIN'], tree['TEST'], images, max(1, devices), small)
        if sample:
            config = task.new_config()
            merge(config, tree, base)
            fitted = suggest_network(config, sample)
            with_settings(tree, changed(fitted))
        tree['TRAIN']['model_prefix'] = '%s_%s' % (task.name, name)
        if small:
            # R-FCN starts from that, DFF R-FCN from this R-FCN once it is trained.
            tree['network'].update(pretrained=start[0], pretrained_epoch=start[1])
            start = _checkpoint(tree, '%s_rfcn' % name), tree['TRAIN']['end_epoch']
        own_flow = small and task.propagates and any(list_.startswith('VID_') for list_ in lists)
        if own_flow:
            tree['network']['pretrained_flow'] = './model/pretrained_model/flownet_%s' % name
        file = '%s_%s.yaml' % (name, task.name)
        _write(os.path.join(folder, file), tree, base, task, own_flow)
        written.append(file)
    return written, fitted


def _for_task(task, lists, small):
    """The training lists of a task.

    The small DFF R-FCN starts from a trained R-FCN, and stills would not train its flow.
    """
    clips = [name for name in lists if name.startswith('VID_')]
    return clips if small and task.propagates and clips else lists


def _checkpoint(tree, stem):
    """Prefix of the checkpoints that training with the settings `tree` of <stem>.yaml writes."""
    image_sets = tree['dataset']['image_set'].replace('+', '_')
    return '%s/%s/%s/%s' % (tree['output_path'], stem, image_sets, tree['TRAIN']['model_prefix'])


def _schedule(train, test, images, devices, small):
    """Set the learning rate by the devices, the epochs by the amount of data; the rate falls after
    two thirds.
    """
    updates = max(1, images * (2 if train.get('FLIP', True) else 1) // devices)
    epochs = epochs_for(updates, UPDATES_SMALL if small else UPDATES)
    if not small:
        train['lr'] = LR_ONE_DEVICE / devices
    train.update(end_epoch=epochs, lr_step='%.3g' % (epochs * 2 / 3))
    test.pop('test_epoch', None)     # the last one, however many are trained


def _write(path, tree, base, task, own_flow):
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write('# Made by tools/import_dataset.py from %s.\n' % base)
        if own_flow:
            stream.write('# The flow network: python tools/pretrain.py flow --neighbours '
                         '--cfg THIS_FILE\n')
        stream.write(dump_settings(tree))
    update_from_file(task.new_config(), path)       # what cannot be loaded must not be handed over
