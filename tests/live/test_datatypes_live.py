"""The table of datatypes against those that Galaxy has."""
import pytest

from galaxy_api_scripts.datasets.sources import DATATYPES


@pytest.mark.needs("datatypes")
def test_galaxy_has_every_datatype_of_the_table(person):
    there = {one["extension"]: one for one in person.look("datatypes", extension_only="false", upload_only="false")}
    named = set(DATATYPES.values()) - {"auto"}
    assert named - set(there) == set()
    # Galaxy 26.1 fails over a single file that is to be a datatype of several
    assert [name for name in sorted(named) if there[name]["composite_files"]] == []
