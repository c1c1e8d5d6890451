"""Settings as YAML text, in the form of the shipped files."""
from typing import Any, Dict

import yaml


class _Dumper(yaml.SafeDumper):
    """Sections in lines, lists in brackets, as the shipped files have them."""


_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence('tag:yaml.org,2002:seq', value, flow_style=True))


def dump_settings(tree: Dict[str, Any]) -> str:
    """Return the YAML text of nested settings, `tree`, in its order."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120)
