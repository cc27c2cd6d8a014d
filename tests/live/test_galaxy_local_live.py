"""galaxy_local.py beside the Galaxy that runs."""
import os
from pathlib import Path

from .conftest import local


def test_start_again_is_safe(server):
    before = local("status").stdout
    ended = local("start")
    assert ended.returncode == 0 and f"runs already on {server.url}" in ended.stdout
    assert local("status").stdout == before and "state          running\n" in before


def test_env_is_for_the_shell(server):
    assert f"export GALAXY_URL={server.url}\n" in local("env").stdout
    assert local("log").returncode == 0


def test_the_key_is_an_administrators_and_its_file_private(server, person):
    listed = dict(line.split(maxsplit=1) for line in local("status").stdout.replace("key file", "key_file").splitlines())
    assert Path(listed["key_file"]).read_text().strip() == server.key
    assert os.stat(listed["key_file"]).st_mode & 0o077 == 0
    from common import Galaxy
    assert Galaxy(server.key, server.url).current_user()["is_admin"]


def test_the_server_allows_what_the_scripts_need(server):
    from common import Galaxy
    galaxy = Galaxy(server.key, server.url)
    settings = galaxy.get("configuration")
    assert settings["enable_quotas"] and settings["allow_user_deletion"] and settings["library_import_dir"]
    tools = {tool["id"] for tool in galaxy.get("tools", {"in_panel": "false"})}
    assert {"upload1", "cat1", "Cut1", "sort1", "Grep1", "Filter1", "Grouping1", "join1", "Paste1"} <= tools


def test_a_port_that_is_taken(server, tmp_path):
    ended = local("start", f"--home={tmp_path}/other", f"--port={server.url.rsplit(':', 1)[1]}")
    assert ended.returncode == 1 and "--port=N" in ended.stderr and ended.stderr.count("\n") == 1
