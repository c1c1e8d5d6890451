"""Check the docstrings of public functions: python .ci/docstrings.py FOLDER...

Every public class, function and method has one. That of a function with three parameters or more names each of them
(those of __init__ stand in the docstring of the class). Sections, where there are some, are Google's: `Args:` and
`Returns:`. Prints a line for each finding; exits with 1 where there is one.
"""
import ast
import re
import sys
from pathlib import Path

LEAST = 3          # parameters; fewer may go without saying
UNDERLINED = re.compile(r'^\s*(Parameters|Returns|Raises|Attributes|Yields)\s*\n\s*-{3,}', re.MULTILINE)


def parameters(function):
    """Names of the parameters of a function's node, without self, cls and those that begin with an underscore."""
    arguments = function.args
    given = arguments.posonlyargs + arguments.args + arguments.kwonlyargs + [arguments.vararg, arguments.kwarg]
    names = [argument.arg for argument in given if argument is not None]
    return [name for name in names if name not in ('self', 'cls') and not name.startswith('_')]


def public_nodes(body, owner=None):
    """Yield (node, class that it is a method of or None) for the public classes, functions and methods of `body`."""
    for node in body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if node.name.startswith('_') and node.name != '__init__':
            continue
        yield node, owner
        if isinstance(node, ast.ClassDef):
            yield from public_nodes(node.body, node)


def findings(path):
    """Yield (line, what is wrong) for the Python file `path`."""
    for node, owner in public_nodes(ast.parse(path.read_text(encoding='utf-8')).body):
        text = ast.get_docstring(node) or ''
        if isinstance(node, ast.FunctionDef) and node.name == '__init__':
            text += ast.get_docstring(owner) or ''
        elif not text and not any(isinstance(name, ast.Name) and name.id in ('overload', 'setter')
                                  for name in node.decorator_list):
            yield node.lineno, '%s has no docstring' % node.name
            continue
        if UNDERLINED.search(text):
            yield node.lineno, "%s: underlined sections; write Google's, as `Args:`" % node.name
        if isinstance(node, ast.ClassDef) or text.startswith('See '):
            continue
        names = parameters(node)
        missing = [name for name in names if not re.search(r'\b%s\b' % re.escape(name), text)]
        if len(names) >= LEAST and missing:
            owned = '%s.%s' % (owner.name, node.name) if owner else node.name
            yield node.lineno, '%s: the docstring does not name %s' % (owned, ', '.join(missing))


def main():
    """Check the files below the folders of the command line."""
    found = 0
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).rglob('*.py')):
            for line, text in findings(path):
                print('%s:%d: %s' % (path, line, text))
                found += 1
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
