"""Job files (YAML or JSON): a value for each input of a workflow, in planemo's form."""
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from common import USAGE, GalaxyError, bool_option, did_you_mean, read_text, report_error, shorten
from galaxy_api_scripts.datasets.composite import join_components
from galaxy_api_scripts.datasets.hashing import HASHES, hash_file
from galaxy_api_scripts.datasets.references import parse_tag, require_datatype, require_dbkey
from galaxy_api_scripts.datasets.sources import URL_PATTERN, Source, expand_sources, guess_datatype, stem
from galaxy_api_scripts.files import state_folder, state_path, write_atomic
from galaxy_api_scripts.workflows.inputs import (
    REFERENCE_PATTERN,
    CollectionInput,
    DatasetInput,
    InputSpec,
    InputValue,
    InputValues,
    absolute_word,
    ambiguous_input,
    check_collection,
    parse_parameter,
    reject_placeholder,
    with_datatype,
)
from galaxy_api_scripts.workflows.sample_sheets import parse_sheet

KEYS = {"File": {"class", "path", "location", "contents", "galaxy_id", "composite_data", "metadata", "filetype", "format",
                 "ext", "dbkey", "name", "tags", "hashes", "decompress", "deferred", "identifier"},
        "Collection": {"class", "collection_type", "type", "elements", "galaxy_id", "name", "identifier", "fields",
                       "column_definitions", "rows"}}
COLLECTION = re.compile(r"(list|paired|paired_or_unpaired|record)(:(list|paired|paired_or_unpaired|record))*|"
                        r"sample_sheet(:(paired|paired_or_unpaired|record))?")      # the types that Galaxy 26.1 knows


def read_job_file(values: InputValues, name: str) -> None:
    """Set the inputs' values from a job file (YAML or JSON) as planemo has them, or from a planemo test file with one test
    (FILE#N: the N-th of several). Paths in it are relative to its folder."""
    job, folder, is_test = _load(name)
    job_file = JobFile(values, folder, is_test)
    for label, value in job.items():
        indexes = values.find_indexes(str(label))
        if len(indexes) > 1:
            values.problems.append(ambiguous_input(label, len(indexes)))
        elif not indexes:
            values.report_unknown(str(label))
        elif value is not None:
            spec = values.specs[indexes[0]]
            if spec.index in values.values:
                values.problems.append(f"input {spec.name}: given twice")
            else:
                values.set_value(spec.index, partial(job_file.parse_value, spec, value))


class JobFile:
    """Parses the values of one file. In a file of tests, which others wrote for planemo, keys that nothing reads are passed
    over with a warning."""

    def __init__(self, values: InputValues, folder: Path, is_test: bool):
        self.values, self.folder, self.is_test = values, folder, is_test

    def parse_value(self, spec: InputSpec, value: Any) -> InputValue:
        if spec.kind == "parameter":
            return parse_parameter(spec, value)
        words = value if isinstance(value, list) else [value]
        if words and all(isinstance(word, str) for word in words):      # as a command line has them
            for word in words:
                reject_placeholder(word)
            return self.values.parse_value(spec, [absolute_word(str(self.folder), word) for word in words])
        return _parse_value(self, spec, value)

    def check_keys(self, kind: str, value: dict[str, Any]) -> None:
        """Raise `GalaxyError` (USAGE) for a key that a File or Collection does not have; of a test, report it."""
        for key in map(str, value):
            if key not in KEYS[kind]:
                self.pass_over(f"class: {kind} has {shorten(key, 40)}, which this script does not know",
                               did_you_mean(key, KEYS[kind]))

    def pass_over(self, problem: str, advice: str = "") -> None:
        """Raise `GalaxyError` (USAGE) for what has no effect; of a test, report it."""
        if not self.is_test:
            raise GalaxyError(f"{problem}{advice}", USAGE)
        report_error(f"warning: {problem}: it is passed over")


def _parse_value(job: JobFile, spec: InputSpec, value: Any) -> InputValue:
    if isinstance(value, list):
        kind = "list" if spec.kind == "dataset" else spec.type or "list"
        value = {"class": "Collection", "collection_type": kind, "elements": value}
    if not isinstance(value, dict):
        raise GalaxyError(f"takes a {spec.kind}: class: {'File' if spec.kind == 'dataset' else 'Collection'}", USAGE)
    if spec.type == "record" and value and all(isinstance(each, dict) and each.get("class") for each in value.values()):
        elements = [{**each, "identifier": name} for name, each in value.items()]      # planemo's short form
        value = {"class": "Collection", "collection_type": "record", "elements": elements}
    parsed = _parse_element(job, spec, value)
    if spec.kind == "collection" and isinstance(parsed, DatasetInput) and parsed.ref.get("src") != "hdca":
        raise GalaxyError("takes a collection: class: Collection", USAGE)
    if isinstance(parsed, CollectionInput):
        check_collection(spec, DatasetInput("it", collection_type=parsed.type))
    return parsed


def _parse_element(job: JobFile, spec: InputSpec, value: dict[str, Any]) -> DatasetInput | CollectionInput:
    kind = value.get("class") or ("Collection" if "elements" in value else "File")
    if kind not in KEYS:
        raise GalaxyError(f"class: {kind}: expected File or Collection", USAGE)
    job.check_keys(kind, value)
    if kind == "File":
        return _parse_file(job, spec, value)
    if "galaxy_id" in value:
        return check_collection(spec, _find(job, f"galaxy_id: {value['galaxy_id']}", str(value["galaxy_id"]), "hdca"))
    return _parse_collection(job, spec, value)


def _find(job: JobFile, label: str, text: str, src: str) -> DatasetInput:
    """The data that Galaxy has as SRC:ID, or, of a bare id, as what `src` says."""
    reference = REFERENCE_PATTERN.fullmatch(text)
    return job.values.resolve(label, *(reference.groups() if reference else (src, text)))


def _parse_collection(job: JobFile, spec: InputSpec, value: dict[str, Any]) -> CollectionInput:
    members = value.get("elements")
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise GalaxyError("class: Collection needs elements, a list of File or Collection", USAGE)
    kind = str(value.get("collection_type") or value.get("type") or spec.type or "list")
    if not COLLECTION.fullmatch(kind):
        raise GalaxyError(f"collection_type: {shorten(kind, 40)}: expected list, paired, list:paired or another "
                          "of Galaxy's", USAGE)
    if ":" in kind and "record" in kind.split(":"):     # Galaxy 26.1 takes no fields for those inside a list
        raise GalaxyError(f"a collection of type {kind} can't be made here: make it in Galaxy and give it as galaxy_id: ID",
                          USAGE)
    inner = replace(spec, settings={**spec.settings, "collection_type": kind.partition(":")[2]})
    elements: list[tuple[str, DatasetInput | CollectionInput]] = []
    for number, member in enumerate(members):
        element = _parse_element(job, inner, member)
        name = member.get("identifier") or member.get("name") or (
            stem(element.name) if isinstance(element, DatasetInput) and not kind.startswith("paired") else "")
        if not name and kind in ("paired", "paired_or_unpaired"):
            name = "unpaired" if len(members) == 1 and kind != "paired" else ("forward", "reverse", "")[min(number, 2)]
        elements.append((str(name), element))
    names = [name for name, _ in elements]
    for name in names:
        reject_placeholder(name)
    if "" in names or len(set(names)) < len(names):
        raise GalaxyError("each element needs an identifier of its own; they have "
                          f"{', '.join(name for name in names if name) or 'none'}", USAGE)
    if kind == "paired" and names != ["forward", "reverse"]:
        raise GalaxyError(f"the elements of a pair are forward and reverse, not {', '.join(names)}", USAGE)
    if kind == "paired_or_unpaired" and names not in (["forward", "reverse"], ["unpaired"]):
        raise GalaxyError(f"the elements are forward and reverse, or unpaired alone, not {', '.join(names)}", USAGE)
    for name, element in elements:
        if (":" in kind) != isinstance(element, CollectionInput):
            raise GalaxyError(f"a collection of type {kind} can't have the element {name!r}", USAGE)
    extras = _parse_record(spec, value, names) if kind == "record" else parse_sheet(spec, value, names, kind)
    if kind == "record":
        order = [each["name"] for each in extras["fields"]]
        elements.sort(key=lambda element: order.index(element[0]))
    return CollectionInput(kind, elements, str(value.get("name") or ""), extras)


def _parse_record(spec: InputSpec, value: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The `fields` that a request for a record needs: the job file's, else the input's, else a file for each element."""
    fields = value.get("fields") or spec.settings.get("fields") or [{"name": name, "type": "File"} for name in names]
    expected = [str(each.get("name")) for each in fields]
    if set(names) != set(expected):
        raise GalaxyError(f"the elements of the record are {', '.join(expected)}, not {', '.join(names)}", USAGE)
    return {"fields": fields}


def _parse_file(job: JobFile, spec: InputSpec, value: dict[str, Any]) -> DatasetInput:
    galaxy, name = job.values.resolver.galaxy, str(value.get("name") or "")
    text = next((str(value[key]) for key in ("location", "path") if value.get(key)), "")
    if "galaxy_id" in value:
        return _find(job, f"galaxy_id: {value['galaxy_id']}", str(value["galaxy_id"]), "hda")
    if REFERENCE_PATTERN.fullmatch(text):
        return _find(job, text, text, "hda")
    source = _parse_source(job, spec, value, text, name)
    tags, dbkey = value.get("tags") or [], str(value.get("dbkey") or "?")
    require_dbkey(galaxy, dbkey, "dbkey")
    place = ", ".join(component.path for component in source.components) or source.path
    dataset = DatasetInput(place, source=source, name=name or source.name, dbkey=dbkey,
                           tags=tuple(parse_tag(str(tag), "tags") for tag in (tags if isinstance(tags, list) else [tags])))
    return dataset if source.components else with_datatype(spec, dataset)


def _parse_source(job: JobFile, spec: InputSpec, value: dict[str, Any], text: str, name: str) -> Source:
    """The source that a File names by its `composite_data`, by the path or URL `text`, or by its `contents`."""
    galaxy = job.values.resolver.galaxy
    ext = next((str(value[key]) for key in ("filetype", "format", "ext") if value.get(key)), "")
    deferred, decompress = (bool_option(str(value.get(key) or "false"), key) for key in ("deferred", "decompress"))
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise GalaxyError("metadata: expected NAME: VALUE for each", USAGE)
    if value.get("composite_data"):
        for key, is_given in (("deferred", deferred), ("decompress", decompress), ("hashes", value.get("hashes"))):
            if is_given:
                job.pass_over(f"{key} is not for composite_data: Galaxy fetches, keeps and checks its files as they are")
        parts = value["composite_data"] if isinstance(value["composite_data"], list) else [value["composite_data"]]
        texts = [next((str(part[key]) for key in ("location", "path") if part.get(key)), "") if isinstance(part, dict)
                 else str(part) for part in parts]
        sources, _ = expand_sources([_absolute_path(job, part) for part in texts])
        return join_components(galaxy, sources, ext, name, "filetype",
                               tuple((str(key), str(each)) for key, each in metadata.items()))
    if metadata:
        job.pass_over("metadata is for composite_data only: of one file, Galaxy finds it out itself")
    reject_placeholder(text)
    if not text and "contents" not in value:
        raise GalaxyError("class: File needs path, location, contents, composite_data or galaxy_id", USAGE)
    if text:
        path = _absolute_path(job, text)
    else:
        path, name = _store_contents(str(value["contents"])), name or str(value.get("identifier") or spec.name)
    require_datatype(galaxy, ext, "filetype")
    if deferred and not URL_PATTERN.match(path):
        raise GalaxyError(f"{text or 'contents'}: deferred is for what Galaxy can fetch: a URL", USAGE)
    [source], _ = expand_sources([path], ext=ext)
    if name:
        source = replace(source, name=name, ext=ext or (guess_datatype(name) if source.ext == "auto" else source.ext))
    if decompress and not ext:
        source = replace(source, ext=guess_datatype(re.sub(r"\.(gz|bz2)$", "", source.name)))
    return replace(_with_hashes(source, value.get("hashes") or []), deferred=deferred, decompress=decompress)


def _absolute_path(job: JobFile, text: str) -> str:
    """A path or URL of a job file, whose paths are relative to it."""
    reject_placeholder(text)
    text = text.removeprefix("file://")
    return text if URL_PATTERN.match(text) else str(job.folder / os.path.expanduser(text))


def _load(name: str) -> tuple[dict[str, Any], Path, bool]:
    """A job file's content, the folder that its paths are relative to, and whether it is a test's. Its values are texts, as
    they stand in the file: which are numbers or truth values, the workflow's inputs say. YAML's own types would make `010`
    8, and `NO` false."""
    numbered = None if os.path.lexists(name) else re.fullmatch(r"(.*)#([0-9]+)", name, re.DOTALL)
    file, number = numbered.groups() if numbered else (name, "")
    import yaml
    try:
        loader = yaml.SafeLoader(read_text(file))
        kept = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
        loader.yaml_implicit_resolvers = {first: [entry for entry in entries if entry[0] in kept]
                                          for first, entries in loader.yaml_implicit_resolvers.items()}
        root = loader.get_single_node()
        # Of a file of tests only the jobs count: what the outputs must have is often written with a key twice.
        tests = root.value if isinstance(root, yaml.SequenceNode) else []
        jobs = [value for test in tests if isinstance(test, yaml.MappingNode)
                for key, value in test.value if key.value == "job"]
        duplicate = next((key for node in jobs or [root] for key in _duplicate_keys(node, set())), None)
        content = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(error, "problem_mark", None)
        raise GalaxyError(f"{file}: neither YAML nor JSON{f', line {line.line + 1}' if line else ''}", USAGE) from None
    if duplicate:
        line = duplicate.start_mark.line + 1
        raise GalaxyError(f"{file}: line {line}: {shorten(str(duplicate.value), 60)!r} is given twice", USAGE)
    folder = Path(os.path.dirname(os.path.abspath(file)))
    if isinstance(content, list) and content and all(isinstance(test, dict) and "job" in test for test in content):
        if not number and len(content) > 1:
            raise GalaxyError(f"{file}: has {len(content)} tests: choose one, the first by {file}#1", USAGE)
        if not 0 <= int(number or 1) - 1 < len(content):
            raise GalaxyError(f"{name}: the file has {len(content)} tests", USAGE)
        content = content[int(number or 1) - 1]["job"]
        if isinstance(content, str):
            return (*_load(str(folder / content))[:2], True)
        return content or {}, folder, True
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise GalaxyError(f"{file}: not a job file: expected LABEL: VALUE for each input", USAGE)
    return content, folder, False


def _duplicate_keys(node: Any, visited: set[int]) -> Iterator[Any]:
    """The nodes of keys that a mapping of a YAML document has twice: YAML's own loader takes the last value silently."""
    if id(node) in visited or not isinstance(getattr(node, "value", None), list):
        return
    visited.add(id(node))
    names = set()
    for child in node.value:
        if isinstance(child, tuple) and isinstance(child[0].value, str):      # a key and its value
            if child[0].value in names:
                yield child[0]
            names.add(child[0].value)
        for inner in child if isinstance(child, tuple) else [child]:
            yield from _duplicate_keys(inner, visited)


def _store_contents(contents: str) -> str:
    """The path of a file with these contents, always the same one, so that a run that was killed is resumed."""
    path = state_path("contents", hashlib.sha256(contents.encode()).hexdigest())
    try:
        state_folder("contents")
        if not path.exists():
            write_atomic(path, contents.encode(), overwrite=True, mode=0o600)
    except OSError as error:
        raise GalaxyError(f"contents: can't be stored in {path.parent}: {error.strerror}", USAGE) from None
    return str(path)


def _with_hashes(source: Source, hashes: Any) -> Source:
    """The source with the hashes that the job file gives for a URL, which Galaxy compares when it fetches that. Raise
    `GalaxyError` (USAGE) where a file does not have one."""
    if not isinstance(hashes, list) or not all(isinstance(entry, dict) and entry.get("hash_value") for entry in hashes):
        raise GalaxyError("hashes: expected a list of hash_function and hash_value", USAGE)
    known = []
    for entry in hashes:
        function, value = str(entry.get("hash_function") or "MD5").upper(), str(entry["hash_value"]).lower()
        if function not in HASHES:
            raise GalaxyError(f"{source.path}: unknown hash function {function}: expected one of {', '.join(HASHES)}", USAGE)
        known.append((function, value))
        digest = value if source.is_url else hash_file(Path(source.path), HASHES[function])
        if digest != value:
            raise GalaxyError(f"{source.path}: its {function} is {digest}, not {entry['hash_value']}", USAGE)
    return replace(source, hashes=tuple(known)) if source.is_url else source
