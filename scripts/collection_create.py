#!/usr/bin/env python3
"""Make a collection in a history, of files that are uploaded for it or of datasets that are there.

Usage:
  collection_create.py [options] [--tag=TAG]... KEY URL HISTORY NAME SOURCE...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            a history's id or exact name, or new:NAME for a new one
  NAME               the collection's name
  SOURCE             a file, a folder (with --recursive) or an address that Galaxy fetches itself; or a dataset's id: that of
                     one of the history, or hda:ID for one of any

Options:
  --type=TYPE        list, paired or list:paired  [default: list]
  -r, --recursive    folders with all that is in them
  --ext=DATATYPE     the files' datatype; unless given, by each name (s1.fastq.gz is fastqsanger.gz), else Galaxy's guess
  --dbkey=BUILD      the files' reference genome, such as hg38  [default: ?]
  --tag=TAG          a tag for the collection; may be repeated
  --wait             until Galaxy has all in state ok; the files' sizes and hashes are compared
  --timeout=SECONDS  how long to wait for that; as long as it takes unless given
  -n, --dry-run      show the elements, send nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas
  -h, --help         show this

An element is named by its file without the extension that tells the datatype: s1.fastq.gz becomes s1. Pairs are found by
their names: s1_R1.fastq.gz and s1_R2.fastq.gz, or with _1, .1, _R1_001, _forward, _fwd in place of _R1, become forward and
reverse of s1. Where one has no mate, or two would have one name, nothing is sent; nor where a checksum beside the files
(md5sums.txt, *.md5) does not match. Without --wait it is not seen whether the files arrive. The same line again after a run
that was killed goes on with it: what was sent is not sent again, and the collection is made once.

The pairs of a run, see first which, then with their sizes and hashes compared:
  collection_create.py --type=list:paired --dry-run - - new:Run12 reads /data/run12/*.fastq.gz
  collection_create.py --type=list:paired --wait - - new:Run12 reads /data/run12/*.fastq.gz
"""
import os
import re
import sys

from common import (
    DONE,
    FAILED,
    SOME_FAILED,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    on_success,
    output_options,
    parse_id,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.collections import (
    COLLECTION_TYPES,
    ElementSource,
    arrange_elements,
    collection_problems,
    create_collection_once,
    find_created_collection,
    nest_elements,
    wait_until_filled,
)
from galaxy_api_scripts.datasets.sources import expand_sources, verify_checksums
from galaxy_api_scripts.datasets.target_history import create_history_if_needed, open_target_history
from galaxy_api_scripts.datasets.tus import forget_upload, upload_file
from galaxy_api_scripts.datasets.upload import post_fetch


def main(argv=None):
    args = arguments(__doc__, argv)
    kind, name, texts, tags, ext = args["--type"], args["NAME"], args["SOURCE"], args["--tag"], args["--ext"] or ""
    timeout, (style, fields) = int_option(args, "--timeout"), output_options(args).values()
    if kind not in COLLECTION_TYPES:
        raise GalaxyError(f"--type={kind}: there are {', '.join(COLLECTION_TYPES)}", USAGE)
    if not name.strip():
        raise GalaxyError("NAME is empty: is a variable unset?", USAGE)
    ids = dataset_ids(texts)
    if ids and (ext or args["--dbkey"] != "?" or args["--recursive"]):
        raise GalaxyError("--ext, --dbkey and --recursive are for files: datasets stay as they are", USAGE)
    sources, complaints = ([], []) if ids else expand_sources(texts, args["--recursive"], ext)
    elements = {} if ids else arrange_elements(kind, [ElementSource(
        os.path.basename(one.name), one.path, one) for one in sources])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    with open_target_history(galaxy, args["HISTORY"], sources, dry_run=True) as where:
        history = where.id
    if ids:
        elements = arrange_elements(kind, looked_up(galaxy, history, ids))
    check_datatype(galaxy, ext)
    mismatches = verify_checksums(sources)
    for line in complaints + mismatches:
        report_error(line)
    if mismatches:
        raise GalaxyError("nothing was sent, because checksums do not match")
    if args["--dry-run"]:
        show(rows(kind, elements), style, fields)
        return SOME_FAILED if complaints else DONE

    about, to = {"name": name, "collection_type": kind, "tags": tags}, f"{args['HISTORY']} {name}"
    leaves = {names: {"src": "hda", "id": part.place} if ids else {} for names, part in elements.items()}
    places = [part.place for part in elements.values()]
    with Checkpoint(galaxy, f"collection {name!r}", "collection", kind, to, *places) as record:
        made = find_created_collection(galaxy, name, record)
        if not made:
            sessions = []
            if not ids:
                leaves, sessions = sent(galaxy, elements, args["--dbkey"], to)
            with create_history_if_needed(galaxy, history or record.data.get("history"), args["HISTORY"]) as history:
                made = create_collection_once(galaxy, history, name, record, lambda: of_datasets(galaxy, history, about, leaves)
                                 if ids else of_files(galaxy, history, about, leaves, sessions))
        show({"id": made["id"], "name": made["name"], "collection_type": kind, "elements": len({one[0] for one in elements}),
              "history_id": record.data["history"]}, style, fields, changed=True)
        failed = collection_problems(galaxy, wait_until_filled(galaxy, made, timeout),
                                     elements, leaves) if args["--wait"] else []
        for line in failed:
            report_error(line)
        for source in sources:
            forget_upload(galaxy, source.path, to)
        on_success(record.remove)
    return FAILED if len(failed) == len(elements) else SOME_FAILED if failed or complaints else DONE


def dataset_ids(texts):
    """The sources where they are datasets, as they were typed; nothing where they are files."""
    ids = [text for text in texts if text.startswith("hda:")
           or (re.fullmatch(r"([0-9a-f]{16})+", text) and not os.path.lexists(text))]
    others = [text for text in texts if text not in ids]
    if ids and others:
        raise GalaxyError(f"{ids[0]} is a dataset's id, and {others[0]} none: datasets or files, not both", USAGE)
    return ids


def check_datatype(galaxy, ext):
    """Refuse a datatype that no single file can be of; "" and "auto" are none."""
    if ext in ("", "auto"):
        return
    there = galaxy.get("datatypes", {"upload_only": "false", "extension_only": "false"})
    about = next((one for one in there if one["extension"] == ext), None)
    if about is None:
        raise GalaxyError(f"--ext={ext}: no datatype of {galaxy.base}: display.py - /api/datatypes shows them", USAGE)
    if about.get("composite_files"):
        raise GalaxyError(f"--ext={ext}: a datatype of several files in one, which is not sent like this", USAGE)


def looked_up(galaxy, history, ids):
    """The datasets with their names."""
    there = galaxy.pages(f"histories/{history}/contents") if history else []
    known = {one["id"]: one for one in there if one["history_content_type"] == "dataset"}
    parts = []
    for text in ids:
        dataset = text.removeprefix("hda:")
        if text not in known and text == dataset:
            raise GalaxyError(f"{text}: no file, and no dataset of that history; hda:{text} is one of any history")
        about = known.get(dataset) or galaxy.get(f"datasets/{parse_id(dataset, 'hda:ID')}")
        if about["deleted"] or about["state"] in ("error", "discarded"):
            how = "deleted" if about["deleted"] else f"in state {about['state']}"
            raise GalaxyError(f"dataset {dataset} ({about['name']}) is {how}, so nothing was made")
        parts.append(ElementSource(about["name"], dataset))
    return parts


def rows(kind, elements):
    """What would be in the collection: a row for each element, or for each pair."""
    made = {}
    for (*outer, name), part in elements.items():
        own = (*outer, name) if kind == "list" else tuple(outer)
        row = made.setdefault(own, {"element": own[0]} if own else {})
        row["source" if kind == "list" else name] = part.place
        if part.source:
            row["extension"] = row.pop("extension", part.source.ext)    # the last column
    return list(made.values())


def sent(galaxy, elements, dbkey, to):
    """The elements as a fetch takes them, once the files' bytes are sent, and the sessions of these."""
    leaves, sessions = {}, []
    for names, part in elements.items():
        leaf = {"src": "url", "url": part.place}
        if not part.source.is_url:
            leaf, session = upload_file(galaxy, part.place, to=to, keep=True)
            sessions.append(session)
        leaves[names] = {**leaf, "ext": part.source.ext, "dbkey": dbkey}
    return leaves, sessions


def of_files(galaxy, history, about, leaves, sessions):
    """The collection of what was sent, made by one request, with the `jobs` that fill it."""
    inside = nest_elements(leaves, lambda pair: {"elements": pair})
    answer = post_fetch(galaxy, history, [{"destination": {"type": "hdca"}, **about, "elements": inside}], sessions)
    return {**answer["output_collections"][0], "jobs": [job["id"] for job in answer["jobs"]]}


def of_datasets(galaxy, history, about, leaves):
    """The collection of copies of datasets, which Galaxy's own pages make too: they stay when the datasets are deleted."""
    inside = nest_elements(leaves, lambda pair: {"src": "new_collection",
                           "collection_type": "paired", "element_identifiers": pair})
    made = galaxy.post("dataset_collections", {"instance_type": "history", "history_id": history, "copy_elements": True,
                                               "element_identifiers": inside, **about})
    if about["tags"]:       # which that request does not take
        galaxy.put(f"histories/{history}/contents/dataset_collections/{made['id']}", {"tags": about["tags"]})
    return made


if __name__ == "__main__":
    sys.exit(run(main))
