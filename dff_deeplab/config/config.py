"""Settings of the dff_deeplab task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from dff_deeplab.task import TASK

config, update_config = TASK.config, TASK.update_config
