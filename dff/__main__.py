"""python -m dff: the command `dff`."""
from dff.runtime.command import main

main()
