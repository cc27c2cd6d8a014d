"""Hashes of files, of streams, and those that Galaxy knows."""
import hashlib
import os

import pytest

from galaxy_api_scripts.datasets.hashing import HASHES, StreamHash, best_hash, hash_file

CONTENT = os.urandom(300_000)


@pytest.mark.parametrize("algorithm", HASHES.values())
def test_the_hash_of_a_file(tmp_path, algorithm):
    (tmp_path / "a").write_bytes(CONTENT)
    assert hash_file(tmp_path / "a", algorithm) == hashlib.new(algorithm, CONTENT).hexdigest()


def test_the_best_hash_that_galaxy_knows():
    md5, sha1 = {"hash_function": "MD5", "hash_value": "AB"}, {"hash_function": "SHA-1", "hash_value": "CD"}
    sha256_of_a_companion = {"hash_function": "SHA-256", "hash_value": "EF", "extra_files_path": "x"}
    assert best_hash({"hashes": [md5, sha1, sha256_of_a_companion]}) == ("sha1", "cd")
    assert best_hash({"hashes": [md5]}) == ("md5", "ab")
    assert best_hash({"hashes": [{"hash_function": "CRC", "hash_value": "1"}]}) is None
    assert best_hash({"hashes": None}) is None and best_hash({}) is None


def test_a_stream_is_hashed_once_whatever_is_fed_again():
    with StreamHash("sha256") as digest:
        for start, end in ((0, 1000), (500, 2000), (0, 2000), (2000, 300_000)):
            digest.feed(start, CONTENT[start:end])
        assert digest.position == len(CONTENT)
        assert digest.hexdigest() == hashlib.sha256(CONTENT).hexdigest()


def test_a_stream_can_start_over():
    with StreamHash("md5") as digest:
        digest.feed(0, b"other")
        digest.restart()
        digest.feed(0, CONTENT)
        digest.settle()
        assert digest.hexdigest() == hashlib.md5(CONTENT).hexdigest()


def test_no_algorithm_computes_nothing():
    with StreamHash("") as digest:
        digest.feed(0, CONTENT)
        digest.settle()
        digest.restart()
        assert digest.hexdigest() == "" and digest.position == 0 and not digest.enabled
