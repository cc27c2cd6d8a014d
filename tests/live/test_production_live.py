"""What only a Galaxy as production has it does: several web processes, and nginx that hands out the files itself."""
import json
import os
import signal
from pathlib import Path

import pytest
import requests

from .processes import begun, until
from .test_transfer_live import MIB, arrived


@pytest.fixture(scope="module", autouse=True)
def production(home):
    """The home of the Galaxy under test, if tests/live/production.py has started it."""
    if not (home / "nginx" / "pid").exists():
        pytest.skip("only as production has it: make matrix RELEASES=production")
    return home


def web_processes(home):
    """The numbers of the processes that answer requests: gunicorn's children."""
    master = json.loads((home / "state.json").read_text())["server"]["pid"]
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()
            if b"gunicorn" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_web_process_that_is_killed_in_the_middle_of_a_piece(production, person, tmp_path, state):
    """Galaxy then has more of it than the other process tells, so the file is sent again, from its beginning."""
    large = tmp_path / "reads.fastq"
    with open(large, "wb") as file:
        for _ in range(400):
            file.write(os.urandom(MIB))
    sessions = production / "data" / "tmp"
    before, workers = set(os.listdir(sessions)), web_processes(production)
    assert len(workers) == 2
    history = person.new_history("a web process is killed")
    process = begun(person, "dataset_upload.py", "--wait", "-q", person.key, person.url, history, large, **state)

    def is_arriving():
        assert process.poll() is None
        new = [sessions / name for name in set(os.listdir(sessions)) - before if len(name) == 32]
        return any(path.exists() and path.stat().st_size > 10 * MIB for path in new)
    until(is_arriving)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert process.wait(timeout=300) == 0
    assert arrived(person, history, {large.name: large})
    until(lambda: len(web_processes(production)) == 2)


def test_a_linked_file_with_a_name_that_nginx_does_not_find(admin, tmp_path):
    """Galaxy 26.1 puts the path into X-Accel-Redirect as it is, and nginx decodes it."""
    path, library = tmp_path / "100%41.txt", admin.new_library()
    path.write_text("one\n")
    [made] = admin.asked("POST", f"libraries/{library.id}/contents", json={
        "folder_id": library.root_folder_id, "create_type": "file", "file_type": "txt", "dbkey": "?",
        "upload_option": "upload_paths", "filesystem_paths": str(path), "link_data_only": "link_to_files"})
    until(lambda: admin.look(f"libraries/datasets/{made['id']}")["state"] == "ok")
    ended = admin.run("dataset_download.py", f"--to={tmp_path}/to", admin.key, admin.url, f"ld:{made['id']}")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "the proxy before Galaxy hands out the files, and does not find this one" in ended.stderr


def test_nginx_hands_out_ranges_of_a_dataset(person, tmp_path):
    """So that a download is resumed, which Galaxy's own answer to If-Range would not allow."""
    (tmp_path / "letters.txt").write_text("abcdefghij\n")
    dataset = person.uploaded(person.new_history("ranges"), tmp_path / "letters.txt")
    url = f"{person.url}/api/datasets/{dataset}/display?to_ext=txt"

    def ask(**headers):
        return requests.get(url, headers={"x-api-key": person.key, **headers}, timeout=60)
    etag = ask().headers["ETag"]
    part = ask(**{"Range": "bytes=4-", "If-Range": etag})
    assert (part.status_code, part.text, part.headers["Content-Range"]) == (206, "efghij\n", "bytes 4-10/11")
    assert ask(**{"Range": "bytes=4-", "If-Range": '"another"'}).status_code == 200
    assert "X-Accel-Redirect" not in part.headers and part.headers["ETag"] == etag
