#!/usr/bin/env python3
"""Write tests/fakes/openapi_26.1.json.gz: what a Galaxy says of its operations, without the prose, for the offline tests.

Usage:
  extract_openapi.py [options] URL

Arguments:
  URL         a Galaxy 26.1, or - to look it up

Options:
  -h, --help  show this help
  --version   show the version
"""
import gzip
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import Galaxy, arguments, run  # noqa: E402

EXTRACT = Path(__file__).with_name("openapi_26.1.json.gz")
LEFT_OUT = {"description", "title", "example", "examples", "operationId", "pattern", "minLength", "maxLength"}


def main(argv=None):
    args = arguments(__doc__, argv)
    document = Galaxy("anonymous", args["URL"]).get("/openapi.json")
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = operation.get("responses", {})
            operation["responses"] = {status: answers[status] for status in answers if status.startswith("2")}
            operation["parameters"] = [one for one in operation.get("parameters", []) if one["in"] != "header"]
    kept = {"paths": document["paths"], "components": {"schemas": document["components"]["schemas"]}}
    text = json.dumps(without_prose(kept), separators=(",", ":"))
    EXTRACT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def without_prose(value, is_named=False):
    """A part of the document without its prose; the names of an object that `is_named` are fields', paths' or schemas'."""
    if isinstance(value, list):
        return [without_prose(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: without_prose(one, name in ("properties", "paths", "schemas")) for name, one in value.items()
            if is_named or name not in LEFT_OUT}


def read_extract():
    return json.loads(gzip.decompress(EXTRACT.read_bytes()))


if __name__ == "__main__":
    sys.exit(run(main))
