"""Check the links between the pages: python .ci/links.py [FILE ...]

Every relative link or picture of a page leads to a file of the repository, its `#part` to a heading or an anchor
there, as GitHub names them. A page that any file names, as docs/deploy.md with or without a part, and a program or
settings file that a page names, as lib/config/ranges.py, are also there.
Run at the root. Prints a line for each finding; exits with 1 where there is one. Without arguments it checks all that
git tracks.
"""
import re
import sys
from pathlib import Path
from urllib.parse import unquote

from prose import fail, text_of, tracked, without_code

# [text](target), [text](target "title"), ![text](target), src="target", href="target", [name]: target
LINK = re.compile(r'\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|(?:src|href)="([^"]+)"|^\s*\[[^\]]+\]:\s+(\S+)')
MENTION = re.compile(r'(?<![\w/.:-])docs/[\w./-]+\.md(?:#[\w-]+)?')
# Of the folders with code; FILE.yaml and the like are placeholders.
PROGRAM = re.compile(r'(?<![\w/.<-])(?:dff|lib|tests|tools|benchmarks|experiments|\.ci'
                     r'|(?:dff_|fgfa_)?rfcn|(?:dff_)?deeplab)/(?:[\w.-]+/)*[a-z]\w*\.(?:py|cc|cu|h|yaml|txt|sh)\b')
KINDS = '*.md', '*.py', '*.yaml', '*.yml', '*.toml', '*.sh', '*.cff'
INLINE_CODE = re.compile(r'(`+)(?!`).+?(?<!`)\1(?!`)')


def heading_parts(path):
    """Return the names that `#part` may have in the page at path: a set."""
    parts, seen = set(), {}
    for _, line in without_code(text_of(path).splitlines()):
        parts |= set(re.findall(r'(?:name|id)="([^"]+)"', line))
        heading = re.match(r'#{1,6}\s+(.*?)\s*#*\s*$', line)
        if heading:
            text = re.sub(r'!?\[([^\]]*)\]\([^)]*\)', r'\1', heading.group(1))
            name = re.sub(r'[^\w\- ]', '', re.sub(r'<[^>]*>', '', text).lower()).replace(' ', '-')
            count = seen[name] = seen.get(name, -1) + 1
            parts.add('%s-%d' % (name, count) if count else name)
    return parts


def problem(target, folder):
    """Return what is wrong with the link target from a page in folder, or None."""
    name, _, part = target.partition('#')
    place = (folder / unquote(name)).resolve() if name else None
    if place and not place.exists():
        return 'there is no %s' % name
    return missing_part(place, part) if place and part else None


def missing_part(place, part):
    """Return a line where the page at place has no part of that name, or None."""
    if place.suffix != '.md' or unquote(part) in heading_parts(place):
        return None
    return '%s has no heading #%s' % (place.name, part)


def findings(path):
    """Yield (line, what is wrong) for the text file at path."""
    lines = text_of(path).splitlines()
    if path.suffix == '.md':
        for number, line in without_code(lines):
            for groups in LINK.findall(INLINE_CODE.sub('', line)):
                target = next(filter(None, groups))
                if re.match(r'[a-z][a-z+.-]*:|//', target):
                    continue
                wrong = problem(target, path.parent) if not target.startswith('#') else \
                    missing_part(path, target[1:])
                if wrong:
                    yield number, 'link %s: %s' % (target, wrong)
    for number, line in enumerate(lines, 1):
        named = PROGRAM.findall(line) if path.suffix == '.md' else []
        for mention in MENTION.findall(line) + named:
            wrong = problem(mention, Path())
            if wrong:
                yield number, '%s is named: %s' % (mention, wrong)


def main():
    """Check the files of the command line, or all."""
    paths, found = [Path(name) for name in sys.argv[1:]], 0
    missing = [path for path in paths if not path.is_file()]
    if missing:
        fail('there is no file %s' % missing[0])
    for path in paths or filter(Path.is_file, tracked(KINDS)):
        for line, text in findings(path):
            print('%s:%d: %s' % (path, line, text))
            found += 1
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
