"""What a workflow's inputs are given, by a command line or a job file: read, checked, and as an invocation takes it.

Nothing is sent from here but questions. Everything that is wrong is collected, so that it can be told at once.
"""
from __future__ import annotations

import difflib
import glob
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common import USAGE, Galaxy, Refused, one_line, read_text, short, yes_or_no
from elements import TYPES, Part, arranged
from libraries import Folder, library_named, tree
from records import state_folder
from sources import URL, Source, datatype, found, stem

REF = re.compile(r"(hda|hdca|ldda|ld|hid|lib):(.*)", re.DOTALL)
KINDS = {"data_input": "dataset", "data_collection_input": "collection", "parameter_input": "parameter"}
FILE_KEYS = {"class", "path", "location", "contents", "galaxy_id", "filetype", "ext", "dbkey", "name", "tags", "hashes",
             "identifier"}
COLLECTION = re.compile(r"(list|paired|paired_or_unpaired|record)(:(list|paired|paired_or_unpaired|record))*|"
                        r"sample_sheet(:(paired|paired_or_unpaired|record))?")      # the types that Galaxy 26.1 knows
HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}      # Galaxy's words, and hashlib's


# ----------------------------------------------------------------------------------------------------- what is asked for

@dataclass
class Asked:
    """An input of a workflow: what it is called, and what it takes."""

    index: str
    label: str
    uuid: str
    kind: str                   # dataset, collection or parameter
    about: dict[str, Any]       # what its step says: format, collection_type, parameter_type, default, restrictions, ...

    @property
    def type(self) -> str:
        """Of a collection, such as list:paired, or of a parameter, such as integer; "" for any."""
        return str(self.about.get("collection_type") or self.about.get("parameter_type") or "")

    @property
    def name(self) -> str:
        """What messages call it."""
        return one_line(self.label) or self.index

    @property
    def needed(self) -> bool:
        return not self.about.get("optional") and self.about.get("default") is None

    @property
    def choices(self) -> list[Any]:
        """The values that a parameter may have; [] where there is no such list."""
        given = self.about.get("restrictions") or []
        return [one.get("value") if isinstance(one, dict) else one for one in given]


def asked(workflow: dict[str, Any]) -> dict[str, Asked]:
    """`{index: input}` of a workflow as `GET /api/workflows/ID` describes it."""
    inputs = {}
    for index, known in workflow["inputs"].items():
        step = workflow["steps"].get(index, {})
        inputs[index] = Asked(index, known.get("label") or "", known.get("uuid") or "",
                              KINDS.get(step.get("type"), "dataset"), step.get("tool_inputs") or {})
    return inputs


# --------------------------------------------------------------------------------------------------------- what is given

@dataclass
class Leaf:
    """A dataset or collection that Galaxy has (`ref`), or a file or URL that is to become a dataset (`source`)."""

    place: str                                              # as it was typed
    ref: dict[str, str] = field(default_factory=dict)       # {"src": ..., "id": ...}
    source: Source | None = None
    name: str = ""
    dbkey: str = "?"
    tags: tuple[str, ...] = ()


@dataclass
class Group:
    """A collection that is to be made of elements, which have an identifier each."""

    type: str
    elements: list[tuple[str, Leaf | Group]]
    name: str = ""


Value = Any     # a Leaf, a Group, or a parameter's value


def leaves(value: Value) -> Iterator[Leaf]:
    """All the datasets that a value is made of."""
    if isinstance(value, Leaf):
        yield value
    elif isinstance(value, Group):
        for _, element in value.elements:
            yield from leaves(element)


class Given:
    """The values of a workflow's inputs, `{index: value}`, and the `problems` that there are with them, one line each.

    `history` is the one that the run goes to, where it is there already: `hid:N` is looked up in it.
    """

    def __init__(self, galaxy: Galaxy, workflow: dict[str, Any], history: str = ""):
        self.galaxy, self.workflow, self.history = galaxy, workflow, history
        self.asked = asked(workflow)
        self.values: dict[str, Value] = {}
        self.problems: list[str] = []
        self._folders: dict[tuple[str, ...], Folder | None] = {}    # of libraries

    # ------------------------------------------------------------------------------------------- from a command line

    def take_words(self, texts: list[str]) -> None:
        """Take `INPUT=VALUE` words; several of one input are several values of it."""
        words: dict[str, list[str]] = {}
        for text in texts:
            index, value = self._split(text)
            if index:
                words.setdefault(index, []).append(value)
        for index, values in words.items():
            self._set(index, lambda one=self.asked[index], many=values: self._of_words(one, many))

    def _split(self, text: str) -> tuple[str, str]:
        """The index of the input that a word names, "" where it is none, and the value; a name may have = in it."""
        ends = [place for place, letter in enumerate(text) if letter == "="]
        if not ends:
            self.problems.append(f"{short(text, 60)!r} is not INPUT=VALUE")
            return "", ""
        for end in ends:
            fitting = self._named(text[:end])
            if len(fitting) == 1:
                return fitting[0], text[end + 1:]
            if fitting:
                self.problems.append(f"{text[:end]!r} is {len(fitting)} inputs, by index or label: name one by its uuid")
                return "", ""
        self._unknown(text[:ends[0]])
        return "", ""

    def _named(self, name: str) -> list[str]:
        return [one.index for one in self.asked.values() if name in (one.index, one.label, one.uuid)]

    def _unknown(self, name: str) -> None:
        near = difflib.get_close_matches(name, [one.label for one in self.asked.values() if one.label], 1)
        self.problems.append(f"there is no input {short(name, 60)!r}{f': did you mean {near[0]!r}?' if near else ''}")

    def _set(self, index: str, value: Any) -> None:
        """Keep what `value()` returns, or note why it can't be had."""
        try:
            self.values[index] = value()
        except Refused as error:
            if error.exit_code != USAGE and error.status not in (400, 403, 404):
                raise
            self.problems.append(f"input {self.asked[index].name}: {error}")

    def _of_words(self, one: Asked, words: list[str]) -> Value:
        if one.kind == "parameter":
            if len(words) > 1 and not one.about.get("multiple"):
                raise Refused(f"given {len(words)} times, and it takes one value", USAGE)
            return self.parameter(one, words if one.about.get("multiple") else words[0])
        parts = [part for word in words for part in self._parts(word)]
        if not parts:
            raise Refused(f"{', '.join(words)}: there is nothing in it", USAGE)
        collections = [part for part in parts if part.ref.get("src") == "hdca"]
        if collections and len(parts) > 1:
            raise Refused(f"{collections[0].place} is a collection, and takes nothing beside it", USAGE)
        if collections:
            return self._fitting(one, collections[0])
        single = len(parts) == 1 and not self._is_folder(words[0])
        if one.kind == "dataset" and single:
            return self._typed(one, parts[0])
        kind = "list" if one.kind == "dataset" else one.type or "list"      # a list is mapped over
        if kind not in TYPES:
            raise Refused(f"it takes a collection of type {kind}, which hdca:ID or a job file can give", USAGE)
        arrangement = arranged(kind, [Part(leaf.name, leaf.place) for leaf in parts])
        placed = {names: self._typed(one, next(leaf for leaf in parts if (leaf.name, leaf.place) == (part.name, part.place)))
                  for names, part in arrangement.items()}
        if kind != "list:paired":
            return Group(kind, [(names[-1], part) for names, part in placed.items()])
        samples: dict[str, Group] = {}
        for (sample, mate), part in placed.items():
            samples.setdefault(sample, Group("paired", [])).elements.append((mate, part))
        return Group(kind, list(samples.items()))

    @staticmethod
    def _is_folder(word: str) -> bool:
        return os.path.isdir(word) or (glob.has_magic(word) and not os.path.lexists(word) and not URL.match(word))

    def _parts(self, word: str) -> list[Leaf]:
        """What one VALUE of a dataset or collection stands for."""
        if not word:
            raise Refused("its value is empty: is a variable unset?", USAGE)
        reference = REF.fullmatch(word)
        if reference:
            return [self._there(word, reference[1], reference[2])]
        paths = [word]
        if glob.has_magic(word) and not os.path.lexists(word) and not URL.match(word):
            paths = sorted(glob.glob(word))
            if not paths:
                raise Refused(f"{word}: no such file", USAGE)
        sources, complaints = found(paths, recursive=True)
        if complaints:
            raise Refused(complaints[0], USAGE)
        return [Leaf(source.path, source=source, name=os.path.basename(source.name)) for source in sources]

    # ------------------------------------------------------------------------------------------------ what Galaxy has

    def _there(self, place: str, src: str, name: str) -> Leaf:
        """What is in Galaxy already, asked for, so that what is deleted or somebody else's is told."""
        if src == "lib":
            return self._in_library(place, name)
        if src == "hid":
            return self._numbered(place, name)
        if not re.fullmatch(r"[\w-]+", name):
            raise Refused(f"{place}: no id", USAGE)
        try:
            if src == "hdca":
                about = self.galaxy.get(f"dataset_collections/{name}", {"view": "collection"})
            elif src == "ldda":     # Galaxy 26.1 tells of one only where it is kept
                about = {"name": name, **self.galaxy.get(f"datasets/{name}/storage", {"hda_ldda": "ldda"})}
            else:
                about = self.galaxy.get(f"libraries/datasets/{name}" if src == "ld" else f"datasets/{name}")
        except Refused as error:
            if error.status in (400, 403, 404):
                why = "no id of anything there" if error.status == 400 else error.err_msg or error
                raise Refused(f"{place}: {why}", USAGE) from None
            raise
        return self._usable(place, {"src": src, "id": name}, about)

    @staticmethod
    def _usable(place: str, ref: dict[str, str], about: dict[str, Any]) -> Leaf:
        state = about.get("populated_state") if ref["src"] == "hdca" else about.get("state")
        if about.get("deleted") or state in ("error", "discarded", "failed"):
            raise Refused(f"{place}: is {'deleted' if about.get('deleted') else f'in state {state}'}", USAGE)
        leaf = Leaf(place, ref, name=about.get("name") or ref["id"])
        leaf.ref = {**ref, **({"type": about["collection_type"]} if about.get("collection_type") else {})}
        return leaf

    def _numbered(self, place: str, hid: str) -> Leaf:
        """The dataset or collection of that number in the history."""
        if not self.history:
            raise Refused(f"{place}: a number wants a history that is there: --history=ID", USAGE)
        if not re.fullmatch("[1-9][0-9]{0,9}", hid):
            raise Refused(f"{place}: no number of a history", USAGE)
        ask = {"q": "hid-eq", "qv": hid, "v": "dev"}
        there = [one for one in self.galaxy.pages(f"histories/{self.history}/contents", ask) if str(one["hid"]) == hid]
        alive = [one for one in there if not one.get("deleted")] or there
        if len(alive) != 1:
            raise Refused(f"{place}: the history has {len(alive) or 'nothing'} of that number", USAGE)
        src = "hda" if alive[0]["history_content_type"] == "dataset" else "hdca"
        return self._usable(place, {"src": src, "id": alive[0]["id"]}, alive[0])

    def _in_library(self, place: str, path: str) -> Leaf:
        """The dataset of a library at `/LIBRARY/FOLDER/NAME`."""
        library, *folders, name = path.strip("/").split("/") if "/" in path.strip("/") else ("", "")
        if not library or not name:
            raise Refused(f"{place}: lib:/LIBRARY/FOLDER/NAME is wanted", USAGE)
        where = (library, *folders)
        if where not in self._folders:
            about = library_named(self.galaxy, library)
            if not about:
                raise Refused(f"{place}: there is no library {library!r}", USAGE)
            self._folders[where] = tree(self.galaxy, "", about["root_folder_id"], [tuple(folders)]).get(tuple(folders))
        there = self._folders[where]
        found = there.named(name) if there else []
        if len(found) != 1:
            raise Refused(f"{place}: the library has {len(found) or 'nothing'} of that name", USAGE)
        return self._usable(place, {"src": "ld", "id": found[0]["id"]}, found[0])

    def _fitting(self, one: Asked, leaf: Leaf) -> Leaf:
        """A collection that Galaxy has, where it is what the input takes, or can be mapped over."""
        kind = leaf.ref.pop("type", "")
        wanted = one.type if one.kind == "collection" else ""
        if wanted and kind and not (kind == wanted or kind.endswith(f":{wanted}") or "paired_or_unpaired" in wanted
                                    or wanted.startswith("sample_sheet") or kind.startswith("sample_sheet")):
            raise Refused(f"{leaf.place} is a collection of type {kind}, and it takes {wanted}", USAGE)
        return leaf

    @staticmethod
    def _typed(one: Asked, leaf: Leaf) -> Leaf:
        """The leaf with the one datatype that the input takes, where its name tells none."""
        leaf.ref.pop("type", None)
        formats = [name for name in one.about.get("format") or [] if name != "data"]
        told = leaf.source.ext if leaf.source else ""
        if leaf.source and len(formats) == 1 and (told == "auto" or (told, formats[0]) == ("txt", "tabular")):
            leaf.source = replace(leaf.source, ext=formats[0])
        return leaf

    # -------------------------------------------------------------------------------------------------- parameters

    def parameter(self, one: Asked, value: Any) -> Any:
        """The value as the workflow wants it, from text or from a job file; a usage error where it is another kind."""
        if isinstance(value, list):
            if not one.about.get("multiple"):
                raise Refused("it takes one value, not a list", USAGE)
            return [self.parameter(replace(one, about={**one.about, "multiple": False}), part) for part in value]
        if one.about.get("multiple"):
            return [self.parameter(replace(one, about={**one.about, "multiple": False}), value)]
        if isinstance(value, dict):
            raise Refused(f"it is a parameter ({one.type}), and takes no file", USAGE)
        if isinstance(value, str):
            _filled_in(value)
        if isinstance(value, str) and REF.fullmatch(value) and one.type != "text":
            raise Refused(f"it is a parameter ({one.type}), and takes no dataset", USAGE)
        made = self._as(one.type, value)
        if one.choices and made not in one.choices:
            raise Refused(f"{value!r} is none of {', '.join(map(str, one.choices))}", USAGE)
        self._within(one, made)
        return made

    @staticmethod
    def _as(kind: str, value: Any) -> Any:
        text = str(value).strip()
        if kind == "integer" and not isinstance(value, bool) and re.fullmatch("[+-]?[0-9]{1,18}", text):
            return int(text)
        if kind == "float" and not isinstance(value, bool):
            try:
                return float(text)
            except ValueError:
                pass
        if kind == "boolean":
            return value if isinstance(value, bool) else yes_or_no(text, "its value")
        if kind in ("color", "colour") and re.fullmatch("#[0-9a-fA-F]{6}", text):
            return text
        if kind in ("integer", "float", "color", "colour"):
            form = "#rrggbb" if kind.startswith("colo") else f"{'an' if kind[0] == 'i' else 'a'} {kind}"
            raise Refused(f"{short(text, 40)!r} is not {form}", USAGE)
        return ("true" if value else "false") if isinstance(value, bool) else str(value)

    @staticmethod
    def _within(one: Asked, value: Any) -> None:
        """Refuse what the input's own validators would."""
        limits = [{**one.about, "type": "in_range"}, *(one.about.get("validators") or [])]
        for limit in limits:
            low, high = limit.get("min"), limit.get("max")
            if limit.get("type") == "in_range" and isinstance(value, (int, float)) and not isinstance(value, bool) and (
                    (low is not None and value < float(low)) or (high is not None and value > float(high))):
                bounds = " to ".join(str(bound) for bound in (low, high) if bound is not None)
                raise Refused(f"{value} is not within {bounds}", USAGE)

    # -------------------------------------------------------------------------------------------------- a job file

    def take_job(self, name: str) -> None:
        """Take a job file (YAML or JSON) as planemo has them, or one of its files of tests where that has one test
        (FILE#N: the N-th of several); paths in it are relative to it."""
        job, folder = _job(name)
        for label, value in job.items():
            fitting = self._named(str(label))
            if len(fitting) > 1:
                self.problems.append(f"{label!r} is {len(fitting)} inputs, by index or label: name one by its uuid")
            elif not fitting:
                self._unknown(str(label))
            elif value is not None:
                if fitting[0] in self.values:
                    self.problems.append(f"input {self.asked[fitting[0]].name}: given twice")
                else:
                    self._set(fitting[0], lambda one=self.asked[fitting[0]], it=value: self._of_job(one, it, folder))

    def _of_job(self, one: Asked, value: Any, folder: Path) -> Value:
        if one.kind == "parameter":
            return self.parameter(one, value)
        if isinstance(value, list):
            kind = "list" if one.kind == "dataset" else one.type or "list"
            value = {"class": "Collection", "collection_type": kind, "elements": value}
        if not isinstance(value, dict):
            if isinstance(value, str):
                _filled_in(value)
            raise Refused(f"it takes a {one.kind}: class: {'File' if one.kind == 'dataset' else 'Collection'}", USAGE)
        made = self._element(one, value, folder)
        if one.kind == "collection" and isinstance(made, Leaf) and made.ref.get("src") != "hdca":
            raise Refused("it takes a collection: class: Collection", USAGE)
        if isinstance(made, Group) and one.kind == "collection" and one.type:
            self._fitting(one, Leaf("it", {"src": "hdca", "type": made.type}))
        return made

    def _element(self, one: Asked, value: dict[str, Any], folder: Path) -> Leaf | Group:
        kind = value.get("class") or ("Collection" if "elements" in value else "File")
        if kind == "File":
            return self._file(one, value, folder)
        if kind != "Collection":
            raise Refused(f"class: {kind}: File and Collection are known", USAGE)
        if "galaxy_id" in value:
            return self._fitting(one, self._there(f"galaxy_id: {value['galaxy_id']}", "hdca", str(value["galaxy_id"])))
        elements = value.get("elements")
        if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
            raise Refused("class: Collection wants elements, a list of File or Collection", USAGE)
        type_ = str(value.get("collection_type") or value.get("type") or one.type or "list")
        if not COLLECTION.fullmatch(type_):
            raise Refused(f"collection_type: {short(type_, 40)}: there are list, paired, list:paired and their like", USAGE)
        made = []
        for number, element in enumerate(elements):
            inner = replace(one, about={**one.about, "collection_type": type_.partition(":")[2]})
            inside = self._element(inner, element, folder)
            name = element.get("identifier") or element.get("name") or (
                stem(inside.name) if isinstance(inside, Leaf) and type_ != "paired" else "")
            if not name and type_ == "paired":
                name = ("forward", "reverse")[number] if number < 2 else ""
            made.append((str(name), inside))
        names = [name for name, _ in made]
        for element_name in names:
            _filled_in(element_name)
        if "" in names or len(set(names)) < len(names):
            there = ", ".join(name for name in names if name) or "none"
            raise Refused(f"the elements want an identifier each, and there are {there}", USAGE)
        if type_ == "paired" and names != ["forward", "reverse"]:
            raise Refused(f"the elements of a pair are forward and reverse, not {', '.join(names)}", USAGE)
        for element_name, inside in made:
            if (":" in type_) != isinstance(inside, Group):
                raise Refused(f"a collection of type {type_} can't have the element {element_name!r}", USAGE)
        return Group(type_, made, str(value.get("name") or ""))

    def _file(self, one: Asked, value: dict[str, Any], folder: Path) -> Leaf:
        unknown = sorted(set(map(str, value)) - FILE_KEYS)
        if unknown:
            raise Refused(f"class: File has {', '.join(unknown)}, which is not understood here", USAGE)
        name, ext = str(value.get("name") or ""), str(value.get("filetype") or value.get("ext") or "")
        if "galaxy_id" in value:
            return self._there(f"galaxy_id: {value['galaxy_id']}", "hda", str(value["galaxy_id"]))
        text = next((str(value[key]) for key in ("path", "location") if value.get(key)), "")
        if re.match("file://", text):
            text = text[len("file://"):]
        _filled_in(text)
        if not text and "contents" not in value:
            raise Refused("class: File wants path, location, contents or galaxy_id", USAGE)
        if text:
            path = text if URL.match(text) else str(folder / os.path.expanduser(text))
        else:
            path, name = _kept(str(value["contents"])), name or str(value.get("identifier") or one.name)
        [source], _ = found([path], ext=ext)
        if name:
            source = replace(source, name=name, ext=ext or (datatype(name) if source.ext == "auto" else source.ext))
        tags = value.get("tags") or []
        leaf = Leaf(path, source=source, name=name or source.name, dbkey=str(value.get("dbkey") or "?"),
                    tags=tuple(map(str, tags)) if isinstance(tags, list) else (str(tags),))
        _compared(source, value.get("hashes") or [])
        return self._typed(one, leaf)

    # ------------------------------------------------------------------------------------------------ what is missing

    def look_for_missing(self) -> None:
        """Note the inputs that must be given and are not."""
        for one in self.asked.values():
            if one.needed and one.index not in self.values and \
                    not any(problem.startswith(f"input {one.name}:") for problem in self.problems):
                form = {"dataset": "a file, URL or hda:ID", "collection": "files, a folder or hdca:ID"}
                self.problems.append(f"input {one.name}: is missing: {one.name}=VALUE gives it "
                                     f"{form.get(one.kind) or f'its value ({one.type})'}")


def _filled_in(text: str) -> None:
    """Refuse what planemo's templates, and ours, have where something is to be filled in."""
    if re.fullmatch("todo_(param_value|element_name|test_data_path.*)", text.rsplit("/", 1)[-1]):
        raise Refused(f"{text} is a placeholder: fill it in", USAGE)


def _job(name: str) -> tuple[dict[str, Any], Path]:
    """What is in a job file, and the folder that its paths are relative to."""
    file, number = name, ""
    if not os.path.lexists(name):
        found = re.fullmatch(r"(.*)#([0-9]+)", name, re.DOTALL)
        file, number = found.groups() if found else (name, "")
    import yaml
    try:
        loader = yaml.SafeLoader(read_text(file))
        root = loader.get_single_node()
        twice = next(_doubled(root, set()), None)
        content = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(error, "problem_mark", None)
        raise Refused(f"{file}: neither YAML nor JSON{f', line {line.line + 1}' if line else ''}", USAGE) from None
    if twice:
        raise Refused(f"{file}: line {twice.start_mark.line + 1}: {short(str(twice.value), 60)!r} is given twice", USAGE)
    folder = Path(os.path.dirname(os.path.abspath(file)))
    if isinstance(content, list) and content and all(isinstance(test, dict) and "job" in test for test in content):
        if not number and len(content) > 1:
            raise Refused(f"{file}: has {len(content)} tests: {file}#1 is the first of them", USAGE)
        if not 0 <= int(number or 1) - 1 < len(content):
            raise Refused(f"{name}: there are {len(content)} tests", USAGE)
        content = content[int(number or 1) - 1]["job"]
        if isinstance(content, str):
            return _job(str(folder / content))
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise Refused(f"{file}: no job file: a value for each input is wanted, LABEL: VALUE", USAGE)
    return content, folder


def _doubled(node: Any, met: set[int]) -> Iterator[Any]:
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
            yield from _doubled(inner, met)


def _kept(contents: str) -> str:
    """The path of a file with these contents, the same for the same: so a run that was killed can be gone on with."""
    path = state_folder() / "contents" / hashlib.sha256(contents.encode()).hexdigest()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.write_bytes(contents.encode())
            os.replace(new, path)
    except OSError as error:
        raise Refused(f"contents: can't be kept in {path.parent}: {error.strerror}", USAGE) from None
    return str(path)


def _compared(source: Source, hashes: Any) -> None:
    """Compare a file with the hashes that a job file has of it."""
    if not isinstance(hashes, list) or not all(isinstance(one, dict) and one.get("hash_value") for one in hashes):
        raise Refused("hashes: a list of hash_function and hash_value is wanted", USAGE)
    for known in hashes:
        kind = str(known.get("hash_function") or "MD5").upper()
        if kind not in HASHES:
            raise Refused(f"{source.path}: the hash function {kind} is not known", USAGE)
        if source.is_url:
            continue
        digest = hashlib.new(HASHES[kind])
        with open(source.path, "rb") as file:
            for block in iter(lambda: file.read(2**20), b""):
                digest.update(block)
        if digest.hexdigest() != str(known.get("hash_value")).lower():
            raise Refused(f"{source.path}: its {kind} is {digest.hexdigest()}, not {known.get('hash_value')}", USAGE)
