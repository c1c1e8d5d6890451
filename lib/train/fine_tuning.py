"""Starting from a network that was trained for other classes or with other anchors."""

# Layers whose outputs are classes or anchors. Only these may differ from the file: another shape elsewhere is another network.
CLASS_LAYERS = ('rfcn_cls', 'rfcn_bbox', 'rpn_cls_score', 'rpn_bbox_pred', 'score', 'upsampling')
MOST_NAMED = 12


def drop_class_layers(shapes, arg_params, report):
    """Take out of `arg_params`, {name: array}, what cannot serve the network to train, for init_weight to make anew.

    shapes: {name: shape} that the network needs. Taken out: parameters of CLASS_LAYERS that have another shape, each named
    through `report` with both shapes, and the *_test layers, which are for testing only.
    """
    dropped = []
    for name in list(arg_params):
        found, needed = tuple(arg_params[name].shape), tuple(shapes.get(name, ()))
        if name.endswith('_test'):
            del arg_params[name]
        elif needed and found != needed and name.rsplit('_', 1)[0] in CLASS_LAYERS:
            del arg_params[name]
            dropped.append('%s %s -> %s' % (name, found, needed))
    if dropped:
        report('the pretrained file is of other classes or anchors; not taken over: %s' % ', '.join(dropped))


def report_new(names, report):
    """Say through `report` which layers the parameters `names` belong to, which no file provided."""
    layers = list(dict.fromkeys(name.rsplit('_', 1)[0] for name in names))
    if layers:
        more = ', ... and %d more' % (len(layers) - MOST_NAMED) if len(layers) > MOST_NAMED else ''
        report('initialised anew, %d parameters of: %s%s' % (len(names), ', '.join(layers[:MOST_NAMED]), more))
