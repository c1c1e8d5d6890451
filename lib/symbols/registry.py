"""Networks and their parts by the names that a config gives them."""
from dff.errors import ConfigError
from lib.utils.registry import Registry

# Networks; those of a task lie in its folder symbols/, which lib/tasks/task.py imports.
SYMBOLS = Registry('network', 'symbol')
# Classes with __init__(config.network), feature(data, global_stats, pool_pad) and channels(), as ResNetV1.
BACKBONES = Registry('backbone', 'network.backbone', 'lib.symbols.backbones')
# FlowNetworks (lib/symbols/flow_layers.py).
FLOW_NETWORKS = Registry('flow network', 'network.flow', 'lib.symbols.flow_networks')

register = SYMBOLS.register()      # class decorator of a network: it is known under its own name


def get_symbol_instance(cfg):
    """Return a new instance of the network that cfg.symbol names.

    Raises ConfigError, listing what exists, on a miss, and where it cannot do what TRAIN.AGGREGATE or TEST.AGGREGATE
    says.
    """
    network = SYMBOLS.get(cfg.symbol)
    for section in ('TRAIN', 'TEST'):
        if cfg[section].AGGREGATE != 'none' and not getattr(network, 'can_aggregate', False):
            raise ConfigError('%s.AGGREGATE: %s joins features of key frames, which networks of dff_rfcn carry along '
                              'the flow; the network %s does not: set it to none'
                              % (section, cfg[section].AGGREGATE, cfg.symbol))
    return network()
