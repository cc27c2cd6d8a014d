"""Workflows by id, by name, by the address of a page in Galaxy, or by a file that is imported."""
from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from common import USAGE, Galaxy, GalaxyError, is_http_url, one_line, origin, redact, report_error
from galaxy_api_scripts.together import ask_together
from galaxy_api_scripts.workflows.definition import Workflow, find_imported, import_once

IS_ID = re.compile("([0-9a-f]{16})+")


def check_user_and_workflow(galaxy: Galaxy, text: str, *checks: Callable[[], Any]) -> list[Any]:
    """The user whose key this is; the workflow whose id or exact name is `text`, or that is the content of the `.ga` or
    Format 2 file `text`, which is imported if it was not before, once all `checks` have returned; and what these returned.

    Of the workflow it is the `id`, and by an id all that `load_whole_workflow` needs. Raises `GalaxyError` in the order of
    the user, the workflow (also a deleted one) and the checks.
    """
    is_file = os.path.isfile(text)
    user, workflow, *rest = ask_together(
        galaxy.current_user, lambda: {"id": find_imported(galaxy, text)} if is_file else _find_with_views(galaxy, text),
        *checks)
    return [user, {"id": import_once(galaxy, text)} if is_file and not workflow["id"] else workflow, *rest]


def _find_with_views(galaxy: Galaxy, text: str) -> Workflow:
    if os.path.isdir(text) or text.lower().endswith((".ga", ".yml", ".yaml", ".json")):
        raise GalaxyError(f"{text}: no such file", USAGE)
    views: Workflow = {}
    if IS_ID.fullmatch(text):       # or a name, of which there are no views then
        workflow, views["content"], views["editor"] = ask_together(
            lambda: find_workflow(galaxy, text),
            *(partial(galaxy.get_or_none, f"workflows/{text}/download", {"style": style}, (400, 403, 404, 500))
              for style in ("ga", "editor")))
    else:
        workflow = find_workflow(galaxy, text)
    if workflow.get("deleted"):
        raise GalaxyError(f"workflow {workflow['id']} ({workflow['name']}) is deleted: undelete it in Galaxy, or name "
                          "another")
    return {**workflow, **views} if workflow["id"] == text else workflow


def find_workflow(galaxy: Galaxy, text: str) -> Workflow:
    """The workflow whose id, address of a page in Galaxy, or else exact name is `text`: one of the user's own, or, where
    these have none of that name, one that others share or publish, which is told on standard error. `GalaxyError` where it
    is none, or several."""
    if not text.strip():
        raise GalaxyError("WORKFLOW is empty: is a variable unset?", USAGE)
    if is_http_url(text):
        text = _page_id(galaxy, text)
    if IS_ID.fullmatch(text):
        # 500: 26.1 lists a workflow with a pick_value, and fails to show it.
        about: Workflow | None = galaxy.get_or_none(f"workflows/{text}", absent=(400, 404, 500))
        if about:
            return about
    own = _list_named(galaxy, text, {"show_shared": "false"})       # unasked, Galaxy lists those shared with the user too
    if len(own) == 1:
        return own[0]
    others = [] if own else _list_named(galaxy, text, {"show_shared": "true", "show_published": "true"})
    ids = ", ".join(f"{each['id']} of {one_line(str(each.get('owner')))}" for each in others)
    if len(others) > 1:
        raise GalaxyError(f"{len(others)} workflows that others share or publish are named {text!r}: {ids}; give the id of "
                          "one")
    if not others:
        return dict(galaxy.find("workflows", text))
    if text != others[0]["id"]:
        report_error(f"warning: you have no workflow {text!r}, so this is {ids}, who shares or publishes it: give the id if "
                     "you mean this one")
    return others[0]


def _list_named(galaxy: Galaxy, text: str, query: dict[str, str]) -> list[Workflow]:
    """The workflows of a list whose id or exact name is `text`, without deleted ones."""
    return [dict(each) for each in galaxy.pages("workflows", query)
            if text in (each.get("name"), each["id"]) and not each.get("deleted")]


def _page_id(galaxy: Galaxy, url: str) -> str:
    """The id of the workflow that a page of Galaxy shows: where one is run, edited, shared or published, or its public
    address, `/u/USER/w/NAME`."""
    if origin(url) != origin(galaxy.base):
        raise GalaxyError(f"{redact(url)}: an address on another server than {redact(galaxy.base)}", USAGE)
    if re.search("/u/[^/]+/w/[^/]+$", urlsplit(url).path):
        url = str(galaxy.request("GET", url).url)       # Galaxy redirects to the page with the id
    parts = urlsplit(url)
    named = parse_qs(parts.query).get("id") or re.findall("/workflows/([0-9a-f]{16,})", parts.path)
    if not named:
        raise GalaxyError(f"{redact(url)}: no page of a workflow, such as {redact(galaxy.base)}/workflows/run?id=ID", USAGE)
    return str(named[0])
