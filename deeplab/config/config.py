"""Settings of the deeplab task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from deeplab.task import TASK

config, update_config = TASK.config, TASK.update_config
