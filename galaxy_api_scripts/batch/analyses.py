"""The folders Analysis/N of a run, one for each time that its data were analysed: the newest that is complete counts."""
from __future__ import annotations

import os

# What DRAGEN and BCL Convert leave in Analysis/N, or in its folder Data, when all is there.
MARKS = ("CopyComplete.txt", "Secondary_Analysis_Complete.txt")


def newest_analysis(run: str) -> tuple[str, set[str]]:
    """The path of the folder Analysis/N of a run that counts, "" if it has none, and those that don't: the highest number
    with a mark counts, without any mark the highest."""
    top = os.path.join(run, "Analysis")
    try:
        folders = {int(name): os.path.join(top, name) for name in os.listdir(top)
                   if name.isdecimal() and os.path.isdir(os.path.join(top, name))}
    except OSError:
        return "", set()
    marked = [number for number, folder in folders.items() if analysis_mark(folder)]
    if not folders:
        return "", set()
    chosen = folders[max(marked or folders)]
    return chosen, set(folders.values()) - {chosen}


def analysis_mark(folder: str) -> str:
    """The path of the mark that says that an Analysis/N is complete; "" if there is none."""
    paths = (os.path.join(folder, *below, mark) for mark in MARKS for below in ((), ("Data",)))
    return next((path for path in paths if os.path.isfile(path)), "")
