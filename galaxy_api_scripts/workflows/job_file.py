"""Job files: a value for each input of a workflow, as planemo reads and writes them (YAML or JSON)."""
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import USAGE, GalaxyError, read_text, shorten
from galaxy_api_scripts.datasets.hashing import HASHES, hash_file
from galaxy_api_scripts.datasets.sources import URL_PATTERN, Source, expand_sources, guess_datatype, stem
from galaxy_api_scripts.files import state_folder, state_path, write_atomic
from galaxy_api_scripts.workflows.inputs import (
    CollectionInput,
    DatasetInput,
    InputSpec,
    InputValue,
    InputValues,
    parse_parameter,
    reject_placeholder,
)

FILE_KEYS = {"class", "path", "location", "contents", "galaxy_id", "filetype", "ext", "dbkey", "name", "tags", "hashes",
             "identifier"}
COLLECTION = re.compile(r"(list|paired|paired_or_unpaired|record)(:(list|paired|paired_or_unpaired|record))*|"
                        r"sample_sheet(:(paired|paired_or_unpaired|record))?")      # the types that Galaxy 26.1 knows


def read_job_file(given: InputValues, name: str) -> None:
    """Take a job file (YAML or JSON) as planemo has them, or one of its files of tests where that has one test
    (FILE#N: the N-th of several); paths in it are relative to it."""
    job, folder = _load(name)
    for label, value in job.items():
        fitting = given.find_indexes(str(label))
        if len(fitting) > 1:
            given.problems.append(f"{label!r} is {len(fitting)} inputs, by index or label: name one by its uuid")
        elif not fitting:
            given.report_unknown(str(label))
        elif value is not None:
            if fitting[0] in given.values:
                given.problems.append(f"input {given.specs[fitting[0]].name}: given twice")
            else:
                given.set_value(fitting[0], lambda one=given.specs[fitting[0]], it=value: _of_job(given, one, it, folder))


def _of_job(given: InputValues, one: InputSpec, value: Any, folder: Path) -> InputValue:
    if one.kind == "parameter":
        return parse_parameter(one, value)
    if isinstance(value, list):
        kind = "list" if one.kind == "dataset" else one.type or "list"
        value = {"class": "Collection", "collection_type": kind, "elements": value}
    if not isinstance(value, dict):
        if isinstance(value, str):
            reject_placeholder(value)
        raise GalaxyError(f"it takes a {one.kind}: class: {'File' if one.kind == 'dataset' else 'Collection'}", USAGE)
    made = _element(given, one, value, folder)
    if one.kind == "collection" and isinstance(made, DatasetInput) and made.ref.get("src") != "hdca":
        raise GalaxyError("it takes a collection: class: Collection", USAGE)
    if isinstance(made, CollectionInput) and one.kind == "collection" and one.type:
        given.check_collection(one, DatasetInput("it", {"src": "hdca", "type": made.type}))
    return made


def _element(given: InputValues, one: InputSpec, value: dict[str, Any], folder: Path) -> DatasetInput | CollectionInput:
    kind = value.get("class") or ("Collection" if "elements" in value else "File")
    if kind == "File":
        return _file(given, one, value, folder)
    if kind != "Collection":
        raise GalaxyError(f"class: {kind}: File and Collection are known", USAGE)
    if "galaxy_id" in value:
        return given.check_collection(one, given.resolve(f"galaxy_id: {value['galaxy_id']}", "hdca", str(value["galaxy_id"])))
    elements = value.get("elements")
    if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
        raise GalaxyError("class: Collection wants elements, a list of File or Collection", USAGE)
    type_ = str(value.get("collection_type") or value.get("type") or one.type or "list")
    if not COLLECTION.fullmatch(type_):
        raise GalaxyError(
            f"collection_type: {shorten(type_, 40)}: there are list, paired, list:paired and their like", USAGE)
    made = []
    for number, element in enumerate(elements):
        inner = replace(one, settings={**one.settings, "collection_type": type_.partition(":")[2]})
        inside = _element(given, inner, element, folder)
        name = element.get("identifier") or element.get("name") or (
            stem(inside.name) if isinstance(inside, DatasetInput) and type_ != "paired" else "")
        if not name and type_ == "paired":
            name = ("forward", "reverse")[number] if number < 2 else ""
        made.append((str(name), inside))
    names = [name for name, _ in made]
    for element_name in names:
        reject_placeholder(element_name)
    if "" in names or len(set(names)) < len(names):
        there = ", ".join(name for name in names if name) or "none"
        raise GalaxyError(f"the elements want an identifier each, and there are {there}", USAGE)
    if type_ == "paired" and names != ["forward", "reverse"]:
        raise GalaxyError(f"the elements of a pair are forward and reverse, not {', '.join(names)}", USAGE)
    for element_name, inside in made:
        if (":" in type_) != isinstance(inside, CollectionInput):
            raise GalaxyError(f"a collection of type {type_} can't have the element {element_name!r}", USAGE)
    return CollectionInput(type_, made, str(value.get("name") or ""))


def _file(given: InputValues, one: InputSpec, value: dict[str, Any], folder: Path) -> DatasetInput:
    unknown = sorted(set(map(str, value)) - FILE_KEYS)
    if unknown:
        raise GalaxyError(f"class: File has {', '.join(unknown)}, which is not understood here", USAGE)
    name, ext = str(value.get("name") or ""), str(value.get("filetype") or value.get("ext") or "")
    if "galaxy_id" in value:
        return given.resolve(f"galaxy_id: {value['galaxy_id']}", "hda", str(value["galaxy_id"]))
    text = next((str(value[key]) for key in ("path", "location") if value.get(key)), "")
    if re.match("file://", text):
        text = text[len("file://"):]
    reject_placeholder(text)
    if not text and "contents" not in value:
        raise GalaxyError("class: File wants path, location, contents or galaxy_id", USAGE)
    if text:
        path = text if URL_PATTERN.match(text) else str(folder / os.path.expanduser(text))
    else:
        path, name = _store_contents(str(value["contents"])), name or str(value.get("identifier") or one.name)
    given.check_datatype(ext)
    [source], _ = expand_sources([path], ext=ext)
    if name:
        source = replace(source, name=name, ext=ext or (guess_datatype(name) if source.ext == "auto" else source.ext))
    tags = value.get("tags") or []
    leaf = DatasetInput(path, source=source, name=name or source.name, dbkey=str(value.get("dbkey") or "?"),
                tags=tuple(map(str, tags)) if isinstance(tags, list) else (str(tags),))
    _check_hashes(source, value.get("hashes") or [])
    return given.with_datatype(one, leaf)


def _load(name: str) -> tuple[dict[str, Any], Path]:
    """What is in a job file, and the folder that its paths are relative to."""
    file, number = name, ""
    if not os.path.lexists(name):
        found = re.fullmatch(r"(.*)#([0-9]+)", name, re.DOTALL)
        file, number = found.groups() if found else (name, "")
    import yaml
    try:
        loader = yaml.SafeLoader(read_text(file))
        root = loader.get_single_node()
        twice = next(_duplicate_keys(root, set()), None)
        content = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(error, "problem_mark", None)
        raise GalaxyError(f"{file}: neither YAML nor JSON{f', line {line.line + 1}' if line else ''}", USAGE) from None
    if twice:
        raise GalaxyError(
            f"{file}: line {twice.start_mark.line + 1}: {shorten(str(twice.value), 60)!r} is given twice", USAGE)
    folder = Path(os.path.dirname(os.path.abspath(file)))
    if isinstance(content, list) and content and all(isinstance(test, dict) and "job" in test for test in content):
        if not number and len(content) > 1:
            raise GalaxyError(f"{file}: has {len(content)} tests: {file}#1 is the first of them", USAGE)
        if not 0 <= int(number or 1) - 1 < len(content):
            raise GalaxyError(f"{name}: there are {len(content)} tests", USAGE)
        content = content[int(number or 1) - 1]["job"]
        if isinstance(content, str):
            return _load(str(folder / content))
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise GalaxyError(f"{file}: no job file: a value for each input is wanted, LABEL: VALUE", USAGE)
    return content, folder


def _duplicate_keys(node: Any, met: set[int]) -> Iterator[Any]:
    """The names in a YAML document that a mapping has already: YAML's own reader would take the last of them."""
    if id(node) in met or not isinstance(getattr(node, "value", None), list):
        return
    met.add(id(node))
    names = set()
    for one in node.value:
        if isinstance(one, tuple):      # of a mapping
            if one[0].value in names and isinstance(one[0].value, str):
                yield one[0]
            names |= {one[0].value} if isinstance(one[0].value, str) else set()
        for inner in one if isinstance(one, tuple) else [one]:
            yield from _duplicate_keys(inner, met)


def _store_contents(contents: str) -> str:
    """The path of a file with these contents, the same for the same: so a run that was killed can be gone on with."""
    path = state_path("contents", hashlib.sha256(contents.encode()).hexdigest())
    try:
        state_folder("contents")
        if not path.exists():
            write_atomic(path, contents.encode(), overwrite=True, mode=0o600)
    except OSError as error:
        raise GalaxyError(f"contents: can't be kept in {path.parent}: {error.strerror}", USAGE) from None
    return str(path)


def _check_hashes(source: Source, hashes: Any) -> None:
    """Compare a file with the hashes that a job file has of it."""
    if not isinstance(hashes, list) or not all(isinstance(one, dict) and one.get("hash_value") for one in hashes):
        raise GalaxyError("hashes: a list of hash_function and hash_value is wanted", USAGE)
    for known in hashes:
        kind = str(known.get("hash_function") or "MD5").upper()
        if kind not in HASHES:
            raise GalaxyError(f"{source.path}: the hash function {kind} is not known", USAGE)
        if source.is_url:
            continue
        digest = hash_file(Path(source.path), HASHES[kind])
        if digest != str(known.get("hash_value")).lower():
            raise GalaxyError(f"{source.path}: its {kind} is {digest}, not {known.get('hash_value')}", USAGE)
