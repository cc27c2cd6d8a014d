"""The way from file to result on Galaxy 24.1, the oldest that is served, by tests that are run on the newest, too."""
import pytest

from .conftest import Administrator, Person, a_galaxy, home_of, make_tag_known, of_release
from .releases import SERIES
from .test_collection_create_live import test_a_list_of_pairs_with_odd_names
from .test_folder_watch_live import test_a_folder_that_files_are_dropped_into, watched
from .test_history_archives_live import full, packed, test_there_and_back
from .test_library_sync_live import files, sync, test_a_run_and_the_next
from .test_transfer_live import test_odd_names_and_empty_files_there_and_back
from .test_workflow_batch_live import killed_and_run_to_its_end, test_each_row_is_run_once_and_a_new_row_later
from .test_workflow_run_live import tables, test_collections_of_each_type_keep_their_samples_names

__all__ = [
    "files", "full", "packed", "sync", "tables", "watched",
    "test_a_folder_that_files_are_dropped_into", "test_a_list_of_pairs_with_odd_names", "test_a_run_and_the_next",
    "test_collections_of_each_type_keep_their_samples_names", "test_each_row_is_run_once_and_a_new_row_later",
    "test_odd_names_and_empty_files_there_and_back", "test_there_and_back",
]


@pytest.fixture(scope="module")
def server(tell):
    """A Galaxy of the oldest release, beside the one that the other tests run on."""
    series = SERIES[0]
    with a_galaxy(tell, *of_release(series, home_of(f"--release={series}")), ports=[8080]) as galaxy:
        make_tag_known(galaxy)
        yield galaxy


@pytest.fixture(scope="module")
def person(server):
    return Person(server)


@pytest.fixture(scope="module")
def admin(server):
    return Administrator(server)


def test_it_is_the_oldest_release(person):
    assert person.look("version")["version_major"] == SERIES[0]


@pytest.mark.soak
def test_eight_samples_killed_at_ten_instants(person, tmp_path, state, instants):
    assert killed_and_run_to_its_end(person, tmp_path, state, instants, 8, 10, 8) >= 8
