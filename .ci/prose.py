"""Check the English of pages and messages: python .ci/prose.py [FILE.md | FILE.py | FOLDER ...]

Of pages: no words of .ci/words.txt, no paragraph of more than 120 words. A paragraph is also an item of a list, or a
cell of a table. Code, in blocks and in `...`, addresses, and pages in Chinese are left alone. Of Python files: no
words of the list in strings that a user may read (all with a space, docstrings of commands among them). Prints a
line for each finding; exits with 1 where there is one. Without arguments it checks all that git tracks of PAGES and
CODE.
"""
import ast
import re
import subprocess
import sys
from pathlib import Path

MOST_WORDS = 120
PAGES = 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'docs', 'data', 'model'
CODE = ('dff', 'lib', 'tools', 'benchmarks', 'experiments', 'rfcn', 'dff_rfcn', 'fgfa_rfcn', 'deeplab', 'dff_deeplab')
FENCE = re.compile(r'\s*(```+|~~~+)')
NEW_BLOCK = re.compile(r'\s*([-*+]|\d+[.)])\s|#|>|\||<|!\[')
COMMANDS = 'tools', 'experiments', 'benchmarks'    # whose docstrings --help prints


def fail(text):
    """End with one line, as no finding does."""
    print('error: ' + text, file=sys.stderr)
    sys.exit(2)


def text_of(path):
    """Return the text of a file; ends with a line where it is none."""
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        fail('cannot read %s as UTF-8: %s' % (path, error))


def tracked(patterns):
    """Return the paths that git tracks of patterns; ends with a line where git does not know one of them."""
    listed = subprocess.run(['git', 'ls-files', '-z', '--error-unmatch', '--', *patterns], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, universal_newlines=True)
    if listed.returncode:
        fail('git lists no files: %s' % listed.stderr.strip().split('\n')[0])
    return [Path(name) for name in listed.stdout.split('\0') if name]


def words_to_avoid():
    """Return [(compiled pattern, what to write instead)] of .ci/words.txt."""
    found = []
    for line in (Path(__file__).parent / 'words.txt').read_text(encoding='utf-8').splitlines():
        if line and not line.startswith('#'):
            pattern, instead = line.rsplit(' = ', 1)
            found.append((re.compile(r'\b(?:%s)(?!\w)' % pattern.replace(' ', r'\s+'), re.IGNORECASE), instead))
    return found


def without_code(lines):
    """Yield (number from 1, line or '') of a page: '' in place of lines of code blocks and comments."""
    fence, before, listed, comment = '', '', False, False
    for number, line in enumerate(lines, 1):
        mark = FENCE.match(line)
        if fence:
            fence = '' if mark and line.strip().startswith(fence) else fence
            line = ''
        elif mark:
            fence, line = mark.group(1), ''
        elif comment or line.lstrip().startswith('<!--'):
            comment, line = '-->' not in line, ''
        elif line.startswith('    ') and not before and not listed:
            line = ''        # an indented block ends at the next line that is not indented
            yield number, line
            continue
        elif line.strip():
            listed = bool(re.match(r'\s*([-*+]|\d+[.)])\s', line)) or listed and line.startswith(' ')
        before = line.strip()
        yield number, line


def plain(text):
    """Return text without inline code, addresses and the targets of links."""
    text = re.sub(r'(`+)(?!`).+?(?<!`)\1(?!`)', '`code`', text, flags=re.DOTALL)
    text = re.sub(r'\]\([^)\s]*\)', ']', text)
    return re.sub(r'https?://\S+|<[^>]*>', '', text)


def paragraphs(lines):
    """Yield (number of the first line, text) of the paragraphs, items, headings and cells of a page."""
    start, block = 0, []
    for number, line in [*without_code(lines), (0, '')]:
        if block and (not line.strip() or NEW_BLOCK.match(line)):
            yield start, plain('\n'.join(block))
            block = []
        if line.lstrip().startswith('|'):
            for cell in plain(line).split('|'):
                yield number, cell
        elif line.strip():
            start = start if block else number
            block.append(line)


def strings(path):
    """Yield (line, text) of the strings of a Python file that a user may read: those with a space in them."""
    try:
        tree = ast.parse(text_of(path))
    except SyntaxError as error:
        fail('%s:%s: this is no Python: %s' % (path, error.lineno, error.msg))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    skipped = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and node.body
               and isinstance(node.body[0], ast.Expr)
               and not (isinstance(node, ast.Module) and set(COMMANDS) & set(path.parts))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            if ' ' in node.value.strip():
                yield node.lineno, node.value


def findings(path, avoid):
    """Yield (line, what is wrong) for a page or a Python file; avoid: of words_to_avoid()."""
    if path.suffix == '.py':
        texts = strings(path)
    else:
        texts = list(paragraphs(text_of(path).splitlines()))
        for line, text in texts:
            count = len(re.findall(r'\w[\w\'.,-]*', text))
            if count > MOST_WORDS:
                yield line, 'a paragraph of %d words; at most %d' % (count, MOST_WORDS)
    for line, text in texts:
        for pattern, instead in avoid:
            for match in pattern.finditer(text):
                yield line + text.count('\n', 0, match.start()), '"%s": write "%s"' % (
                    ' '.join(match.group().split()), instead)


def files_of(names):
    """Return the tracked pages and Python files of names, () for all; a file that is named needs no git."""
    named = [Path(name) for name in names if Path(name).is_file()]
    folders = [name for name in names if not Path(name).is_file()] if names else PAGES + CODE
    if folders:
        named += [path for path in tracked(folders) if path.suffix in ('.md', '.py')]
    return [path for path in named if not path.name.endswith('.zh-CN.md') and path.is_file()]


def main():
    """Check the files of the command line, or all."""
    avoid, found = words_to_avoid(), 0
    for path in files_of(sys.argv[1:]):
        for line, text in sorted(findings(path, avoid)):
            print('%s:%d: %s' % (path, line, text))
            found += 1
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
