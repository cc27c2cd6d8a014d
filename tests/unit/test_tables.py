"""Tables with known columns, as people and their programs write them."""
import pytest

from common import USAGE, GalaxyError
from galaxy_api_scripts.tables import read_rows, split_names

COLUMNS = {"email": ("e-mail", "mail"), "name": ("public name",), "groups": ("group",)}
ANN = {"email": "ann@example.org", "name": "ann", "groups": "lab;core"}


@pytest.fixture
def read(tmp_path):
    """`read(text)`: the rows of a table with that text, which may be bytes."""
    def call(text, required=("email",)):
        file = tmp_path / "people.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        rows, problems = read_rows(str(file), COLUMNS, list(required))
        problems.raise_any()
        return rows
    return call


@pytest.mark.parametrize("text", [
    "email,name,groups\nann@example.org,ann,lab;core\n",
    "email\tname\tgroups\nann@example.org\tann\tlab;core\n",
    'E-Mail;Public_Name;group\n"ann@example.org";ann;"lab;core"',
    "\ufeffemail,name,groups\r\nann@example.org,ann,lab;core\r\n",
    "# a course\n\nMAIL , public-name,Groups\n\n ann@example.org , ann,lab;core\n,,\n",
    "sep=;\nemail;name;groups\nann@example.org;ann;\"lab;core\"\n",
    "email,name,groups\nann@example.org,ann,lab;core\n".encode("utf-16"),
    "email,name,groups,\nann@example.org,ann,lab;core,\n",
    '"","email","name","groups"\n"1","ann@example.org","ann","lab;core"\n',
])
def test_a_table_is_read_as_programs_save_it(read, text):
    [row] = read(text)
    assert row.cells == ANN and row.names("groups") == ["lab", "core"]


def test_lines_are_those_of_the_file_and_missing_columns_say_nothing(read):
    rows = read('email\n\n"ann@example.org"\n# no\n'.replace("# no\n", "bob@example.org"))
    assert [(row.line, row.cells["email"], row.names("groups")) for row in rows] == [
        (3, "ann@example.org", None), (4, "bob@example.org", None)]


@pytest.mark.parametrize("cell, names", [
    ("", None), ("-", []), ("a", ["a"]), ("a, b,,a", ["a", "b"]), ("a, b; c;", ["a, b", "c"])])
def test_names_in_a_cell_are_separated_by_semicolons_or_else_commas(cell, names):
    assert split_names(cell) == names


@pytest.mark.parametrize("text, words", [
    ("email,grups\na@b,c\n", "line 1: there is no column 'grups': did you mean groups?"),
    ("email,shoe size\na@b,c\n", "line 1: there is no column 'shoe size': expected email, name, groups"),
    ("ann@example.org\nbob@example.org\n", "there is no column email: expected a heading with email, name, groups"),
    ("email,mail\na@b,c\n", "line 1: the column email is there twice"),
    ("email,name\na@b,c,d\n", "line 2: has 3 cells, and the heading 2"),
    ("email,name,groups\na@b\n", "line 2: has 1 cell, and the heading 3"),
    ("email,name\n#a@b,c\n", "line 2: begins with #"),
    ("email,,name\na@b,x,c\n", "line 2: a cell stands under no name: column 2"),
    ("email\n", "there are no rows below the heading"),
    ("", "there is nothing in it"),
    ('email\n"a@b\n', "line 2"),
    (b"email\n\xff\xe9\n", "save it as CSV UTF-8"),
])
def test_what_is_wrong_with_a_table_is_told_with_its_line(read, text, words):
    with pytest.raises(GalaxyError) as refused:
        read(text)
    assert words in f"{refused.value}\n{refused.value.table}" and refused.value.exit_code == USAGE


def test_all_problems_are_told_at_once(read):
    with pytest.raises(GalaxyError, match="2 things are wrong, so nothing was changed") as refused:
        read("email,name\n#a@b,c\na@b,c,d\n")
    assert refused.value.table.splitlines() == [
        "line 2: begins with #, which begins a comment only above the heading",
        "line 3: has 3 cells, and the heading 2: does it have another delimiter?"]
