"""Which parameters training leaves as they are, and statistics that nothing would change."""
from lib.graph.graph import Graph


def fixed_param_names(symbol, input_names, network):
    """Return the names of the parameters that training leaves as they are.

    Args:
        symbol: the network.
        input_names: arguments that are no parameters.
        network: settings; FIXED_PARAMS are the beginnings of names with FIXED_PARAMS_RULE
            'prefix', the original's for detection and DFF, and parts of names with 'substring',
            its rule for DeepLab.
    """
    def is_fixed(name):
        if network.FIXED_PARAMS_RULE == 'prefix':
            return name.startswith(tuple(network.FIXED_PARAMS))
        return any(part in name for part in network.FIXED_PARAMS)

    return [
        name for name in symbol.list_arguments()
        if name not in input_names and network.FIXED_PARAMS and is_fixed(name)
    ]


def with_stored_statistics(symbol, constants):
    """Return `symbol` with stored statistics in normalisations that nothing trained comes before.

    These are the ones behind nothing but `constants`, names of inputs and parameters. MXNet learns
    statistics in the backward pass, which does not come to such layers: in training they would go
    by each batch, and in tests by what was stored before.
    """
    graph, trained, changed = Graph(symbol), set(), False
    for node in graph.nodes():
        sources = node.inputs[:3] if node.op == 'BatchNorm' else node.inputs        # the others are statistics
        is_trained = node.name not in constants if node.op == 'null' else any(
            source in trained for source, _ in sources)
        if is_trained:
            trained.add(node)
        elif node.op == 'BatchNorm' and not node.get('use_global_stats', False):
            node.attributes['use_global_stats'] = 'True'
            changed = True
    return graph.symbol() if changed else symbol


def describe_fixed(fixed, total, network):
    """Return a line for the log: how many parameters are frozen, and which entries froze none.

    Args:
        fixed: names of the frozen ones.
        total: number of all parameters.
        network: settings, of which FIXED_PARAMS and FIXED_PARAMS_RULE count.
    """
    prefix = network.FIXED_PARAMS_RULE == 'prefix'
    idle = [p for p in network.FIXED_PARAMS if not any(n.startswith(p) if prefix else p in n for n in fixed)]
    line = '%d of %d parameters are frozen (network.FIXED_PARAMS as %s)' % (
        len(fixed), total, 'prefixes' if prefix else 'substrings')
    if fixed:
        line += ': %s ... %s' % (fixed[0], fixed[-1])
    if idle:
        line += '; no name matches %s' % ', '.join(idle)
    return line
