"""Settings of the deeplab task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from lib.config.config import update_from_file
from lib.config.defaults import segmentation_defaults

config = segmentation_defaults()
config.output_path = './output/deeplab'
config.network.FIXED_PARAMS_RULE = 'substring'   # as the original: `gamma` and `beta` freeze every normalisation


def update_config(config_file):
    """Merge a YAML file into `config`. Raises ConfigError naming the file and the key."""
    update_from_file(config, config_file)
