"""Galaxy's settings, from the templates in settings/: `$name` in them stands for what differs from home to home."""
from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from string import Template
from typing import Any
from xml.sax.saxutils import escape

from common import USAGE, GalaxyError
from galaxy_api_scripts.local_server.home import State, galaxy_url, home_secrets, toolshed_url
from galaxy_api_scripts.local_server.processes import write_private

SETTINGS = Path(__file__).parent / "settings"
REPOSITORY = SETTINGS / "repository"
ADMINISTRATOR = "admin@example.org"


def parse_setting(text: str) -> tuple[str, Any]:
    """Return NAME and VALUE of `--set=NAME=VALUE`, None for an empty one; raise GalaxyError for another form."""
    import yaml
    name, sign, value = text.partition("=")
    if not sign or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise GalaxyError(f"--set={text}: expected NAME=VALUE, with NAME a setting of galaxy.yml", USAGE)
    try:
        return name, json.loads(json.dumps(yaml.safe_load(value)))
    except (yaml.YAMLError, TypeError):
        raise GalaxyError(f"--set={text}: VALUE is not YAML, or of a kind that no setting has", USAGE) from None


def configure(home: Path, state: State) -> None:
    """Write Galaxy's settings, with those of `state`, and make its folders; clear the data of a broken-off first start."""
    import yaml
    if not (home / "data" / "complete").exists():
        shutil.rmtree(home / "data", ignore_errors=True)
    for folder in ("config", "data", "import", "logs"):
        (home / folder).mkdir(mode=0o700, exist_ok=True)
    values = _template_values(home, state)
    in_xml = {name: escape(str(value), {'"': "&quot;"}) for name, value in values.items()}
    for name in ("data_managers.xml", "data_tables.xml", "tool_sheds.xml"):     # not names that Galaxy reads unasked
        write_private(home / "config" / name, Template((SETTINGS / name).read_text("utf-8")).substitute(in_xml))
    settings = _fill(yaml.safe_load((SETTINGS / "galaxy.yml").read_text("utf-8")), values)
    merged = {**settings["galaxy"], **state.get("settings", {})}
    settings["galaxy"] = {name: value for name, value in merged.items() if value is not None}
    write_private(home / "config" / "galaxy.yml", yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


def configure_toolshed(home: Path, state: State) -> None:
    """Write the Tool Shed's settings and make its folders; clear the data of a broken-off first start."""
    import yaml
    if not (home / "toolshed" / "complete").exists():
        shutil.rmtree(home / "toolshed", ignore_errors=True)
    (home / "toolshed" / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = _fill(yaml.safe_load((SETTINGS / "tool_shed.yml").read_text("utf-8")), _template_values(home, state))
    write_private(home / "config" / "tool_shed.yml", yaml.safe_dump(settings, allow_unicode=True))


def _template_values(home: Path, state: State) -> dict[str, Any]:
    return {"home": home, "settings": SETTINGS, "admin": ADMINISTRATOR, "url": galaxy_url(state),
            "toolshed": toolshed_url(state), **home_secrets(home)}


def _fill(template: Any, values: dict[str, Any]) -> Any:
    """Return the settings `template` with each `$name` in its texts replaced, at any depth."""
    if isinstance(template, dict):
        return {name: _fill(value, values) for name, value in template.items()}
    return Template(template).substitute(values) if isinstance(template, str) else template
