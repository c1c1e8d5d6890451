"""Settings of the rfcn task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from rfcn.task import TASK

config, update_config = TASK.config, TASK.update_config
