"""What the four verbs do beyond one request and its answer: loaded for the options that want it, after a refusal, and for an
answer that may say that nothing was done."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from common import GalaxyError


def prepare(args: dict[str, Any], method: str, data: Any = None, files: Iterable[str] = ()) -> Callable[[str, Any], None]:
    """With `--check`, refuse a request that the server does not describe. Returns what is to be called with the address and
    its answer: it raises an error for one that says that nothing was done."""
    if args["--check"] or os.environ.get("GALAXY_CHECK") == "1":
        from galaxy_api_scripts.routes.check import check_request
        check_request(args["KEY"], args["URL"], method, data, files)

    def take_answer(address: str, answer: Any) -> None:
        from galaxy_api_scripts.routes.answers import check_answer
        check_answer(method, address, data, answer)
    return take_answer


def explain_refusal(error: GalaxyError, *request: Any) -> None:
    """Add to Galaxy's refusal what is wrong with the request, where a description of the server is kept."""
    from galaxy_api_scripts.routes import check
    check.explain_refusal(error, *request)
