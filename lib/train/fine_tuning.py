"""Starting from a network that was trained for other classes or with other anchors."""

MOST_NAMED = 12


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
