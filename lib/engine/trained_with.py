"""What parameters were trained with: the settings in the record beside them, <prefix>-<epoch>.json.

Some settings change what parameters mean and not their shapes: a network with others takes them, and computes something
else. Testing refuses that; a training that starts from such parameters says it, as it can learn. Where nothing is
recorded, as of files of the original code or copied without their record, nothing is known, and all is taken.
"""
import json
import logging
import os

from dff.errors import CheckpointError, shown
from dff.files import file_sha256, read_json
from dff.runtime.backend import class_lines
from lib.config.defaults import detection_defaults
from lib.config.ranges import leaves
from lib.engine.checkpoint import averages_of, file_name, write_record

# {part of a network: (a parameter of every such part, the settings that its parameters depend on)}.
PARTS = {
    'backbone': ('conv1_weight', ('network.backbone', 'network.STRIDE_IN_3X3', 'network.BN_EPS')),
    'flow': ('Convolution5_weight', ('network.flow', 'network.FLOW_INPUT_SCALE', 'network.USE_SCALE_MAP')),
    'proposals': ('rpn_bbox_pred_weight', ('network.ANCHOR_SCALES', 'network.ANCHOR_RATIOS', 'network.NORMALIZE_RPN',
                                           'network.ANCHOR_MEANS', 'network.ANCHOR_STDS')),
    # What tests take is without the normalisation (fold_bbox_normalisation): it is of no concern to them.
    'boxes': ('rfcn_bbox_weight', ('TRAIN.BBOX_NORMALIZATION_PRECOMPUTED', 'TRAIN.BBOX_MEANS', 'TRAIN.BBOX_STDS')),
}
OF_ALL = ('network.PIXEL_MEANS',)
MEANING = OF_ALL + tuple(key for _, keys in PARTS.values() for key in keys)
CLASSES = 'rfcn_cls_weight', 'score_weight'      # parameters that depend on the classes
_log = logging.getLogger('dff.config')


def write_settings(path, config):
    """Write the record of parameters that are no checkpoint, as those of pre-training.

    path: of the .params file; config: the settings. Raises CheckpointError where it cannot be written.
    """
    write_record(os.path.splitext(path)[0] + '.json', {'settings': to_record(config),
                                                       'sha256': {'params': file_sha256(path)}})


def to_record(config):
    """Return what to record of the settings beside parameters that no training goes on from: {'section.key': value}."""
    return {name: value for name, value in leaves(config)
            if name.startswith(('network.', 'TRAIN.AGGREGATE', 'TRAIN.BBOX_'))}


def with_defaults(settings):
    """Return recorded settings, {'section.key': value}, with what an older version, which had no such setting, did."""
    defaults = detection_defaults()
    known = {key: defaults[key.split('.')[0]].get(key.split('.')[1]) for key in MEANING}
    return dict({key: json.loads(json.dumps(value)) for key, value in known.items() if value is not None}, **settings)


def check_training(config, network, classes, prefix, epoch):
    """Compare what parameters were trained with to the settings they are to be used with.

    A line is logged for other settings of the network that differ, as network.EMBED_SHARPNESS.

    Args:
        config: the settings.
        network: instance of the symbol class.
        classes: the class lines of the settings, as of a Kind's class_lines.
        prefix, epoch: of the parameters.

    Raises CheckpointError where settings that the parameters' meaning depends on, or the classes, are others.
    """
    record, path = _record(prefix, epoch), file_name(prefix, epoch)
    parts = {'backbone': True, 'flow': network.propagates or network.aggregates,
             'proposals': network.recognises == 'detection'}
    _refuse_other(config, record, [part for part in parts if parts[part]], prefix, epoch,
                  _other_class(record, network.recognises, classes))
    idle = MEANING + ('network.pretrained', 'network.FIXED_PARAMS')
    if _settings(record).get('TRAIN.AGGREGATE') == 'none':      # there are no embeddings
        idle += ('network.EMBED_',)
    keys = ['network.' + key for key in config.network]
    other = _differences(record, config, sorted(key for key in keys if not key.startswith(idle)), '%s %s, now %s')
    if other and _describes(record, prefix, epoch):
        _log.warning('%s was trained with other settings: %s. Set them back, unless that is meant', path,
                     '; '.join(other))


def check_flow(config, prefix):
    """Do what check_training does, of a flow network alone.

    config: the settings; prefix: of its parameters, whose epoch is 0. Raises CheckpointError.
    """
    _refuse_other(config, _record(prefix, 0), ['flow'], prefix, 0, [])


def _refuse_other(config, record, parts, prefix, epoch, more):
    """Raise CheckpointError where settings of `parts` are others than those recorded; more: what else is."""
    other = _differences(record, config, OF_ALL + sum((PARTS[part][1] for part in parts), ())) + more
    if other and _describes(record, prefix, epoch):
        raise CheckpointError('%s was trained with %s: set what it was trained with, or train from it with these '
                              'settings (network.pretrained)' % (file_name(prefix, epoch), '; with '.join(other)))


def report_other_training(config, network, classes, prefix, epoch, names, report):
    """Say what of the parameters that a training starts with meant something else where they were trained.

    Args:
        config, network, classes, prefix, epoch: as of check_training.
        names: of the parameters of that file that are taken over.
        report: called with the line.
    """
    record = _record(prefix, epoch)
    keys = list(OF_ALL)
    for probe, own in PARTS.values():
        keys += own if probe in names else ()
    other = _differences(record, config, keys)
    if any(name in names for name in CLASSES):
        other += _other_class(record, network.recognises, classes)
    if other and _describes(record, prefix, epoch):
        report('%s was trained with %s: training begins with what it learned for that. Set them back, unless that is '
               'meant' % (file_name(prefix, epoch), '; with '.join(other)))


def _record(prefix, epoch):
    """What is recorded beside parameters, a dict; that of averages lies beside the others."""
    averages = averages_of('')
    own = prefix[:-len(averages)] if prefix.endswith(averages) else prefix
    record = read_json(file_name(own, epoch, 'json'))
    return record if isinstance(record, dict) else {}


def _describes(record, prefix, epoch):
    """Whether a record is that of the file of parameters, as far as it tells: it may have been replaced."""
    checksums, path = record.get('sha256'), file_name(prefix, epoch)
    kind = 'averages' if prefix.endswith(averages_of('')) else 'params'
    known = checksums.get(kind) if isinstance(checksums, dict) else None
    return known is None or not os.path.isfile(path) or known == file_sha256(path)


def _settings(record):
    settings = record.get('settings')
    return with_defaults(settings) if isinstance(settings, dict) and settings else {}


def _differences(record, config, keys, line='%s %s, and the settings say %s'):
    """[`line` with key, value then, value now] of the settings `keys` that differ from the recorded ones."""
    then, found = _settings(record), []
    for key in keys:
        section, name = key.split('.')
        if key in then and name in config[section]:
            now = json.loads(json.dumps(config[section][name]))
            if then[key] != now:
                found.append(line % (key, shown(then[key]), shown(now)))
    return found


def _other_class(record, recognises, classes):
    """[what differs], of the first class that is another; [] also where their number differs, which shapes tell."""
    then = (record.get('data') or {}).get('classes') if isinstance(record.get('data') or {}, dict) else None
    then = record.get('classes', then)
    if not isinstance(then, list) or not all(isinstance(line, str) for line in then) or len(then) != len(classes):
        return []
    names = [class_lines(recognises, lines)[0] for lines in (then, list(classes))]
    places = [place for place, pair in enumerate(zip(*names)) if pair[0] != pair[1]]
    return ['%s as class %d, and the settings say %s' % (shown(names[0][place]), place, shown(names[1][place]))
            for place in places[:1]]
