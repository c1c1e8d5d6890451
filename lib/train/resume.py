"""Where training starts: anew, from parameters alone, or from a checkpoint.

The rule of a resume: what is learned stays the same. The network, its classes, its targets and
its losses are those of the run that wrote the checkpoint, else it is refused. How they are learned
(MAY_CHANGE), and on which images, may change: each difference is logged with what follows from it.
What concerns neither (NO_MATTER) is not compared.
"""
import glob
import hashlib
import json
import os

from dff.errors import CheckpointError, ConfigError
from dff.files import file_size
from lib.config.ranges import leaves
from lib.config.without_effect import WITHOUT_EFFECT
from lib.engine.checkpoint import file_name, find_checkpoint, parameters_alone, positions
from lib.engine.trained_with import with_defaults
from lib.utils.paths import resolve

AT_ONCE = 'counts from the next batch on'
RATE = 'the learning rate is that of these settings at this place'
ORDER = 'images come in another order, or another way, from here on'
WITHIN = ', in this epoch some twice or not at all'      # behind ORDER, where an epoch is under way
SIZE = 'an update sums the gradients of another number of images (see the effective learning rate)'
MAY_CHANGE = {
    'default.kvstore': AT_ONCE,
    'TRAIN.momentum': AT_ONCE, 'TRAIN.wd': AT_ONCE, 'TRAIN.clip_gradient': AT_ONCE,
    'TRAIN.EMA': AT_ONCE,
    'TRAIN.lr': RATE, 'TRAIN.lr_step': RATE, 'TRAIN.lr_factor': RATE,
    'TRAIN.warmup': RATE, 'TRAIN.warmup_lr': RATE, 'TRAIN.warmup_step': RATE,
    'TRAIN.SEED': ORDER, 'TRAIN.FLIP': ORDER, 'TRAIN.SHUFFLE': ORDER,
    'TRAIN.ASPECT_GROUPING': ORDER, 'TRAIN.MIN_OFFSET': ORDER, 'TRAIN.MAX_OFFSET': ORDER,
    'TRAIN.PHOTOMETRIC': AT_ONCE, 'TRAIN.RANDOM_CROP': AT_ONCE, 'TRAIN.ZOOM_OUT': AT_ONCE,
    'TRAIN.BALANCE': ORDER,
    'TRAIN.BATCH_IMAGES': SIZE,
}
# Images, devices and classes are compared themselves, not the settings that name them.
NO_MATTER = {
    'plugins', 'output_path', 'gpus', 'default.frequent', 'default.tensorboard',
    'network.pretrained', 'network.pretrained_flow', 'network.pretrained_epoch',
    'dataset.root_path', 'dataset.dataset_path', 'dataset.image_set', 'dataset.test_image_set',
    'dataset.CLASSES', 'TRAIN.begin_epoch', 'TRAIN.end_epoch', 'TRAIN.model_prefix', 'TRAIN.RESUME',
    'TRAIN.VALIDATE_EVERY', 'TRAIN.VALIDATE_CLIPS', 'TRAIN.PATIENCE',
    'TRAIN.CHECKPOINT_EVERY', 'TRAIN.MAX_LOSS', 'TRAIN.SKIP_BAD_IMAGES',
} | set(WITHOUT_EFFECT)


def find_start(config, prefix, logger, group):
    """Return the checkpoint that TRAIN.RESUME continues from, else None.

    It is the one of TRAIN.begin_epoch where that is set, else the newest whole one, to whose epoch
    TRAIN.begin_epoch is set then.

    Args:
        config: settings.
        prefix: of the checkpoints that this run writes.
        logger: gets a line of what is found.
        group: the Group of workers.

    Raises CheckpointError where parameters without a record would be overwritten, or the run that
    is resumed learned something else; ConfigError where begin_epoch leaves nothing to train.
    """
    train = config.TRAIN
    if train.begin_epoch or not train.RESUME:
        _name_earlier_run(prefix, train, logger)
    if not train.RESUME:
        _check_epochs(train)
        return None
    start = find_checkpoint(prefix, train.begin_epoch, logger.info)
    group.check_same('the number of updates made before', start.num_update if start else 0)
    _keep_unrecorded(prefix, start, logger)
    train.begin_epoch = start.epoch if start else 0
    if not start:
        logger.info('TRAIN.RESUME: no checkpoint at %s yet, starting from the beginning%s',
                    prefix, _of_other_image_sets(prefix))
        return None
    logger.info('resuming from %s', start.params_file)
    if 'async' in config.default.kvstore:
        logger.info('dist_async: all workers continue at the place and with the momentum of worker 0')
    if start.epoch >= train.end_epoch:
        logger.info('nothing is left to train: epoch %d is done, and TRAIN.end_epoch is %d',
                    start.epoch, train.end_epoch)
    else:
        _refuse_other(start, prefix, _changed(start, settings_of(config)))
    return start


def _check_epochs(train):
    if train.begin_epoch >= train.end_epoch:
        raise ConfigError('TRAIN.begin_epoch is %d and TRAIN.end_epoch %d: no epoch is left to '
                          'train; raise TRAIN.end_epoch' % (train.begin_epoch, train.end_epoch))


def _name_earlier_run(prefix, train, logger):
    """Say where a run that does not resume the newest checkpoint comes upon later ones."""
    newest = max(positions(prefix, 'params'), default=(0, 0))
    if newest > (train.begin_epoch, 0):
        logger.info('checkpoints of an earlier run are at %s (up to epoch %d): this one overwrites '
                    'them as it comes to them, and --resume would continue from the newest',
                    prefix, newest[0])


def _keep_unrecorded(prefix, start, logger):
    """Raise CheckpointError for parameters of later epochs than `start`, or of any, without record.

    A save that was interrupted leaves .params with .states beside it; where training can go on from
    an earlier checkpoint it makes them again.
    """
    for epoch, batch in sorted(positions(prefix, 'params')):
        if batch or (start and epoch <= start.epoch):
            continue
        path = file_name(prefix, epoch)
        beside = [file_name(prefix, epoch, kind) for kind in ('states', 'json')]
        missing = [file for file in beside if not os.path.isfile(file)]
        if not missing:       # damaged, which find_checkpoint has said
            continue
        if start and missing == beside[1:]:
            logger.info('passed over: %s, whose record %s was not written any more',
                        path, missing[0])
            continue
        raise CheckpointError(
            'TRAIN.RESUME: %s has no record (missing: %s), so training cannot continue from it, and '
            'does not start again over it. %s. To train as if it were not there, move it away'
            % (path, ', '.join(missing), parameters_alone(prefix, epoch)))


def _of_other_image_sets(prefix):
    """'; ...' that names checkpoints of the same settings and another image set, else ''."""
    folder, name = os.path.split(prefix)
    parent = os.path.dirname(folder)
    pattern = os.path.join(glob.escape(parent), '*', '%s-*.json' % glob.escape(name))
    others = sorted({os.path.dirname(path) for path in glob.glob(pattern)} - {folder})
    if not others:
        return ''
    other = os.path.join(others[-1], name)
    epoch = max(positions(other), default=(0, 0))[0]
    return ('; those of other image sets, in %s, are of other runs%s'
            % (', '.join(others), '. ' + parameters_alone(other, epoch, begin=0) if epoch else ''))


def settings_of(config):
    """Return {'section.key': value} of what a resume compares, as JSON gives it back."""
    return json.loads(json.dumps({
        name: value for name, value in leaves(config)
        if name not in NO_MATTER and not name.startswith('TEST.')}))


def data_of(config, loader, classes, devices):
    """Return what a resume compares of the data, as a dict for the record.

    Args:
        config: settings; paths are compared below dataset.dataset_path.
        loader: a TrainLoader.
        classes: names of the classes, in order.
        devices: that train together, of all workers.
    """
    root = os.path.join(resolve(config.dataset.dataset_path), '')
    images, labels = hashlib.sha256(), hashlib.sha256()
    for record in loader.records:
        below = record.image.startswith(root)
        name = record.image[len(root):] if below else record.image
        images.update(('%s %d\n' % (name, record.flipped)).encode('utf-8', 'surrogateescape'))
        if hasattr(record, 'boxes'):
            labels.update(record.boxes.tobytes() + record.gt_classes.tobytes())
        else:
            labels.update(b'%d\n' % file_size(record.label))
    return {'classes': list(classes), 'entries': len(loader.records), 'images': images.hexdigest(),
            'labels': labels.hexdigest(), 'devices': devices}


def compare(start, config, data, prefix, report):
    """Log what the run that wrote the Checkpoint `start` had otherwise, and what follows.

    Args:
        start: to resume from.
        config: settings of this run.
        data: data_of this run.
        prefix: of the checkpoints.
        report: called with each line.

    Raises CheckpointError for other classes.
    """
    before, settings = (_section(start, name) for name in ('data', 'settings'))
    if before.get('classes', data['classes']) != data['classes']:
        _refuse_other(start, prefix, {'the classes': (before['classes'], data['classes'])})
    if not settings:
        report('%s does not tell the settings of its run, as an older version wrote it: they are '
               'taken to be the same' % file_name(prefix, start.epoch, 'json', start.batch))
    changed = sorted(_changed(start, settings_of(config)).items())
    lines = [('%s %s -> %s' % (name, _short(old), _short(new)), MAY_CHANGE[name])
             for name, (old, new) in changed]
    lines += _data_lines(before, data)
    if lines:
        report('this run differs from the one that wrote %s:' % start.params_file)
    for difference, follows in lines:
        within = WITHIN if follows == ORDER and start.batch else ''
        report('  %s: %s%s' % (difference, follows, within))


def _data_lines(before, data):
    """[(difference, what follows)] of images and devices; a longer list is told by its length."""
    changed = {key for key in data if before.get(key, data[key]) != data[key]}
    lines = []
    if 'entries' in changed:
        entries = _short(before['entries']), data['entries']
        lines.append(('training entries %s -> %s' % entries, ORDER))
    elif 'images' in changed:
        lines.append(('the list of training images has the same length, but is another one', ORDER))
    elif 'labels' in changed:
        lines.append(('the labels of the training images', AT_ONCE))
    if 'devices' in changed:
        devices = _short(before['devices']), data['devices']
        lines.append(('devices %s -> %s' % devices, SIZE))
    return lines


def _section(start, name):
    """The dict `name` of a checkpoint's record; empty where there is none."""
    section = start.record.get(name)
    return section if isinstance(section, dict) else {}


def _changed(start, settings):
    """{name: (value in the run that wrote `start`, value now)} of settings that both know."""
    before = _section(start, 'settings')
    before = with_defaults(before) if before else {'TRAIN.SEED': start.record.get('seed', settings['TRAIN.SEED'])}
    return {name: (before[name], value) for name, value in settings.items()
            if name in before and before[name] != value}


def _refuse_other(start, prefix, changed):
    """Raise CheckpointError where `changed` holds what the rule does not let go."""
    # Without momentum there is no state to go on from.
    other = {name: values for name, values in changed.items()
             if name not in MAY_CHANGE or (name == 'TRAIN.momentum' and not values[0])}
    if other:
        differences = ', '.join('%s %s -> %s' % (name, _short(old), _short(new))
                                for name, (old, new) in sorted(other.items()))
        raise CheckpointError(
            '%s is of a run with other settings: %s. That changes what is learned, so training '
            'does not continue from it (docs/reliability.md has the rule). Set them back, or: %s'
            % (start.params_file, differences, parameters_alone(prefix, start.epoch, batch=start.batch)))


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:120] + '...'
