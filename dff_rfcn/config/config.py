"""Settings of the dff_rfcn task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from dff_rfcn.task import TASK

config, update_config = TASK.config, TASK.update_config
