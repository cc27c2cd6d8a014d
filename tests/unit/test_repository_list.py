"""Lists of Tool Shed repositories: ephemeris' format, names on a command line, and what is refused."""
import json

import pytest
import yaml

from common import USAGE, GalaxyError
from galaxy_api_scripts.tools.repository_list import (
    Target,
    dump_list,
    join_targets,
    parse_list,
    parse_name,
    read_targets,
)
from galaxy_api_scripts.workflows.file_tools import read_file_tools

OLD, NEW = "c130a1238ddf", "912d014682f1"
FASTP = "toolshed.g2.bx.psu.edu/repos/iuc/fastp/fastp/0.23.4+galaxy0"


def test_a_list_as_ephemeris_has_it():
    """With defaults at its top level, and numbers, octal numbers and words for nothing that YAML would change or keep."""
    text = f"""
install_resolver_dependencies: False
tool_shed_url: https://toolshed.g2.bx.psu.edu/
tool_panel_section_label: All
tools:
- name: fastqc
  owner: devteam
  revisions: [{OLD}, 012345670123]
  changeset_revision: '{NEW}'
  tool_panel_section_id: qc
- {{name: fastp, owner: iuc, install_resolver_dependencies: yes, tool_panel_section_label: None, revisions: ~}}
- {{name: tally, owner: demo, tool_shed_url: "http://127.0.0.1:9009", revisions: {NEW}}}
"""
    targets = parse_list(text, "tools.yml")
    assert [str(one) for one in targets] == [f"devteam/fastqc/{OLD}", "devteam/fastqc/012345670123", f"devteam/fastqc/{NEW}",
                                             "iuc/fastp", f"demo/tally/{NEW}"]
    assert [(one.label, one.section) for one in targets] == [("", "qc")] * 3 + [("All", "")] * 2
    assert [one.shed for one in targets] == ["toolshed.g2.bx.psu.edu"] * 4 + ["127.0.0.1:9009"]
    assert [one.options["install_resolver_dependencies"] for one in targets] == [False] * 3 + [True, False]
    assert targets[3].where == "tools.yml, entry 2 (fastp)"


@pytest.mark.parametrize("text, words", [
    ("tools: [\n", "tools.yml: not YAML, line 2"),
    ("- name: a\n", "expected `tools:`"),
    ("tools: a\n", "expected `tools:`"),
    ("", "expected `tools:`"),
    ('{"a_galaxy_workflow": "true", "steps": {}}', "it is a workflow: --workflow=tools.yml"),
    ("tools: [a]\n", "tools.yml, entry 1: expected `name:` and `owner:`, not 'a'"),
    ("tools: [{name: a}]\n", "tools.yml, entry 1 (a): it has no owner"),
    ("tools: [{owner: a}]\n", "tools.yml, entry 1: it has no name"),
    ("tools: [{name: a/b, owner: c}]\n", "'a/b' is no name in a Tool Shed"),
    ("tools: [{name: a, owner: c, revision: 1}]\n", "unknown key 'revision': did you mean revisions?"),
    ("tools: []\ninstal_tool_dependencies: no\n", "unknown key 'instal_tool_dependencies': did you mean install_tool_"),
    ("tools: []\ncolour: no\n", "unknown key 'colour': known are tools, tool_shed_url"),
    ("api_key: secretsecret\ntools: []\n", "api_key is not read here: KEY and URL are the first arguments"),
    ("tools: [{name: a, owner: c, revisions: [latest]}]\n", "'latest' is no revision, which has 12 hexadecimal digits"),
    ("tools: [{name: a, owner: c, revisions: {a: b}}]\n", "revisions: expected a list"),
    ("tools: [{name: [a], owner: c}]\n", "entry 1: name: expected one value"),
    ("tools: [{name: a, owner: c, install_tool_dependencies: maybe}]\n", "install_tool_dependencies: 'maybe' is neither"),
    ("tools: &a [*a]\n", "entry 1: expected `name:` and `owner:`, not '[[...]]'"),
    ("tools: [{name: a, owner: c}]\ntools: [{name: b, owner: c}]\n", "line 2: 'tools' is there twice"),
    ("tools:\n- name: a\n  owner: c\n  name: b\n", "line 4: 'name' is there twice"),
    ("tools:\n- &a\n  <<: *a\n  name: b\n", "it has no owner"),
    ("[" * 5000, "not YAML"),
])
def test_what_is_no_list_is_refused_in_one_line(text, words):
    with pytest.raises(GalaxyError) as refused:
        parse_list(text, "tools.yml")
    assert refused.value.exit_code == USAGE and words in str(refused.value) and "secretsecret" not in str(refused.value)


def test_merges_and_anchors():
    text = f"tools:\n- &a {{name: a, owner: c, revisions: [{OLD}], tool_panel_section_label: A}}\n- {{<<: *a, name: 010}}\n"
    assert [(str(one), one.label) for one in parse_list(text, "tools.yml")] == [(f"c/a/{OLD}", "A"), (f"c/010/{OLD}", "A")]


def test_names_of_a_command_line():
    assert parse_name("devteam/fastqc", "LIST") == Target("devteam", "fastqc")
    assert parse_name(f"devteam/fastqc/{OLD}/", "LIST") == Target("devteam", "fastqc", OLD)
    assert parse_name(f"https://shed.test/repos/demo/tally/{OLD}", "LIST") == Target("demo", "tally", OLD, "shed.test")
    assert parse_name(FASTP, "LIST") == Target("iuc", "fastp", "", "toolshed.g2.bx.psu.edu", FASTP)
    for text in ("fastqc", "a/b/c", "a/b/c/d", "a b/c", "", "shed/repos/a/b/c", "../x/y"):
        with pytest.raises(GalaxyError, match="LIST: .*neither a file nor OWNER/NAME"):
            parse_name(text, "LIST")


def test_two_lines_of_a_repository_are_joined_and_the_first_counts(tmp_path, type_in):
    (tmp_path / "a.yml").write_text(f"tools: [{{name: a, owner: o, revisions: [{OLD}], tool_panel_section_label: One}}]\n")
    type_in(f"tools: [{{name: a, owner: o, revisions: [{OLD}, {NEW}], tool_panel_section_label: Two}}]\n")
    targets = read_targets([str(tmp_path / "a.yml"), "-", "o/a", "o/a", f"o/a/{NEW}"], "LIST")
    assert [(one.revision, one.label) for one in targets] == [(OLD, "One"), (NEW, "Two"), ("", "")]
    assert join_targets(targets * 2) == targets
    with pytest.raises(GalaxyError, match="nosuch.yml: No such file"):
        read_targets(["nosuch.yml"], "LIST")


def test_the_tools_of_a_workflow_file(tmp_path):
    """Of both forms, in subworkflows too; a tool that is of no Tool Shed needs nothing."""
    step = {"tool_id": FASTP, "tool_shed_repository": {"changeset_revision": NEW, "name": "fastp", "owner": "iuc",
                                                       "tool_shed": "toolshed.g2.bx.psu.edu"}}
    steps = {"0": {"tool_id": None}, "1": {"tool_id": "cat1"}, "2": {"subworkflow": {"steps": {"0": step}}}}
    (tmp_path / "w.ga").write_text(json.dumps({"a_galaxy_workflow": "true", "name": "w", "steps": steps}))
    [target] = read_file_tools(str(tmp_path / "w.ga"))
    assert target == Target("iuc", "fastp", NEW, "toolshed.g2.bx.psu.edu") and target.where == str(tmp_path / "w.ga")
    (tmp_path / "w.yml").write_text(f"class: GalaxyWorkflow\nsteps:\n  trim: {{tool_id: {FASTP}}}\n")
    assert read_file_tools(str(tmp_path / "w.yml")) == [Target("iuc", "fastp", "", "toolshed.g2.bx.psu.edu", FASTP)]
    (tmp_path / "tools.yml").write_text("tools: []\n")
    with pytest.raises(GalaxyError, match="not a workflow"):
        read_file_tools(str(tmp_path / "tools.yml"))


def test_a_list_that_is_written_says_the_same_when_it_is_read():
    records = [{"owner": "demo", "name": "tally", "tool_shed": "shed.test:9009", "changeset_revision": revision}
               for revision in (OLD, "012345670123", NEW)]
    text = dump_list(records, lambda record: "Tally: all" if record["changeset_revision"] != NEW else "",
                     {"shed.test:9009": "http://shed.test:9009/"})
    assert len(yaml.safe_load(text)["tools"]) == 2
    assert parse_list(text, "text") == [
        Target("demo", "tally", OLD, "shed.test:9009", label="Tally: all"),
        Target("demo", "tally", "012345670123", "shed.test:9009", label="Tally: all"),
        Target("demo", "tally", NEW, "shed.test:9009")]
    assert parse_list(dump_list([], str, {}), "text") == []
