"""What every command-line entry point shares: clean ends instead of tracebacks."""
import os
import sys
import traceback

from dff.errors import DFFError, Stopped
from lib.utils import signs


def run(main):
    """Call `main()`.

    Exit 0, or 2 with one line for a user's error, or 128 + the signal that stopped it (Ctrl-C: 130).
    """
    worker = os.environ.get('DMLC_ROLE') == 'worker'
    signs.start()
    try:
        main()
        return
    except DFFError as error:
        print('error: %s' % error, file=sys.stderr)
        status = 2
    except Stopped as stop:
        print(stop, file=sys.stderr)
        status = 128 + stop.signal_number
    except KeyboardInterrupt:
        print('\nstopped by Ctrl-C', file=sys.stderr)
        status = 130
    except Exception:
        if not worker:
            raise
        traceback.print_exc()
        status = 1
    if worker:
        # At the end of the process MXNet waits for the other workers, who wait for this one's gradients.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
