#!/usr/bin/env python3
"""Create a collection in a history from files that are uploaded for it, or from datasets.

Usage:
  collection_create.py [options] [--tag=TAG]... KEY URL HISTORY NAME SOURCE...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            a history's id or exact name, or new:NAME for a new one
  NAME               the collection's name
  SOURCE             a file, a folder (with --recursive) or a URL that Galaxy fetches itself; or the id of a dataset in that
                     history, hda:ID for one in any history, ldda:ID or lib:/LIBRARY/FOLDER/NAME for one in a library

Options:
  --type=TYPE        list, paired, list:paired, paired_or_unpaired, list:paired_or_unpaired, list:list, list:list:paired and
                     so on  [default: list]
  -r, --recursive    upload all files in folders
  --lanes=MODE       together: the lanes of one sample and read are one file; separate: each stays one; by default
                     together
  --together=PATTERN  also files whose names differ only in what this regular expression matches: _FC[0-9]+_L[0-9]+
  --ext=DATATYPE     the files' datatype; unless given, by each name (s1.fastq.gz is fastqsanger.gz), else Galaxy's guess
  --dbkey=BUILD      the files' reference genome, such as hg38  [default: ?]
  --deferred         let Galaxy note the URLs only, and fetch the bytes for each job that reads them
  --tag=TAG          a tag for the collection; may be repeated
  --transfers=N      transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --limit-rate=RATE  at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --wait             wait until Galaxy has all in state ok, and compare the files' sizes and hashes
  --timeout=SECONDS  stop waiting after this many seconds in all
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas
  -h, --help         show this help
  --version          show the version

An element is named by its file without the extension that tells the datatype: s1.fastq.gz becomes s1. Pairs are found by
their names: s1_R1.fastq.gz and s1_R2.fastq.gz, or with _1, .1, -R1, _R1_001, _1_val_1, _forward, _fwd in place of _R1,
become forward and reverse of s1; paired_or_unpaired takes one without a mate too, as unpaired. The lanes of Illumina's
files (s1_S1_L001_R1_001.fastq.gz) are sent one after the other; index reads (_I1_001) are no part of pairs. In a list of
lists each folder of files, or of datasets named by their paths, is an outer element. If one has no mate, or two would have
one name, nothing is sent; nor if a checksum beside the files (md5sums.txt, *.md5) does not match. Without --wait nobody
checks whether the files arrive. The same line again after a run that was killed resumes it: what was sent is not sent
again, and the collection is made once. Its ref, hdca:ID, is what dataset_wait.py and others take.

The pairs of a run, first to see which, then with their sizes and hashes compared:
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
    redact,
    report_error,
    run,
    show,
)
from galaxy_api_scripts import releases
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.collections import (
    COLLECTION_TYPES,
    ElementSource,
    arrange_elements,
    collection_problems,
    create_collection_once,
    find_created_collection,
    is_arrangeable,
    nest_elements,
    wait_until_filled,
)
from galaxy_api_scripts.datasets.lanes import join_lanes, parse_lanes, require_match, without_index_reads
from galaxy_api_scripts.datasets.lookup import fetch_library_dataset
from galaxy_api_scripts.datasets.references import (
    fetch_reference,
    parse_tag,
    require_datatype,
    require_dbkey,
    require_readable,
)
from galaxy_api_scripts.datasets.sources import defer, expand_sources, verify_checksums
from galaxy_api_scripts.datasets.target_history import create_history_if_needed, open_target_history
from galaxy_api_scripts.datasets.tus import forget_upload, upload_file
from galaxy_api_scripts.datasets.upload import post_fetch
from galaxy_api_scripts.libraries.contents import resolve_library_paths
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.together import limit_requests
from galaxy_api_scripts.transfers import UP, TransferPool, transfers_option


def main(argv=None):
    args = arguments(__doc__, argv)
    collection_type, name, texts, ext = args["--type"], args["NAME"], args["SOURCE"], args["--ext"] or ""
    timeout, output, tags = int_option(args, "--timeout"), output_options(args), [parse_tag(tag) for tag in args["--tag"]]
    limit_rate(args)
    if not is_arrangeable(collection_type):
        raise GalaxyError(f"--type={collection_type}: expected {', '.join(COLLECTION_TYPES[:-1])} or {COLLECTION_TYPES[-1]}",
                          USAGE)
    if not name.strip():
        raise GalaxyError("NAME is empty: is a variable unset?", USAGE)
    ids, transfers = dataset_ids(texts), limit_requests(transfers_option(args))
    sources, complaints = find_sources(args, ids)
    elements = {} if ids else arrange_elements(collection_type, [
        ElementSource(os.path.basename(source.name), source.path, source) for source in sources])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    with open_target_history(galaxy, args["HISTORY"], sources, dry_run=True) as target:
        history = target.id
    if ids:
        elements = arrange_elements(collection_type, fetch_elements(galaxy, history, resolve_library_paths(galaxy, ids)))
    releases.require_collection_type(galaxy, collection_type)
    require_datatype(galaxy, ext, "--ext")
    require_dbkey(galaxy, args["--dbkey"])
    mismatches = verify_checksums(sources)
    for line in complaints + mismatches:
        report_error(line)
    if mismatches:
        raise GalaxyError("nothing was sent, because checksums do not match")
    if args["--dry-run"]:
        show(element_rows(collection_type, elements), output["format"], output["fields"])
        return SOME_FAILED if complaints else DONE

    about = {"name": name, "collection_type": collection_type, "tags": tags}
    destination = f"{args['HISTORY']} {name}"
    leaves = {identifiers: dict(zip(("src", "id"), part.location.split(":"))) if ids else {}
              for identifiers, part in elements.items()}
    with Checkpoint(galaxy, f"collection {name!r}", "collection", collection_type, destination,
                    *(part.location for part in elements.values())) as checkpoint:
        collection = find_created_collection(galaxy, name, checkpoint)
        if not collection:
            sessions = []
            if not ids:
                leaves, sessions = upload_elements(galaxy, elements, args["--dbkey"], destination, transfers)
            with create_history_if_needed(galaxy, history or checkpoint.data.get("history"), args["HISTORY"]) as history:
                collection = create_collection_once(
                    galaxy, history, name, checkpoint, lambda: create_from_datasets(galaxy, history, about, leaves)
                    if ids else create_from_uploads(galaxy, history, about, leaves, sessions))
        row = {"id": collection["id"], "ref": f"hdca:{collection['id']}", "name": collection["name"],
               "collection_type": collection_type, "elements": len({identifiers[0] for identifiers in elements}),
               "history_id": checkpoint.data["history"]}
        is_table = output["format"] not in ("json", "jsonl", "csv", "tsv", "value")
        show(row, output["format"], output["fields"] or list(row)[is_table:], changed=True)
        problems = collection_problems(galaxy, wait_until_filled(galaxy, collection, timeout),
                                       elements, leaves) if args["--wait"] else []
        for line in problems:
            report_error(line)
        for source in sources:
            forget_upload(galaxy, source.path, destination, source.parts)
        on_success(checkpoint.remove)
    return FAILED if len(problems) == len(elements) else SOME_FAILED if problems or complaints else DONE


def find_sources(args, ids):
    """The files and URLs that the line names, lanes together, and complaints about what can't be uploaded; none if they are
    datasets."""
    if ids and (args["--ext"] or args["--dbkey"] != "?" or args["--recursive"] or args["--deferred"]):
        raise GalaxyError("--ext, --dbkey, --recursive and --deferred are not for datasets, which stay as they are", USAGE)
    ext, lanes = args["--ext"] or "", parse_lanes(args["--lanes"], args["--together"])
    sources, complaints = ([], []) if ids else expand_sources(args["SOURCE"], args["--recursive"], ext)
    if args["--deferred"]:
        sources = defer(sources)
    sources = require_match(sources, lanes)
    return join_lanes(without_index_reads(sources) if "paired" in args["--type"] else sources, lanes, ext), complaints


def dataset_ids(texts):
    """The SOURCEs if they are datasets, as they were typed; [] if they are files."""
    ids = [text for text in texts if re.match(r"(hda|ldda|ld):|lib:/[^/]", text)
           or (re.fullmatch(r"([0-9a-f]{16})+", text) and not os.path.lexists(text))]
    files = [text for text in texts if text not in ids]
    if ids and files:
        raise GalaxyError(f"{ids[0]} is a dataset's id, and {files[0]} none: datasets or files, not both", USAGE)
    return ids


def fetch_elements(galaxy, history, ids):
    """The datasets with their names."""
    contents = galaxy.pages(f"histories/{history}/contents") if history else []
    datasets = {content["id"]: content for content in contents if content["history_content_type"] == "dataset"}
    parts = []
    for text in ids:
        src, _, dataset_id = text.rpartition(":")
        if text not in datasets and not src:
            raise GalaxyError(f"{text}: no file, and no dataset of that history; hda:{text} is one of any history")
        label = f"dataset {dataset_id}"
        if src in ("ldda", "ld"):
            about = require_readable(fetch_library_dataset(galaxy, src, parse_id(dataset_id, f"{src}:ID")), label)
        elif dataset_id in datasets:
            about = require_readable(datasets[dataset_id], label)
        else:
            _, about = fetch_reference(galaxy, "hda", dataset_id, None, label)
        parts.append(ElementSource(about["name"], f"{'ldda' if src in ('ldda', 'ld') else 'hda'}:{about['id']}"))
    return parts


def element_rows(collection_type, elements):
    """A row for each element of a list, or for each pair."""
    rows, is_list = {}, collection_type.endswith("list")
    for identifiers, part in elements.items():
        outer = identifiers if is_list else identifiers[:-1]
        row = rows.setdefault(outer, {"element": "/".join(outer)} if outer else {})
        row["source" if is_list else identifiers[-1]] = redact(part.location)
        if part.source:
            row["extension"] = row.pop("extension", part.source.ext)    # the last column
    return list(rows.values())


def upload_elements(galaxy, elements, dbkey, destination, transfers=1):
    """The elements as a fetch takes them, and the sessions of those that are files, whose bytes are sent first."""
    def send(part):
        parts = {"parts": part.source.parts} if part.source.parts else {}
        return upload_file(galaxy, part.location, destination, keep=True, **parts)

    files = [part for part in elements.values() if not part.source.is_url]
    with TransferPool(min(transfers, len(files) or 1), UP) as pool:
        [(_, sent)] = pool.run([(files, files)], send, lambda part: part.source.size or 0)
    sent_files = iter(sent)
    leaves, sessions = {}, [session for _, session in sent]
    for identifiers, part in elements.items():
        leaf = {"src": "url", "url": part.location} if part.source.is_url else next(sent_files)[0]
        leaves[identifiers] = {**leaf, "ext": part.source.ext, "dbkey": dbkey,
                               **({"deferred": True} if part.source.deferred else {})}
    return leaves, sessions


def create_from_uploads(galaxy, history, about, leaves, sessions):
    """Create the collection by one request; returns it with the `jobs` that fill it."""
    nested = nest_elements(leaves, about["collection_type"], lambda kind, inner: {"elements": inner})
    answer = post_fetch(galaxy, history, [{"destination": {"type": "hdca"}, **about, "elements": nested}], sessions)
    return {**answer["output_collections"][0], "jobs": [job["id"] for job in answer["jobs"]]}


def create_from_datasets(galaxy, history, about, leaves):
    """Create the collection of copies of datasets, as Galaxy's own pages do: they stay when the datasets are deleted."""
    nested = nest_elements(leaves, about["collection_type"], lambda kind, inner: {
        "src": "new_collection", "collection_type": kind, "element_identifiers": inner})
    collection = galaxy.post("dataset_collections", {
        "instance_type": "history", "history_id": history, "copy_elements": True, "element_identifiers": nested, **about})
    if about["tags"]:       # which that request does not take
        galaxy.put(f"histories/{history}/contents/dataset_collections/{collection['id']}", {"tags": about["tags"]})
    return collection


if __name__ == "__main__":
    sys.exit(run(main))
