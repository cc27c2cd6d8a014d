"""What the demonstration's data managers do: make a tiny genome up, index it, tell Galaxy where both are.

genomes.py fetch DBKEY OUT_FILE, or genomes.py index DBKEY OUT_FILE FASTA; Galaxy's wishes are in OUT_FILE, and our answer
takes their place.
"""
import json
import random
import sys
from pathlib import Path

SEQUENCES = {"sacCer3": ["chrI", "chrII", "chrM"], "ce11": ["chrI", "chrX"], "dm6": ["chr4"]}


def fetch(dbkey, folder):
    if dbkey not in SEQUENCES:
        sys.exit(f"there is no genome {dbkey} here, only {', '.join(SEQUENCES)}")
    letters = random.Random(dbkey)
    path = folder / f"{dbkey}.fa"
    path.write_text("".join(f">{name}\n{''.join(letters.choices('ACGT', k=60))}\n" for name in SEQUENCES[dbkey]))
    return "all_fasta", path


def index(dbkey, folder, fasta):
    path = folder / f"{dbkey}.lengths"
    records = [record.split("\n", 1) for record in Path(fasta).read_text().split(">")[1:]]
    path.write_text("".join(f"{name}\t{len(letters.strip())}\n" for name, letters in records))
    return "fasta_indexes", path


def main(job, dbkey, out_file, *rest):
    folder = Path(json.loads(Path(out_file).read_text())["output_data"][0]["extra_files_path"])
    folder.mkdir(parents=True, exist_ok=True)
    table, path = fetch(dbkey, folder) if job == "fetch" else index(dbkey, folder, *rest)
    row = {"value": dbkey, "dbkey": dbkey, "name": f"Demonstration of {dbkey}", "path": path.name}
    Path(out_file).write_text(json.dumps({"data_tables": {table: [row]}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
