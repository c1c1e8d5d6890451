"""python -m dff: the command `dff`."""
from dff.runtime.command import main

if __name__ == '__main__':
    main()
