"""What common.py and polling.py promise to scripts, on a real Galaxy."""
import pytest

from common import Galaxy, GalaxyError
from galaxy_api_scripts.polling import wait_datasets, wait_jobs


def test_names_users_and_waiting(person):
    galaxy = Galaxy(person.key, person.url)
    one, two, three = person.new_history("name, once"), person.new_history("name twice"), person.new_history("name twice")
    assert galaxy.find("histories", "name, once")["id"] == one
    with pytest.raises(GalaxyError) as caught:
        galaxy.find("histories", "name twice")
    assert two in str(caught.value) and three in str(caught.value)
    with pytest.raises(GalaxyError, match="none of your histories"):
        galaxy.find("histories", "name")
    assert galaxy.current_user()["email"] == person.email
    with pytest.raises(GalaxyError, match="does not recognise this API key"):
        Galaxy("anonymous", person.url).current_user()

    elements = [{"src": "pasted", "paste_content": f"{number}\n", "name": str(number)} for number in range(12)]
    made = galaxy.post("tools/fetch", {"history_id": one, "targets": [
        {"destination": {"type": "hdas"}, "elements": some} for some in (elements[:6], elements[6:])]})
    jobs = {job["id"] for job in made["jobs"]}
    assert wait_jobs(galaxy, one, jobs, timeout=120) == dict.fromkeys(jobs, "ok")
    datasets = [output["id"] for output in made["outputs"]]
    assert wait_datasets(galaxy, one, datasets, timeout=120) == dict.fromkeys(datasets, "ok")
    assert {person.look(f"datasets/{one}")["state"] for one in datasets} == {"ok"}
