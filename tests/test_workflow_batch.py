"""workflow_batch.py: each row once, whatever happens; on a Galaxy of a few lines."""
from batches import batch, death, real_server, server  # noqa: F401, fixtures

from common import DONE, PARTLY, REFUSED, STILL_RUNNING, TRY_LATER, USAGE


def test_each_row_is_run_and_not_again(batch, server):
    batch.samples("a", "b")
    ended = batch(f"--download={batch.folder}/out", "--tag=x")
    assert {name: row["state"] for name, row in ended.rows.items()} == {"a": "ok", "b": "ok"} and ended.err == ""
    batch.once_each("a", "b")
    assert (batch.folder / "out" / "a" / "first.tabular").read_text() == "a.tsv\n"
    assert sorted(ended.sent) == ["POST fetch"] * 2 + ["POST histories"] * 2 + ["POST invocations"] * 2 + [
        "POST upload"] * 2 + ["PUT history"] * 2
    again = batch(f"--download={batch.folder}/out", "--tag=x")
    assert (again.sent, again.out, again.err) == ([], "", "")
