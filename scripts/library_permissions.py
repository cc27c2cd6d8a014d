#!/usr/bin/env python3
"""Show or change who may access, add to, modify and manage a data library, a folder or a dataset of it.

Usage:
  library_permissions.py [options] KEY URL LIBRARY [CHANGE...]
  library_permissions.py [options] --table=FILE KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  LIBRARY          the library's id or exact name
  CHANGE           access, add, modify or manage, then = (this role alone), += (this one too) or -= (this one no longer), and
                   a role: its name or id, or a user's e-mail address for the role that only this user has

Options:
  --path=PATH      a folder or dataset of the library, names separated by /, or its id; without it the library itself
  -r, --recursive  with all folders and datasets below
  --table=FILE     a table of permissions in one or more libraries, CSV or TSV, - for standard input
  --public         let everybody access it
  --restrict       let the roles of access= or access+= access what everybody could
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Without CHANGE it prints the roles that have each permission. With one it prints a row for each permission of each item
that has changed, as read back from Galaxy, and nothing if none had to. Several roles: access=ROLE access=OTHER; none: add=

A library is for users with one of the roles that have access, a dataset for those with all of them; if none has, it is
public. A folder has no access of its own, a dataset no add. Access to a dataset holds for its copies in histories too, its
owner's included. Without --path a change of the library also changes its root folder, which says who may add there.

A user who is no administrator needs the permission to manage each item, sees only items that are accessible, and can't name
other users' private roles. An item that can't be read or changed is reported, the others are done, and the exit status is 3.

A table has the columns library, path (empty for the library itself) and access, add, modify, manage, or some of them. A cell
names the only roles that then have the permission, separated by semicolons; - means none, public access for everybody, and
an empty cell leaves it as it is. With -r a row also holds for all below its path, unless a row for a longer path differs.
The whole table is checked before anything is changed.
  library_permissions.py - - "Run 12"
  library_permissions.py -n -r --restrict - - "Run 12" access=sequencing modify=sequencing
  library_permissions.py --path=incoming - - "Run 12" add+=ann@example.org
  library_permissions.py -r --table=libraries.csv - -
"""
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
    output_options,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.libraries.permissions import (
    ACCESS,
    PERMISSIONS,
    LibraryPermissions,
    list_items,
    parse_changes,
)

COLUMNS = ["path", "kind", "id", "public", *PERMISSIONS]
CHANGE_COLUMNS = ["path", "kind", "id", "permission", "added", "removed", "roles", "public"]
TABLE_COLUMNS = ["library", *CHANGE_COLUMNS]


def main(argv=None):
    args = arguments(__doc__, argv)
    if args["--table"] is not None:
        return set_table(args)
    name, path, dry_run = args["LIBRARY"], args["--path"], args["--dry-run"]
    is_public, is_restricted = args["--public"], args["--restrict"]
    changes = parse_changes(args["CHANGE"], is_public, is_restricted)
    output = output_options(args, CHANGE_COLUMNS if changes else COLUMNS)
    if not name.strip() or (path is not None and not path.strip()):
        raise GalaxyError(f"{'LIBRARY' if path is None or path.strip() else '--path'} is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    is_admin = bool(galaxy.current_user().get("is_admin"))
    library = galaxy.resolve("libraries", name)
    permissions = LibraryPermissions(galaxy, list_items(galaxy, library, path, args["--recursive"], is_admin))
    permissions.read()
    rows = [describe(item, rights) for item, rights in permissions.rights.items()]
    if changes:
        planned = permissions.plan(changes, is_public, is_restricted)
        changed = {item: (permissions.rights[item], rights) for item, rights in planned.items()} if dry_run else \
            permissions.apply(planned)
        rows = [row for item, states in changed.items() for row in describe_change(item, *states)]
    if rows or output["format"]:
        show(rows, output["format"], output["fields"] or (CHANGE_COLUMNS if changes else COLUMNS), changed=bool(changes))
    for error in dict.fromkeys(permissions.errors.values()):        # a library and its root folder may share one
        item = next(item for item in permissions.errors if permissions.errors[item] is error)
        report_error(f"{item} ({item.id}): {error}")
    if permissions.failure:
        raise permissions.failure
    return DONE if not permissions.errors else SOME_FAILED if len(permissions.errors) < len(permissions.items) else FAILED


def set_table(args):
    """Let hold what the table says, print a row for each permission that has changed; return the exit status."""
    for option in ("--path", "--public", "--restrict"):
        if args[option]:
            raise GalaxyError(f"{option}: the table says that for each of its rows", USAGE)
    from galaxy_api_scripts.libraries.permission_table import plan_table
    output = output_options(args, TABLE_COLUMNS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    parts = plan_table(galaxy, args["--table"], args["--recursive"], bool(galaxy.current_user().get("is_admin")))
    rows, errors, failure = [], {}, None
    for part in parts:
        permissions = part.permissions
        changed = {item: (permissions.rights[item], rights) for item, rights in part.planned.items()}
        if not args["--dry-run"]:
            changed = permissions.apply(part.planned) if part.planned else {}
        rows += [{"library": part.library, **row} for item, states in changed.items()
                 for row in describe_change(item, *states)]
        errors.update(permissions.errors)
        failure = permissions.failure
        if failure:
            break
    if rows or output["format"]:
        show(rows, output["format"], output["fields"] or TABLE_COLUMNS, changed=True)
    for item, error in errors.items():
        report_error(f"{item} ({item.id}): {error}")
    if failure:
        raise failure
    count = sum(len(part.permissions.items) for part in parts)
    return DONE if not errors else SOME_FAILED if len(errors) < count else FAILED


def describe(item, rights):
    """Return the row that shows an item's permissions."""
    public = not rights[ACCESS] if ACCESS in rights else None
    return {"path": item.path, "kind": item.kind, "id": item.id, "public": public,
            **{name: sorted(rights[name].values()) if name in rights else None for name in PERMISSIONS}}


def describe_change(item, before, now):
    """Yield a row for each permission of an item that has changed."""
    for permission, roles in now.items():
        old = before[permission]
        if set(old) != set(roles):
            yield {"path": item.path, "kind": item.kind, "id": item.id, "permission": permission,
                   "added": sorted(roles[one] for one in set(roles) - set(old)),
                   "removed": sorted(old[one] for one in set(old) - set(roles)),
                   "roles": sorted(roles.values()), "public": not roles if permission == ACCESS else None}


if __name__ == "__main__":
    sys.exit(run(main))
