"""Every script of old where it must fail: with the key of somebody who may not, and on a server with the features off.

Each says in one line what is missing, and who can change it.
"""
import json
import re
import secrets
from pathlib import Path
from types import SimpleNamespace

import pytest

from common import Galaxy

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = re.findall(r"^\| `(\w+\.py)` \| (?:as it was|adapted) \|", (ROOT / "docs" / "legacy.md").read_text(), re.MULTILINE)
ADMINISTRATOR = "administrator"
NOT_YOURS = "403 Forbidden: .*(not owned|not own|nor owned|not accessible)"
FILE, REVISION, BUILD = "/etc/hosts", "0123456789ab", "?"
SHED = "http://127.0.0.1:9"     # nobody's

# Who may not, and what the line says about it: words of the script's line; X.Y is an id that `things` made.
NO_ADMINISTRATOR = {
    "display.py": ("KEY URL/api/quotas", ADMINISTRATOR),
    "create.py": ("KEY URL/api/libraries name=x", ADMINISTRATOR),
    "update.py": ("KEY URL/api/groups/LIBRARY name=x", ADMINISTRATOR),
    "delete.py": ("KEY URL/api/quotas/LIBRARY", ADMINISTRATOR),
    "copy_hda_to_library_folder.py": ("URL KEY DATASET LIBRARY ROOT", "permi"),
    "data_manager_example_execute.py": ("-k KEY -u URL -d hg38", ADMINISTRATOR),
    "example_watch_folder.py": ("KEY URL/api/ FOLDER OUT library WORKFLOW", ADMINISTRATOR),
    "fetch_to_library.py": ("-u URL -a KEY YAML", ADMINISTRATOR),
    "filter_failed_datasets_from_collection.py": ("URL KEY SOMEBODYS 1", "none of your histories .* is named"),
    "history_create_history.py": ("NOBODY URL/api/histories x", "check the key"),
    "history_delete_history.py": ("KEY URL/api/histories/HISTORY", NOT_YOURS),
    "import_library_dataset_to_history.py": ("KEY URL/api/histories/HISTORY/contents LIBRARY", NOT_YOURS),
    "import_workflows_from_installed_tool_shed_repository.py": (
        f"-a KEY -u {SHED} -l URL -n x -o y -r {REVISION}", "is not installed"),
    "install_tool_shed_repositories.py": (f"-u {SHED} -a KEY -l URL -n x -o y", ADMINISTRATOR),
    "library_create_folder.py": ("KEY URL/api/libraries/LIBRARY/contents ROOT x y", "permi"),
    "library_create_library.py": ("KEY URL/api/libraries x", ADMINISTRATOR),
    "library_upload_dir.py": ("-u URL -a KEY -l LIBRARY --nonlocal", ADMINISTRATOR),
    "library_upload_from_import_dir.py": (
        f"KEY URL/api/libraries/LIBRARY/contents ROOT auto x {BUILD}", "administrator can permit"),
    "load_data_with_metadata.py": ("KEY URL/api/ FOLDER library", ADMINISTRATOR),
    "repair_tool_shed_repository.py": (f"-u {SHED} -a KEY -l URL -n x -o y -r {REVISION}", ADMINISTRATOR),
    "reset_metadata_on_installed_repositories.py": ("-a KEY -u URL", ADMINISTRATOR),
    "search.py": ("URL NOBODY", "check the key"),
    "upload_to_history.py": (f"KEY URL HISTORY {FILE}", NOT_YOURS),
    "workflow_delete.py": ("KEY URL/api/workflows/WORKFLOW", NOT_YOURS),
    "workflow_execute.py": ("KEY URL/api/workflows WORKFLOW new", NOT_YOURS),
    "workflow_execute_parameters.py": ("KEY URL/api/workflows WORKFLOW new param=a=b=c", NOT_YOURS),
    "workflow_import.py": ("KEY URL /nosuch/on/this/machine.ga", ADMINISTRATOR),
    "workflow_import_from_file_rpark.py": ("NOBODY URL/api/workflows/import GA", "check the key"),
}
SWITCHED_OFF = {
    "data_manager_example_execute.py": ("-k KEY -u URL -d hg38", "data_manager_config_file"),
    "example_watch_folder.py": ("KEY URL/api/ FOLDER OUT library WORKFLOW", "administrator .* allow_path_paste"),
    "history_delete_history.py": ("KEY URL/api/histories/HISTORY true", "administrator .* allow_user_dataset_purge"),
    "install_tool_shed_repositories.py": (
        "-u TOOL_SHED -a KEY -l URL -n tally -o demo", "shed_tool_config_file.* administrators"),
    "library_upload_dir.py": ("-u URL -a KEY -l LIBRARY", "administrator .* allow_path_paste"),
    "library_upload_from_import_dir.py": (
        f"KEY URL/api/libraries/LIBRARY/contents ROOT auto x {BUILD}", "library_import_dir.* administrator"),
    "load_data_with_metadata.py": ("KEY URL/api/ FOLDER library", "administrator .* allow_path_paste"),
    "repair_tool_shed_repository.py": (f"-u {SHED} -a KEY -l URL -n x -o y -r {REVISION}",
                                       "administrators .* tool_sheds_config_file"),
}


def an_administrators(server, tool_shed, folder):
    """Things on a server that belong to its administrator, and files: `{word: what to write in its place}`."""
    galaxy = Galaxy(server.key, server.url)
    name = f"not yours {secrets.token_hex(4)}"
    library, history = galaxy.post("libraries", {"name": name}), galaxy.post("histories", {"name": name})
    workflow = galaxy.post("workflows", {"workflow": json.loads((ROOT / "demo" / "wet_days.ga").read_text())})
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    (folder / "in" / "f").write_text("x")
    (folder / "in" / "f.json").write_text("{}")
    (folder / "y.yml").write_text("destination: {type: library, name: x}\nitems: [{src: url, url: 'http://127.0.0.1:9/'}]\n")
    return {
        "URL": server.url, "TOOL_SHED": tool_shed, "LIBRARY": library["id"], "ROOT": library["root_folder_id"],
        "HISTORY": history["id"], "SOMEBODYS": name, "WORKFLOW": workflow["id"], "FOLDER": str(folder / "in"),
        "OUT": str(folder / "out"), "YAML": str(folder / "y.yml"), "GA": str(ROOT / "demo" / "wet_days.ga"),
        "NOBODY": secrets.token_hex(16)}


@pytest.fixture(scope="module")
def not_yours(server, tool_shed, person, weather, tmp_path_factory):
    words = {**an_administrators(server, tool_shed, tmp_path_factory.mktemp("not_yours")), "DATASET": weather.dataset}
    return SimpleNamespace(person=person, words={**words, "KEY": person.key})


@pytest.fixture(scope="module")
def off(prefixed, tool_shed, person, tmp_path_factory):
    return SimpleNamespace(person=person, words={
        **an_administrators(prefixed, tool_shed, tmp_path_factory.mktemp("off")), "KEY": prefixed.key})


def told_by(place, script, line):
    """What the script says when it is refused, as it must be: one line, without the key."""
    written = [re.sub("|".join(sorted(place.words, key=len, reverse=True)), lambda word: place.words[word.group()], word)
               for word in line.split()]
    ended = place.person.run(script, *written, stdin=f"{FILE}\n")
    assert ended.returncode == 1, ended
    assert ended.stderr.count("\n") == 1 and ended.stderr.startswith(f"{script}: "), ended.stderr
    assert place.words["KEY"] not in ended.stderr + ended.stdout
    return ended.stderr


@pytest.mark.parametrize("script", NO_ADMINISTRATOR)
def test_somebody_who_may_not(not_yours, script):
    line, words = NO_ADMINISTRATOR[script]
    told = told_by(not_yours, script, line)
    assert re.search(words, told), told


@pytest.mark.parametrize("script", SWITCHED_OFF)
def test_the_feature_is_off(off, script):
    line, words = SWITCHED_OFF[script]
    told = told_by(off, script, line)
    assert re.search(words, told), told


def test_every_script_of_old_is_tried():
    assert sorted(NO_ADMINISTRATOR) == sorted(name for name in SCRIPTS if name != "common.py")
