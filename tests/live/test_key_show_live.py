"""key_show.py asks a real Galaxy for somebody's key."""


def test_key_show_gives_the_users_key(person):
    ended = person.run("key_show.py", person.url, person.email, stdin=person.password + "\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, person.key + "\n", "")


def test_key_show_with_a_wrong_password(person):
    ended = person.run("key_show.py", person.url, person.email, stdin="wrong password\n")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1 and "wrong password" not in ended.stderr
