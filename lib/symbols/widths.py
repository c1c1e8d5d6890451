"""How many channels a layer has at a factor on its width."""
from dff.errors import ConfigError


def channels(full, width, setting):
    """Return `full` channels scaled by `width`.

    Raises ConfigError, naming the setting, where that is no whole number.
    """
    scaled = full * width
    if scaled < 1 or scaled != int(scaled):
        raise ConfigError('%s is %s, which makes %g of %d channels; choose a factor that gives '
                          'whole numbers, as 0.25'
                          % (setting, width, scaled, full))
    return int(scaled)
