"""What every command-line entry point shares: clean ends instead of tracebacks, and output that goes on."""
import os
import sys
import traceback

from dff.errors import DFFError, Stopped, shown
from lib.jobs import signs
from lib.utils.paths import ROOT

LONGEST = 2000      # letters of an error's line; what a file holds may be quoted in it


def run(main):
    """Call `main()`.

    Exit 0, or 2 with one line for a user's error, or 128 + the signal that stopped it (Ctrl-C: 130;
    nobody who reads the output: 141).
    """
    worker = os.environ.get('DMLC_ROLE') == 'worker'
    _prepare_streams()
    signs.start()
    try:
        _check_locale()
        main()
        sys.stdout.flush()
        return
    except DFFError as error:
        print('error: %s' % _line(error), file=sys.stderr)
        status = 2
    except Stopped as stop:
        print(stop, file=sys.stderr)
        status = 128 + stop.signal_number
    except KeyboardInterrupt:
        print('\nstopped by Ctrl-C', file=sys.stderr)
        status = 130
    except BrokenPipeError:
        print('stopped: the output is no longer read', file=sys.stderr)
        silence(sys.stdout)
        status = 141
    except UnicodeEncodeError as error:
        print('error: the name %s %s' % (ascii(error.object[:200]), _REMEDY), file=sys.stderr)
        status = 2
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


_REMEDY = ('cannot be used: it is not UTF-8, or the locale is not. Set PYTHONUTF8=1 or LC_ALL=C.UTF-8, '
           'or rename the file or folder')


def silence(stream):
    """Have what is still written to a standard stream that has gone lead to nothing, without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _prepare_streams():
    """Standard streams that are there, and take every name of a file."""
    for number, name, mode in ((0, 'stdin', 'r'), (1, 'stdout', 'w'), (2, 'stderr', 'w')):
        try:
            os.fstat(number)
        except OSError:      # closed (>&-): the next file that opens would get the number, and what is printed
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))      # noqa: SIM115  it lives as long as the process
        if mode == 'w' and hasattr(getattr(sys, name), 'reconfigure'):
            getattr(sys, name).reconfigure(errors='backslashreplace')


def _check_locale():
    """Refuse names that this locale cannot express, before half of the work is done with them."""
    if sys.getfilesystemencoding().lower().replace('-', '') == 'utf8':
        return
    for name in sys.argv + [ROOT, os.getcwd()]:
        if any('\ud800' <= letter <= '\udfff' for letter in name):
            raise DFFError('the name %s %s' % (shown(name), _REMEDY))


def _line(error):
    """An error's text without control characters, cut in the middle where it is long."""
    text = ''.join(c if c.isprintable() or c in '\n\t' else ascii(c)[1:-1] for c in str(error)[:10 * LONGEST])
    return text if len(text) <= LONGEST else '%s ... %s' % (text[:LONGEST - 400], text[-400:])
