"""Read the commands of the documentation, and parse them with the programs' own parsers."""
import argparse
import re
import runpy
import shlex
import sys
import warnings
from pathlib import Path
from unittest import mock

from dff.runtime import command as dff_command

NEEDS = re.compile(r'#\s*(needs|需要)')
ASSIGNMENT = re.compile(r'[A-Z_]+=')
# Shell words and programs of others; those that a newcomer lacks say `# needs`.
PLAIN = {'cd', 'mkdir', 'cp', 'ln', 'for', 'do', 'done', 'cat', 'sed', '.', 'apt-get', 'ffmpeg', 'git', 'export'}
OURS = {'python', 'sh', 'bash', 'dff', 'pip', '.ci/lint'}
# Scripts that have no options.
BARE = {'lib/operator_cxx/build.py', 'tools/demo_clip.py', 'tools/describe_setup.py', 'benchmarks/gpu_operators.py'}


class Command:
    """A command of a page.

    Args:
        page: the page's path, relative to the root.
        line: its number, from 1.
        text: the command with its continuations joined, without comments.
        marked: whether it, or the first line of its block, says `# needs ...`.
        written: text as it is in the page.
    """

    def __init__(self, page, line, text, marked, written):
        self.page, self.line, self.text, self.marked, self.written = page, line, text, marked, written

    def __repr__(self):
        return '%s:%d: %s' % (self.page, self.line, self.text)


def pages(root):
    """The pages of the documentation, but for docs/lab, whose commands are of their dates."""
    others = ('README.md', 'README.zh-CN.md', 'CONTRIBUTING.md', 'SECURITY.md', 'data/README.md', 'model/README.md')
    return sorted((root / 'docs').glob('*.md')) + [root / name for name in others]


def blocks(text):
    """Yield (line of its first line, language, lines) of each block of code; that of indented ones is ''."""
    lines, number = text.splitlines(), 0
    while number < len(lines):
        fence = re.match(r'\s*```(\w*)', lines[number])
        first = number + 1
        if fence:
            number = first
            while number < len(lines) and not lines[number].lstrip().startswith('```'):
                number += 1
            yield first + 1, fence.group(1) or 'output', lines[first:number]
        elif lines[number].startswith('    ') and (not number or not lines[number - 1].strip()):
            number = first - 1
            while number < len(lines) and (lines[number].startswith('    ') or not lines[number].strip()):
                number += 1
            yield first, '', [line[4:] for line in lines[first - 1:number]]
            continue
        number += 1


def commands(page, root):
    """All Commands of a page: of blocks of `sh`, and of indented blocks that begin with one of our programs."""
    name = str(page.relative_to(root))
    for first, language, lines in blocks(page.read_text(encoding='utf-8')):
        if language not in ('', 'sh'):
            continue
        head = bool(lines and lines[0].startswith('#') and NEEDS.search(lines[0]))
        if not language:
            lines = [without_description(line) if begins_with_ours(line) else '' for line in joined(lines)]
        number = 0
        while number < len(lines):
            start, line = number, lines[number]
            while number + 1 < len(lines) and (line.endswith('\\') or open_quote(line)):
                number += 1
                line = line[:-1] + ' ' + lines[number] if line.endswith('\\') else line + '\n' + lines[number]
            number += 1
            words = split(line)
            if words:
                text = ' '.join(shlex.quote(word) for word in words)
                yield Command(name, first + start, text, head or bool(NEEDS.search(line)), line)


def joined(lines):
    """Lines with their continuations in one, and empty ones for these, so that numbers stay."""
    found = []
    for number, line in enumerate(lines):
        if number and lines[number - 1].endswith('\\'):
            place = max(place for place in range(number) if found[place])
            found[place] = found[place].rstrip('\\') + ' ' + line
            found.append('')
        else:
            found.append(line)
    return [line.rstrip('\\') for line in found]


def without_description(line):
    """A command of an indented block without what follows it after three blanks, which says what it does."""
    return re.sub(r'\s{3,}[^\s#-].*', '', line.rstrip())


def begins_with_ours(line):
    """Whether a line is a command rather than what one printed: variables, then one of our programs."""
    words = line.split()
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    return bool(words) and words[0] in OURS


def open_quote(line):
    """Whether a quotation of a line of the shell ends on another one."""
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def split(line):
    """The words of a line of the shell, without its comment and the variables that it sets."""
    words = shlex.split(line, comments=True)
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words


class Parsed(BaseException):
    """What a program's parser made of its command line."""


def check(command, root):
    """None, or what is wrong with a command: a program, script, file or option that there is not."""
    for part in parts(shlex.split(command.text)):
        problem = check_part(part, Path(root))
        if problem:
            return problem
    return None


def parts(words):
    """The commands of a line, divided at the operators of the shell; without what it redirects."""
    part = []
    for word in words + ['&&']:
        if word in ('|', '&&', ';', '||'):
            if part:
                yield part
            part = []
        elif word == '>':
            part.append(None)
        elif part and part[-1] is None:
            part.pop()
        else:
            part.append(word)


def check_part(words, root):
    """As check, of one command."""
    words = [placeholder(word) for word in words if word != '...']
    program, rest = words[0], words[1:]
    if program in PLAIN:
        return None
    if program not in OURS:
        return 'what is %s?' % program
    if program in ('.ci/lint', 'bash', 'sh'):
        script = program if program == '.ci/lint' else rest[0]
        return None if (root / script).is_file() else 'there is no %s' % script
    if program == 'pip':
        return check_pip(rest, root)
    if program == 'dff':
        return parse(lambda: dff_command.parser().parse_args(rest))
    if rest[0] == '-m':
        return check_module(rest[1], rest[2:], root)
    if not (root / rest[0]).is_file():
        return 'there is no %s' % rest[0]
    if rest[0] in BARE:
        return 'it has no options' if rest[1:] else None
    return parse(lambda: runpy.run_path(str(root / rest[0]), run_name='__main__'), rest) or check_files(rest[1:], root)


def placeholder(word):
    """A word that a parser takes: a number where the page has N, without the brackets of a synopsis."""
    if word.startswith('[--') or re.match(r'[\w,.-]+\]$', word):
        word = word.strip('[]')
    return {'N': '1', 'K': '1', 'D': '1', 'S': '0.5'}.get(word, word)


def check_pip(words, root):
    """As check, of pip install: lists of requirements and extras that there are."""
    if words[0] != 'install':
        return 'pip %s?' % words[0]
    extras = (root / 'pyproject.toml').read_text()
    for before, word in zip(words, words[1:]):
        if before == '-r' and not (root / word).is_file():
            return 'there is no %s' % word
        extra = re.match(r'\.\[(\w+)\]$', word)
        if extra and not re.search(r'^%s = \[' % extra.group(1), extras, re.MULTILINE):
            return 'there is no extra %s' % extra.group(1)
    return None


def check_module(module, words, root):
    """As check, of python -m: tests that exist, and the parsers of our modules."""
    if module == 'pytest':
        missing = [word for word in words if word.startswith('tests') and not (root / word.split('::')[0]).exists()]
        return 'there is no %s' % missing[0] if missing else None
    if module == 'dff':
        return parse(lambda: dff_command.parser().parse_args(words))
    return parse(lambda: runpy.run_module(module, run_name='__main__'), [module] + words)


def parse(run, argv=None):
    """Run a program up to the end of its parser; returns None, or the parser's error."""
    original, errors = argparse.ArgumentParser.parse_args, []

    def parsed(self, args=None, namespace=None):
        raise Parsed(original(self, args, namespace))

    def error(self, message):
        errors.append(message)
        raise SystemExit(2)

    path = list(sys.path)
    try:
        with warnings.catch_warnings(), mock.patch.object(argparse.ArgumentParser, 'parse_args', parsed), \
                mock.patch.object(argparse.ArgumentParser, 'error', error), \
                mock.patch.object(sys, 'argv', argv or sys.argv):
            warnings.simplefilter('ignore', RuntimeWarning)     # of runpy, for a module that is imported already
            run()
    except Parsed:
        return None
    except SystemExit as end:
        return errors[0] if errors else 'it ended with %s' % end.code
    finally:
        sys.path[:] = path
    return 'it has no parser'


def check_files(words, root):
    """As check, of the settings that a command names."""
    for before, word in zip(words, words[1:]):
        if before == '--cfg' and word.startswith('experiments/') and not (root / word).is_file():
            return 'there is no %s' % word
    return None
