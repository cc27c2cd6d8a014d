"""data_manager_example_execute.py with the two data managers of demo/; then Galaxy's data tables are asked."""
from functools import partial
from pathlib import Path

from .conftest import become

TOOLS = ["--fetch-tool=demo_fetch_genome", "--index-tool=demo_index_genome"]


def rows(admin, table):
    return {row[0]: row for row in admin.look(f"tool_data/{table}")["fields"]}


def test_a_genome_and_its_index_and_one_that_fails(admin):
    for table in ("all_fasta", "fasta_indexes"):
        for row in rows(admin, table).values():
            admin.asked("DELETE", f"tool_data/{table}", json={"values": "\t".join(row)})
        become(partial(rows, admin, table), {})
    ended = admin.run("data_manager_example_execute.py", "-k", admin.key, "-u", admin.url,
                              "-d", "hg19", "-d", "sacCer3", "-d", "ce11", "-s", "1", *TOOLS)
    assert ended.returncode == 3 and ended.stdout.startswith("Genomes Queued for downloading.\n"), ended
    assert ended.stdout.count("Finished: ") == 2, ended.stderr
    assert ended.stderr.count("\n") == 1 and "hg19: demo_fetch_genome" in ended.stderr
    assert "there is no genome hg19 here" in ended.stderr
    for table in ("all_fasta", "fasta_indexes"):
        become(lambda table=table: set(rows(admin, table)), {"sacCer3", "ce11"})
    genomes, indexes = rows(admin, "all_fasta"), rows(admin, "fasta_indexes")
    assert Path(genomes["ce11"][3]).read_text().startswith(">chrI\n")
    assert Path(indexes["sacCer3"][3]).read_text() == "chrI\t60\nchrII\t60\nchrM\t60\n"


def test_refused(person):
    for line, words in (([], "data_manager_fetch_genome"), (TOOLS, "administrator")):
        ended = person.run("data_manager_example_execute.py", "-k", person.key, "-u", person.url, "-d", "sacCer3", *line)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert "needs an administrator's key" in ended.stderr and words in ended.stderr or not line


def test_a_list_of_data_managers_runs_what_is_missing(admin, person, tmp_path, state):
    for table in ("all_fasta", "fasta_indexes"):
        for row in rows(admin, table).values():
            admin.asked("DELETE", f"tool_data/{table}", json={"values": "\t".join(row)})
        become(partial(rows, admin, table), {})
    (tmp_path / "genomes.yml").write_text("""
genomes: [{id: sacCer3}]
data_managers:
- {id: demo_index_genome, params: [all_fasta_source: "{{ item.id }}"], items: "{{ genomes }}",
   data_table_reload: [fasta_indexes]}
- {id: demo_fetch_genome, params: [dbkey: "{{ item.id }}"], items: "{{ genomes }}", data_table_reload: [all_fasta]}
""")
    ended = person.run("data_manager_run.py", person.key, person.url, tmp_path / "genomes.yml", **state)
    assert (ended.returncode, ended.stdout) == (1, "") and "needs an administrator's key" in ended.stderr
    line = ["data_manager_run.py", "--fields=tool,value,tables", admin.key, admin.url, tmp_path / "genomes.yml"]
    shown = admin.value(*line[:1], "--dry-run", *line[1:], **state)
    assert shown == "demo_fetch_genome\tsacCer3\tall_fasta\ndemo_index_genome\tsacCer3\tfasta_indexes"
    assert rows(admin, "all_fasta") == {} and admin.value(*line, **state) == shown
    for table in ("all_fasta", "fasta_indexes"):
        become(lambda table=table: set(rows(admin, table)), {"sacCer3"})
    assert admin.value(*line, **state) == ""
