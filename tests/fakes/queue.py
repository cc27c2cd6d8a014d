"""The jobs of a server behind requests-mock, listed and cancelled as Galaxy 26.1 does."""
import fnmatch
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from fakes import API

NOW = datetime(2026, 11, 30, 12, 0, 0)
ADMIN = {"id": "a1", "email": "admin@example.org", "username": "admin", "is_admin": True}
PERSON = {"id": "b1", "email": "ann@example.org", "username": "ann", "is_admin": False}
FINISHED = ("ok", "error", "deleted", "deleting")
REFUSED = {"status_code": 403, "json": {"err_msg": "Only admins can use the admin_job_list view", "err_code": 403006}}


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def a_job(job_id, state="running", age=60, unchanged=None, **more):
    """A job as the list shows it to an administrator: `age` and `unchanged` are in seconds."""
    return {"id": job_id, "state": state, "tool_id": "cat1", "user_email": PERSON["email"], "user_id": PERSON["id"],
            "job_runner_name": "local", "history_id": "h1", "handler": "main", "external_id": "7", "exit_code": None,
            "command_line": "cat", "create_time": ago(age),
            "update_time": ago(age if unchanged is None else unchanged), **more}


class Queue:
    """`jobs` may be changed by a test at any time; `on_page` is called before each page, with its number."""

    def __init__(self, mock, *jobs, user=ADMIN):
        self.mock, self.jobs, self.user, self.on_page, self.pages = mock, list(jobs), user, lambda number: None, []
        mock.get(f"{API}/version", json={"version_major": "26.1", "version_minor": "2"},
                 headers={"Date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")})
        mock.get(f"{API}/users/current", json=lambda request, context: self.user)
        mock.get(f"{API}/users", json=lambda request, context: [
            one for one in (ADMIN, PERSON) if self.query(request).get("f_any", "") in one["email"] + one["username"]
            and self.query(request)["deleted"] == "false"])
        mock.get(f"{API}/users/{PERSON['id']}", json=PERSON)
        mock.get(f"{API}/jobs", json=self.listed)
        self.cancels = []

    @staticmethod
    def query(request):
        return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}

    def can_cancel(self, after="deleting"):
        """Let each job that there is by now be shown, and cancelled: it then is in the state `after`."""
        for job in self.jobs:
            self.mock.get(f"{API}/jobs/{job['id']}", json={**job, "user_email": None} if not self.user["is_admin"] else job)
            self.mock.delete(f"{API}/jobs/{job['id']}", json=lambda request, context, job=job: self.cancel(job, after))

    def cancel(self, job, after):
        self.cancels.append(job["id"])
        done = job["state"] not in FINISHED
        if done:
            job.update(state=after, update_time=ago(0))
        self.mock.get(f"{API}/jobs/{job['id']}", json=job)
        return done

    def listed(self, request, context):
        self.on_page(len(self.pages))
        several, query = parse_qs(urlsplit(request.url).query), self.query(request)
        self.pages.append(query)
        if query.get("view") == "admin_job_list" and not self.user["is_admin"]:
            context.status_code = 403
            return REFUSED["json"]
        likes = [like.replace("%", "*").replace("_", "?") for like in several.get("tool_id_like", [])]
        found = [job for job in self.jobs if job["state"] in several.get("state", [job["state"]])
                 and (not likes or any(fnmatch.fnmatchcase(job["tool_id"], like) for like in likes))
                 and job["user_id"] == query.get("user_id", job["user_id"] if self.user["is_admin"] else self.user["id"])
                 and job["history_id"] == query.get("history_id", job["history_id"])
                 and query.get("date_range_min", "") <= job["update_time"] <= query.get("date_range_max", "9")]
        found.sort(key=lambda job: job["update_time"], reverse=True)
        start = int(query.get("offset", 0))
        return found[start:start + int(query["limit"])]

    def writes(self):
        """The requests that may have changed something."""
        return [one for one in self.mock.request_history if one.method != "GET"]
