#!/usr/bin/env python3
"""Put all files of a folder of the server's import directory into a library folder, by one job.

Usage:
  library_upload_from_import_dir.py [options] KEY URL FOLDER_ID FILE_TYPE SERVER_DIR DBKEY

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the library's address, .../api/libraries/LIBRARY_ID/contents
  FOLDER_ID        the folder's id, which begins with F; that of a library's top is its root_folder_id:
                   display.py --fields=name,root_folder_id - /api/libraries
  FILE_TYPE        the files' datatype, such as fastqsanger.gz, or auto
  SERVER_DIR       the folder in library_import_dir of the server's galaxy.yml, without its sub-folders; for others than
                   administrators a folder in user_library_import_dir/EMAIL
  DBKEY            the genome build, such as hg38, or ? for none

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Run twice, it makes second datasets; library_upload_dir.py does not.
  library_upload_from_import_dir.py - /api/libraries/f597429621d6eb2b/contents F2f94e8ae9edff68a auto run_12 hg38
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, output_options, parse_id, require_active_folder, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    folder, datatype = parse_id(args["FOLDER_ID"], "FOLDER_ID", is_folder=True), args["FILE_TYPE"]
    server_dir, dbkey, output = args["SERVER_DIR"], args["DBKEY"] or "?", output_options(args)
    if not server_dir or not datatype:
        raise GalaxyError("FILE_TYPE or SERVER_DIR is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])
    require_active_folder(galaxy, folder=folder)

    # Galaxy takes any text for a build at first, and the job then fails.
    if dbkey != "?" and dbkey not in [build for _, build in galaxy.get("genomes")]:
        raise GalaxyError(f"DBKEY: the server has no genome build {dbkey!r}: display.py - /api/genomes shows them", USAGE)
    data = {"folder_id": folder, "file_type": datatype, "server_dir": server_dir, "dbkey": dbkey,
            "upload_option": "upload_directory", "create_type": "file"}
    try:
        submit(args["KEY"], args["URL"], data, route="libraries/ID/contents", **output)
    except GalaxyError as error:
        if "Unable to get file list" not in (error.err_msg or ""):
            raise
        raise GalaxyError(f"SERVER_DIR: the server can't read {server_dir!r} in the import directory of its galaxy.yml: "
                      f"{error.err_msg}") from None


if __name__ == "__main__":
    sys.exit(run(main))
