"""Settings of the fgfa_rfcn task: the defaults of lib/config/defaults.py, changed by a YAML file."""
from fgfa_rfcn.task import TASK

config, update_config = TASK.config, TASK.update_config
