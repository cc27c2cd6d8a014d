"""YAML files that people write: what would be lost of them without a word is refused."""
from __future__ import annotations

from typing import Any

from common import USAGE, GalaxyError, shorten

MERGE = "tag:yaml.org,2002:merge"


def load_yaml(text: str, where: str, as_texts: bool = False) -> Any:
    """The content of a YAML text, with `as_texts` each scalar as the text that it is; a usage error for what is no YAML, and
    for a mapping that has a key twice, of which the first would be dropped."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set[str]()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    if as_texts:
        Loader.yaml_implicit_resolvers = {"<": [entry for entry in yaml.SafeLoader.yaml_implicit_resolvers["<"]
                                                if entry[0] == MERGE]}
    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "too deep"
        raise GalaxyError(f"{where}: not YAML{f', line {mark.line + 1}' if mark else ''}: {shorten(str(problem), 80)}",
                          USAGE) from None
