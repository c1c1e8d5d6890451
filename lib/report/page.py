"""The report of a test as one HTML file that needs nothing else."""
from dff.errors import DataError
from dff.files import atomic_path
from lib.report import sections
from lib.report.facts import Facts
from lib.report.html_parts import STYLE, text
from lib.report.pictures import pictures
from lib.report.timeline import timelines

HEAD = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>%s</title><style>%s</style></head><body>'


def write_report(facts: Facts, path: str, title: str, frames: int = 24) -> None:
    """Write the page.

    Args:
        facts: of lib.report.facts.gather.
        path: of the page.
        title: its title.
        frames: pictures of the worst frames.

    Raises DataError where it cannot be written.
    """
    parts = [HEAD % (text(title), STYLE), '<h1>%s</h1>' % text(title)]
    parts += sections.summary(facts)
    parts += sections.errors(facts)
    parts += sections.by_class(facts)
    parts += sections.by_part(facts, facts.by_camera, 'camera', path)
    parts += sections.by_part(facts, facts.by_clip, 'clip', path)
    parts += sections.curves(facts)
    parts += sections.confusion(facts)
    parts += pictures(facts, frames, path)
    parts += timelines(facts, path)
    try:
        with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8', errors='replace') as stream:
            stream.write('\n'.join(parts + ['</body></html>\n']))
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None
