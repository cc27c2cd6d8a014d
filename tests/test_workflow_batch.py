"""workflow_batch.py: each row once, whatever happens; on a Galaxy of a few lines."""
import pytest
from batches import Batch, Killed, batch, death, real_server, server

from common import DONE, PARTLY, REFUSED, STILL_RUNNING, TRY_LATER, USAGE

__all__ = ["batch", "death", "real_server", "server"]       # fixtures


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


# ------------------------------------------------------------------------------------------- whatever happens, once only

@pytest.mark.parametrize("which", ["after", "before"])
def test_killed_at_any_moment(batch, server, death, which):
    """At each of its moments in turn, on a server that knows nothing of the others: after each request, before each
    change of the ledger."""
    batch.samples("a", "b")
    moments = 0
    while True:
        server.empty()
        moments += 1
        one = Batch(server, batch.folder.with_name(f"{which}-{moments}"), batch.script, batch.capsys)
        one.samples("a", "b")
        options = [f"--download={one.folder}/out", "--tag=x", f"--max-running={1 + moments % 2}"]
        death.comes(**{which: moments})
        try:
            one(*options)
            break
        except Killed:
            death.comes()
        again = one(*options)
        try:
            one.once_each("a", "b")
            assert [(one.folder / "out" / name / "first.tabular").read_text() for name in "ab"] == ["a.tsv\n", "b.tsv\n"]
            assert one(*options).sent == [] and "cancel" not in again.err
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"killed {which} {moments}: {error!r}, {server.asked}") from error
    assert moments > 40
