"""The legacy history scripts by their old command lines, then Galaxy is asked what it holds."""


def test_history_delete_history(person):
    history = person.new_history("to be deleted")
    url = f"{person.url}/api/histories/{history}"
    assert person.run("history_delete_history.py", "-n", person.key, url, "true").returncode == 0
    assert not person.look(f"histories/{history}")["deleted"]
    for purge, purged in (([], False), (["false"], False), (["true"], True)):
        ended = person.run("history_delete_history.py", person.key, url, *purge)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("Response\n--------\n{'")
        held = person.look(f"histories/{history}")
        assert (held["deleted"], held["purged"]) == (True, purged)


def test_history_delete_history_refused(server, person):
    history = person.new_history("stays")
    for key, url, status in ((person.key, f"{person.url}/api/histories/{'f' * 16}", 1), (person.key, person.url, 2),
                             ("0" * 32, f"{person.url}/api/histories/{history}", 1)):
        ended = person.run("history_delete_history.py", key, url, "true")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1)
    assert not person.look(f"histories/{history}")["deleted"]
