"""Numbers of bytes, read and written."""
import pytest

from common import USAGE, GalaxyError
from galaxy_api_scripts.sizes import format_size, parse_size


@pytest.mark.parametrize("text, size", [("0", 0), ("500", 500), ("500m", 500 * 2**20), ("1.5T", 3 * 2**39)])
def test_sizes_are_read(text, size):
    assert parse_size(text, "--larger-than") == size


@pytest.mark.parametrize("text", ["", "G", "-1", "10GB", "1 G", "1e3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(GalaxyError, match=f"^--larger-than={text}: expected bytes, such as 500M") as refused:
        parse_size(text, "--larger-than")
    assert refused.value.exit_code == USAGE


@pytest.mark.parametrize("size, words", [(None, "size unknown"), (0, "0 bytes"), (1023, "1023 bytes"), (13352, "13.0 KiB"),
                                         (-2048, "-2.0 KiB"), (5 * 2**40, "5.0 TiB")])
def test_sizes_are_written(size, words):
    assert format_size(size) == words
