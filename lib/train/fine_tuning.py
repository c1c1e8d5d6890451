"""Starting from a network that was trained for other classes, with other anchors, or with other settings."""
from dff.errors import CheckpointError
from lib.engine.checkpoint import file_name, load_params
from lib.engine.trained_with import report_other_training
from lib.train.divergence import not_finite
from lib.utils.paths import resolve

MOST_NAMED = 12


def read_pretrained(network, report):
    """Return (arg_params, aux_params, {parameter: (prefix, epoch) of the file that it is of}) of the pretrained files.

    Args:
        network: the config's section of that name, whose pretrained and pretrained_flow name them; the second counts
            where both have a parameter.
        report: called with a line for each file.

    Raises CheckpointError where one is missing or damaged.
    """
    arg_params, aux_params, origins = {}, {}, {}
    for name, epoch in ((network.pretrained, network.pretrained_epoch), (network.pretrained_flow, 0)):
        if name:
            args, auxs = load_params(resolve(name), epoch)
            arg_params.update(args)
            aux_params.update(auxs)
            origins.update(dict.fromkeys([*args, *auxs], (resolve(name), epoch)))
            report('%d parameters from %s' % (len(args) + len(auxs), file_name(name, epoch)))
    return arg_params, aux_params, origins


def check_values(instance, params, origins):
    """Raise CheckpointError where what the network takes of pretrained files is not finite: it may be frozen.

    Args:
        instance: the network, with its shapes inferred.
        params: {name: NDArray} of the arguments and auxiliary states read.
        origins: of read_pretrained.
    """
    taken = {name: array for name, array in params.items()
             if name in instance.arg_shape_dict or name in instance.aux_shape_dict}
    bad = not_finite(taken) if taken else []
    if bad:
        raise CheckpointError('%s: %d parameters, %s the first, hold values that are not finite; choose another '
                              'network.pretrained' % (file_name(*origins[bad[0]]), len(bad), bad[0]))


def report_meaning(config, instance, classes, origins, arg_params, report):
    """Say which pretrained files were trained with settings by which their parameters mean something else.

    Args:
        config: the settings.
        instance: the network, with its shapes inferred.
        classes: class lines of the settings.
        origins: of read_pretrained.
        arg_params: {name: array} that is taken over.
        report: called with a line for each file.
    """
    for prefix, epoch in dict.fromkeys(origins.values()):
        names = {name for name in arg_params if name in instance.arg_shape_dict and origins[name] == (prefix, epoch)}
        report_other_training(config, instance, classes, prefix, epoch, names, report)


def drop_class_layers(instance, arg_params, report):
    """Take out of `arg_params` what cannot serve the network to train, for init_weight to make anew.

    Args:
        instance: the network, with its shapes inferred. Only its class_layers may differ from the file: another shape
            elsewhere is another network.
        arg_params: {name: array}. Taken out: parameters of those layers that have another shape,
            and the *_test layers, which are for testing only.
        report: called with a line that names each with both shapes.
    """
    dropped = []
    for name in list(arg_params):
        found, needed = tuple(arg_params[name].shape), tuple(instance.arg_shape_dict.get(name, ()))
        if name.endswith('_test'):
            del arg_params[name]
        elif needed and found != needed and name.rsplit('_', 1)[0] in instance.class_layers:
            del arg_params[name]
            dropped.append('%s %s -> %s' % (name, found, needed))
    if dropped:
        report('the pretrained file is of other classes or anchors; not taken over: %s' % ', '.join(dropped))


def report_new(names, report):
    """Say through `report` which layers the parameters `names` belong to, which no file provided."""
    layers = list(dict.fromkeys(name.rsplit('_', 1)[0] for name in names))
    if layers:
        more = ', ... and %d more' % (len(layers) - MOST_NAMED) if len(layers) > MOST_NAMED else ''
        report('newly initialised, %d parameters of: %s%s' % (len(names), ', '.join(layers[:MOST_NAMED]), more))
