"""How the lines of docs/coverage.md are filled with ids, and compared with what Galaxy says."""
import re

THINGS = {}
WORD = re.compile(r"\b([A-Z][A-Z_0-9]*)\b(?:\.([a-z_]+))?")
# What an entry of docs/coverage/CLIENT.yml may have. Names of things in it, such as HISTORY or USER.email, are filled in.
KEYS = {
    "for",      # the methods and commands, without the client's own name
    "line",     # the line, or several, that do the same
    "as",       # who types it: person (if left out), other, admin, or shed, the owner of the Tool Shed's repositories
    "new",      # the things that are made afresh before, as the line changes them
    "first",    # requests sent before, as `POST /api/x`, or {request: body}
    "then",     # {request: what its answer holds after the line, and not before}; MADE is the id that the line printed
    "shows",    # texts that the line prints, or a part of the JSON that it prints
    "after",    # a line whose output is looked at, too
    "writes",   # {file: the text that it holds after the line}
    "refused",  # the words with which Galaxy refuses it, in place of all these
    "note",     # a remark for the page
    "later",    # true: `then` is asked when all lines of the client have run
    "server",   # second: it needs the second local server
}


def thing(make):
    """Let lines name what this function makes by the function's name."""
    THINGS[make.__name__] = make
    return make


def words_of(value):
    """The things that are named in a value, and their fields."""
    if isinstance(value, dict):
        return [word for pair in value.items() for part in pair for word in words_of(part)]
    if isinstance(value, list):
        return [word for part in value for word in words_of(part)]
    return [match for match in WORD.findall(value) if match[0] in THINGS] if isinstance(value, str) else []


def fill(value, get):
    """`value` with what `get(name)` has in place of the names of things: HISTORY is its id, HISTORY.name its name."""
    if isinstance(value, dict):
        return {fill(key, get): fill(part, get) for key, part in value.items()}
    if isinstance(value, list):
        return [fill(part, get) for part in value]
    if not isinstance(value, str):
        return value
    whole = WORD.fullmatch(value)
    if whole and whole[1] in THINGS:
        return get(whole[1])[whole[2] or "id"]
    return WORD.sub(lambda word: str(get(word[1])[word[2] or "id"]) if word[1] in THINGS else word[0], value)


def fill_line(line, get):
    """A line with ids in place of names; a dot after one is the line's own."""
    return re.sub(WORD.pattern.split("(?:")[0], lambda word: str(get(word[1])["id"]) if word[1] in THINGS else word[0], line)


def holds(answer, wanted):
    """Whether an answer has what `wanted` says: an object its fields, a list its members, in any order.

    {lacks: X}: no member of the list has X; {only: [X, Y]}: it has these, and no others.
    """
    if isinstance(wanted, dict) and set(wanted) == {"lacks"}:
        return isinstance(answer, list) and not any(holds(member, wanted["lacks"]) for member in answer)
    if isinstance(wanted, dict) and set(wanted) == {"only"}:
        return isinstance(answer, list) and len(answer) == len(wanted["only"]) and holds(answer, wanted["only"])
    if isinstance(wanted, dict):
        return isinstance(answer, dict) and all(name in answer and holds(answer[name], part)
                                                for name, part in wanted.items())
    if isinstance(wanted, list):
        return isinstance(answer, list) and all(any(holds(member, part) for member in answer) for part in wanted)
    return type(answer) is type(wanted) and answer == wanted
