"""Types of command-line arguments, for argparse: each takes the text and returns the value."""
import argparse

INTERVAL = 'frames from one key frame to the next'     # help of every --interval
EPOCH = 'number in the name of the parameters, or best (default 0)'     # help of every --epoch


def score(text):
    """Return a score threshold, 0 to 1. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError('expected a score from 0 to 1, found %r' % text)
    return value


def positive(text):
    """Return a whole number of 1 or more. Raises argparse.ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError('expected a whole number of 1 or more, found %r' % text)
    return int(text)


def not_negative(text):
    """Return a whole number of 0 or more. Raises argparse.ArgumentTypeError."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError('expected a whole number of 0 or more, found %r' % text)
    return int(text)


def epoch_or_best(text):
    """Return a whole number of 0 or more, or 'best'. Raises argparse.ArgumentTypeError."""
    if text != 'best' and not text.isdigit():
        raise argparse.ArgumentTypeError('expected the number of an epoch or best, found %r' % text)
    return text if text == 'best' else int(text)


def some_of(*words):
    """Return a type for names out of `words`, separated by commas: a list."""
    def parse(text):
        names = [name.strip() for name in text.split(',') if name.strip()]
        wrong = next((name for name in names if name not in words), None)
        if wrong is not None or not names:
            raise argparse.ArgumentTypeError('expected some of %s, separated by commas, found %r'
                                             % (', '.join(words), wrong or text))
        return names
    return parse
