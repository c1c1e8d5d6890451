"""What every command-line entry point shares: clean ends instead of tracebacks."""
import sys

from lib.utils.errors import DFFError


def run(main):
    """Call `main()`; exit 0, or 2 with one line for a user's error, or 130 after Ctrl-C."""
    try:
        main()
    except DFFError as error:
        print('error: %s' % error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('\nstopped by Ctrl-C', file=sys.stderr)
        sys.exit(130)
