"""What else the fake Galaxy has: failed jobs that are run again in place, and histories that are shared."""
import itertools

ROUTES = """
    GET rerun jobs/(\\w+)/build_for_rerun
    PUT dataset datasets/(\\w+)
    PUT permissions datasets/(\\w+)/permissions
    GET roles roles
    GET sharing histories/(\\w+)/sharing
    PUT share histories/(\\w+)/share_with_users
    PUT link histories/(\\w+)/enable_link_access
    PUT no_link histories/(\\w+)/disable_link_access
    PUT publish histories/(\\w+)/publish
    PUT unpublish histories/(\\w+)/unpublish
    GET workflow_sharing workflows/(\\w+)/sharing
    PUT workflow_share workflows/(\\w+)/share_with_users
    PUT workflow_link workflows/(\\w+)/enable_link_access
    PUT workflow_no_link workflows/(\\w+)/disable_link_access
    PUT workflow_publish workflows/(\\w+)/publish
    PUT workflow_unpublish workflows/(\\w+)/unpublish"""
# How Galaxy 26.1 writes the parameters of a workflow's job, and of its rerun.
WORKFLOW_PARAMS = {"__workflow_invocation_uuid__": '"u"', "flags": "[]", "operations":
                   '[{"__index__": 0, "column": "2", "default": null, "round": false}]'}
RERUN_PARAMS = {"flags": '""', "label": '""', "operations":
                '[{"__index__": 0, "column": 2, "default": "", "round": "false"}]'}
COLLEAGUES = {"00000000000000b1": "ann@example.org", "00000000000000b2": "bob@example.org"}
MINE, SHARED = "00000000000000c1", "00000000000000c2"      # roles: the owner's own, and one that Galaxy makes with a user


class Handover:
    """`rerun_state` is the state of jobs that are run again; `remaps` is false where Galaxy fails to put them in the place
    of the failed ones, and answers 200 all the same. `resumed_state` is that of the jobs that waited for one that is ok."""

    rerun_state, resumed_state, remaps = "ok", "ok", True
    role = ""           # the users of the role that Galaxy made last
    deleted_users = ()  # the ids of accounts that were deleted; a history stays shared with them
    workflow_status = None      # how the workflow is shared

    # ------------------------------------------------------------------------------------------------------ failed jobs

    def create_failed_job(self, history=None, tool="cut", inner=False):
        """A job that failed, as one of a workflow does, and one that is paused because of it."""
        history = history or self.create_history("of jobs")
        source = self.create_dataset("a.tsv", b"abc", history=history)
        failed = self._job_with_output(history, tool, source, "error")
        paused = self._job_with_output(history, "sort", failed["outputs"]["out"]["id"], "paused")
        return failed, paused

    def _job_with_output(self, history, tool, source, state, late=0.0, of_workflow=True):
        states = {"error": "error", "paused": "paused", "ok": "ok"}
        made = self.create_dataset(f"{tool} on data", b"abc", states[state], history)
        job = self.create_job(tool, history, state, user_id=self.users[next(iter(self.users))]["id"],
                              inputs={"input": {"src": "hda", "id": source}}, output_collections={}, tool_stderr="no disk\n",
                              params={**WORKFLOW_PARAMS, "n": "1"} if of_workflow else {**RERUN_PARAMS, "n": "1"},
                              outputs={"out": {"src": "hda", "id": made}})
        job["appears"] += late
        return job

    def _job_to_rerun(self, which):
        """A job that a test has made, or one of an invocation."""
        return self.jobs[which] if which in self.jobs else self.get_job({}, None, which)

    def get_rerun(self, ask, body, which):
        job = self._job_to_rerun(which)
        if job["tool_id"] == "__DATA_FETCH__":
            self.refuse(403, {"err_msg": f"Tool '{job['tool_id']}' cannot be rerun.", "err_code": 403004})
        source = job["inputs"].get("input", {"id": "of a run"})
        return {"id": job["tool_id"], "version": "1.0", "message": "", "errors": {}, "job_credentials_context": None,
                "state_inputs": {"n": "1", "input": {"values": [{"src": "hda", "id": source["id"]}]}}}

    def rerun_job(self, body, late):
        """Run a job again: those that are paused because of it get the new output, and go on."""
        old = self._job_to_rerun(body["inputs"]["rerun_remap_job_id"])
        if "out_file1" in old["outputs"]:
            return self._rerun_of_invocation(old, late)
        before = old["outputs"]["out"]["id"]
        job = self._job_with_output(old["history_id"], old["tool_id"], old["inputs"]["input"]["id"], self.rerun_state, late,
                                    of_workflow=False)
        now = job["outputs"]["out"]["id"]
        if self.remaps:
            self.datasets[before]["visible"] = self.datasets[now]["visible"] = False
            for other in self.jobs.values():
                if other["state"] == "paused" and other["inputs"]["input"]["id"] == before:
                    other["inputs"]["input"]["id"] = now
                    other["state"] = self.resumed_state if self.rerun_state == "ok" else "paused"
        return {"outputs": [], "output_collections": [], "jobs": [{"id": job["id"], "state": "new"}]}

    def _rerun_of_invocation(self, old, late):
        """The step keeps the failed job, as Galaxy's own does; the new one's result is what the failed one's would be."""
        before = self.datasets[old["outputs"]["out_file1"]["id"]]
        made = self._dataset(self.histories[old["history_id"]], before["name"], "tabular", before["content"], state="ok")
        job = self.create_job(old["tool_id"], old["history_id"], self.rerun_state, inputs={}, params=RERUN_PARAMS, polls=1,
                              tool_stderr="no disk\n", outputs={"out_file1": {"src": "hda", "id": made["id"]}})
        job["appears"] += late
        before["visible"] = False
        return {"outputs": [], "output_collections": [], "jobs": [{"id": job["id"], "state": "new"}]}

    def put_dataset(self, ask, body, which):
        self._find(self.datasets, which).update(body)
        return self._shown(self.datasets[which])

    # --------------------------------------------------------------------------------------------------------- sharing

    def create_private(self, history, name, roles=(MINE,), is_fixed=False):
        """A dataset that not everybody may read, and if it `is_fixed`, whose permissions its owner can't change."""
        dataset = self.create_dataset(name, b"abc", history=history)
        self.datasets[dataset]["is_fixed"] = is_fixed
        self.datasets[dataset]["permissions"] = {"manage": [MINE], "access": list(roles)}
        return dataset

    def _private(self, which):
        there = [self.datasets[one] for one in self._find(self.histories, which)["contents"] if one in self.datasets]
        return [one for one in there if one.get("permissions", {}).get("access")]

    def get_roles(self, ask, body):
        return [{"id": MINE, "name": "me@example.org", "type": "private"},
                {"id": SHARED, "name": f"Sharing role for: {self.role}", "type": "sharing"}]

    def put_permissions(self, ask, body, which):
        assert body == {"action": "remove_restrictions"}
        self._find(self.datasets, which)["permissions"]["access"] = []
        return {}

    def get_sharing(self, ask, body, which):
        history = self._find(self.histories, which)
        shared = history.setdefault("sharing", {"importable": False, "published": False, "users": []})
        users = [{"id": one, "email": COLLEAGUES[one]} for one in shared["users"]]
        return {"id": which, "title": history["name"], "importable": shared["importable"], "published": shared["published"],
                "users_shared_with": users, "username": "me",
                "username_and_slug": "u/me/h/run" if users or shared["importable"] else None}

    def put_share(self, ask, body, which):
        """As Galaxy does it: one user that is not there, or one private dataset, and nothing is shared, status 200."""
        self.get_sharing(ask, body, which)
        users, errors = self._find_users(body["user_ids"])
        shared, option = self.histories[which]["sharing"], body.get("share_option")
        blocked, fixed = [], []
        for user, dataset in itertools.product([one for one in users if one not in shared["users"]], self._private(which)):
            if dataset["permissions"]["access"] == [SHARED] and COLLEAGUES[user] in self.role:
                continue
            if dataset["is_fixed"]:
                fixed.append({"id": dataset["id"], "name": dataset["name"]})
            elif option == "make_accessible_to_shared":
                self.role = f"me@example.org, {COLLEAGUES[user]}"
                dataset["permissions"]["access"] = [SHARED]
            elif option == "make_public":
                dataset["permissions"]["access"] = []
            elif option is None:
                blocked.append({"id": dataset["id"], "name": dataset["name"]})
        if fixed and option != "no_changes" and len(fixed) == len(self.histories[which]["contents"]):
            errors.append("The history you are sharing do not contain any datasets that can be accessed by the users with "
                          "which you are sharing.")
        can_share = not (errors or blocked or (fixed and option is None))
        if can_share:
            shared["users"] = users
        extra = {"can_share": can_share, "can_change": blocked, "cannot_change": fixed, "accessible_count": 0}
        return {**self.get_sharing(ask, body, which), "errors": errors, "extra": extra}

    def _find_users(self, typed):
        """The ids of the users that there are, and the errors of the others."""
        there = {one: email for one, email in COLLEAGUES.items() if one not in self.deleted_users}
        ids = {**{email: one for one, email in there.items()}, **{one: one for one in there}}
        return ([ids[one.lower()] for one in typed if one.lower() in ids],
                [f"{one} is not a valid Galaxy user." for one in typed if one.lower() not in ids])

    # As Galaxy does it: the users that there are take the place of the others, whatever is wrong with the rest.

    def get_workflow_sharing(self, ask, body, which):
        status = self.workflow_status = self.workflow_status or {"importable": False, "published": False, "users": []}
        return {"id": which, "title": "Copy", "importable": status["importable"], "published": status["published"],
                "users_shared_with": [{"id": one, "email": COLLEAGUES[one]} for one in status["users"]],
                "username_and_slug": "u/me/w/copy" if status["users"] or status["importable"] else None}

    def _set_workflow(self, ask, which, **changes):
        self.get_workflow_sharing(ask, None, which)
        self.workflow_status.update(changes)
        return self.get_workflow_sharing(ask, None, which)

    def put_workflow_share(self, ask, body, which):
        users, errors = self._find_users(body["user_ids"])
        return {**self._set_workflow(ask, which, users=users), "errors": errors, "extra": None}

    def put_workflow_link(self, ask, body, which):
        return self._set_workflow(ask, which, importable=True)

    def put_workflow_no_link(self, ask, body, which):
        return self._set_workflow(ask, which, importable=False, published=False)

    def put_workflow_publish(self, ask, body, which):
        return self._set_workflow(ask, which, importable=True, published=True)

    def put_workflow_unpublish(self, ask, body, which):
        return self._set_workflow(ask, which, published=False)

    def _set_sharing(self, ask, which, **changes):
        self.get_sharing(ask, None, which)
        self.histories[which]["sharing"].update(changes)
        if changes.get("importable"):
            for dataset in self._private(which):
                dataset["permissions"]["access"] = []
        return self.get_sharing(ask, None, which)

    def put_link(self, ask, body, which):
        return self._set_sharing(ask, which, importable=True)

    def put_no_link(self, ask, body, which):
        return self._set_sharing(ask, which, importable=False, published=False)

    def put_publish(self, ask, body, which):
        return self._set_sharing(ask, which, importable=True, published=True)

    def put_unpublish(self, ask, body, which):
        return self._set_sharing(ask, which, published=False)
