"""How the lines of docs/coverage.md are filled with ids, and compared with what Galaxy says."""
import re

THINGS = {}
WORD = re.compile(r"\b([A-Z][A-Z_0-9]*)\b(?:\.([a-z_]+))?")
KEYS = {"for", "line", "as", "new", "first", "then", "shows", "after", "writes", "refused", "note", "later", "server"}


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
