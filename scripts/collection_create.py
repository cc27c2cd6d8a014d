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
    PARTLY,
    REFUSED,
    UNATTENDED,
    USAGE,
    Galaxy,
    Refused,
    an_id,
    arguments,
    at_end,
    complain,
    output,
    run,
    show,
    whole_number,
)
from elements import (
    TYPES,
    Part,
    arranged,
    filled,
    made_before,
    made_once,
    nested,
    wrong,
)
from records import Record
from sources import check_sums, found
from transfer import fetch, forget, send
from uploads import destination, the_history


def main(argv=None):
    args = arguments(__doc__, argv)
    kind, name, texts, tags, ext = args["--type"], args["NAME"], args["SOURCE"], args["--tag"], args["--ext"] or ""
    timeout, (style, fields) = whole_number(args, "--timeout"), output(args)
    if kind not in TYPES:
        raise Refused(f"--type={kind}: there are {', '.join(TYPES)}", USAGE)
    if not name.strip():
        raise Refused("NAME is empty: is a variable unset?", USAGE)
    ids = dataset_ids(texts)
    if ids and (ext or args["--dbkey"] != "?" or args["--recursive"]):
        raise Refused("--ext, --dbkey and --recursive are for files: datasets stay as they are", USAGE)
    sources, complaints = ([], []) if ids else found(texts, args["--recursive"], ext)
    elements = {} if ids else arranged(kind, [Part(os.path.basename(one.name), one.path, one) for one in sources])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    with destination(galaxy, args["HISTORY"], sources, dry=True) as where:
        history = where.id
    if ids:
        elements = arranged(kind, looked_up(galaxy, history, ids))
    check_datatype(galaxy, ext)
    mismatches = check_sums(sources)
    for line in complaints + mismatches:
        complain(line)
    if mismatches:
        raise Refused("nothing was sent, because checksums do not match")
    if args["--dry-run"]:
        show(rows(kind, elements), style, fields)
        return PARTLY if complaints else DONE

    about, to = {"name": name, "collection_type": kind, "tags": tags}, f"{args['HISTORY']} {name}"
    leaves = {names: {"src": "hda", "id": part.place} if ids else {} for names, part in elements.items()}
    places = [part.place for part in elements.values()]
    with Record(galaxy, f"collection {name!r}", "collection", kind, to, *places) as record:
        made = made_before(galaxy, name, record)
        if not made:
            sessions = []
            if not ids:
                leaves, sessions = sent(galaxy, elements, args["--dbkey"], to)
            with the_history(galaxy, history or record.data.get("history"), args["HISTORY"]) as history:
                made = made_once(galaxy, history, name, record, lambda: of_datasets(galaxy, history, about, leaves)
                                 if ids else of_files(galaxy, history, about, leaves, sessions))
        show({"id": made["id"], "name": made["name"], "collection_type": kind, "elements": len({one[0] for one in elements}),
              "history_id": record.data["history"]}, style, fields, changed=True)
        failed = wrong(galaxy, filled(galaxy, made, timeout), elements, leaves) if args["--wait"] else []
        for line in failed:
            complain(line)
        for source in sources:
            forget(galaxy, source.path, to)
        at_end(record.remove)
    return REFUSED if len(failed) == len(elements) else PARTLY if failed or complaints else DONE


def dataset_ids(texts):
    """The sources where they are datasets, as they were typed; nothing where they are files."""
    ids = [text for text in texts if text.startswith("hda:")
           or (re.fullmatch(r"([0-9a-f]{16})+", text) and not os.path.lexists(text))]
    others = [text for text in texts if text not in ids]
    if ids and others:
        raise Refused(f"{ids[0]} is a dataset's id, and {others[0]} none: datasets or files, not both", USAGE)
    return ids


def check_datatype(galaxy, ext):
    """Refuse a datatype that no single file can be of; "" and "auto" are none."""
    if ext in ("", "auto"):
        return
    there = galaxy.get("datatypes", {"upload_only": "false", "extension_only": "false"})
    about = next((one for one in there if one["extension"] == ext), None)
    if about is None:
        raise Refused(f"--ext={ext}: no datatype of {galaxy.base}: display.py - /api/datatypes shows them", USAGE)
    if about.get("composite_files"):
        raise Refused(f"--ext={ext}: a datatype of several files in one, which is not sent like this", USAGE)


def looked_up(galaxy, history, ids):
    """The datasets with their names."""
    there = galaxy.pages(f"histories/{history}/contents") if history else []
    known = {one["id"]: one for one in there if one["history_content_type"] == "dataset"}
    parts = []
    for text in ids:
        dataset = text.removeprefix("hda:")
        if text not in known and text == dataset:
            raise Refused(f"{text}: no file, and no dataset of that history; hda:{text} is one of any history")
        about = known.get(dataset) or galaxy.get(f"datasets/{an_id(dataset, 'hda:ID')}")
        if about["deleted"] or about["state"] in ("error", "discarded"):
            how = "deleted" if about["deleted"] else f"in state {about['state']}"
            raise Refused(f"dataset {dataset} ({about['name']}) is {how}, so nothing was made")
        parts.append(Part(about["name"], dataset))
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
            leaf, session = send(galaxy, part.place, to=to, keep=True)
            sessions.append(session)
        leaves[names] = {**leaf, "ext": part.source.ext, "dbkey": dbkey}
    return leaves, sessions


def of_files(galaxy, history, about, leaves, sessions):
    """The collection of what was sent, made by one request, with the `jobs` that fill it."""
    inside = nested(leaves, lambda pair: {"elements": pair})
    answer = fetch(galaxy, history, [{"destination": {"type": "hdca"}, **about, "elements": inside}], sessions)
    return {**answer["output_collections"][0], "jobs": [job["id"] for job in answer["jobs"]]}


def of_datasets(galaxy, history, about, leaves):
    """The collection of copies of datasets, which Galaxy's own pages make too: they stay when the datasets are deleted."""
    inside = nested(leaves, lambda pair: {"src": "new_collection", "collection_type": "paired", "element_identifiers": pair})
    made = galaxy.post("dataset_collections", {"instance_type": "history", "history_id": history, "copy_elements": True,
                                               "element_identifiers": inside, **about})
    if about["tags"]:       # which that request does not take
        galaxy.put(f"histories/{history}/contents/dataset_collections/{made['id']}", {"tags": about["tags"]})
    return made


if __name__ == "__main__":
    sys.exit(run(main))
