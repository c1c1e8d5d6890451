"""Settings of the dff_rfcn task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults

config = detection_defaults()
config.output_path = './output/dff_rfcn'


def update_config(config_file):
    """Merge a YAML file into `config`. Raises ConfigError naming the file and the key."""
    update_from_file(config, config_file)
