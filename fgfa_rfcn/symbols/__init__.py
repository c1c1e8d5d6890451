"""Networks of the task; importing this package makes them known."""
from lib.utils.registry import import_modules

import_modules(__name__)
