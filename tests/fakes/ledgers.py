"""Ledgers of batches that never ran, for the pages about them: `python tests/fakes/ledgers.py FILE COUNT` writes one."""
import random
import sys
import time
from pathlib import Path

from galaxy_api_scripts.batch.facts import save_facts
from galaxy_api_scripts.batch.ledger import Ledger

BEGAN = 1772359200      # 2026-03-01 10:00 UTC
SHED = "toolshed.g2.bx.psu.edu/repos"
# Index, label, tool, its version, seconds.
STEPS = [("2", "Trim reads", f"{SHED}/pjbriggs/trimmomatic/trimmomatic/0.39+galaxy2", "0.39+galaxy2", 240),
         ("3", "Align", f"{SHED}/iuc/rgrnastar/rna_star/2.7.11a+galaxy1", "2.7.11a+galaxy1", 1900),
         ("4", "Mark duplicates", f"{SHED}/devteam/picard/picard_MarkDuplicates/3.1.1.0", "3.1.1.0", 420),
         ("5", "Count", f"{SHED}/iuc/featurecounts/featurecounts/2.0.3+galaxy2", "2.0.3+galaxy2", 160),
         ("6", "Report", f"{SHED}/iuc/multiqc/multiqc/1.27+galaxy3", "1.27+galaxy3", 35)]
STDERR = ("Mar 01 10:21:12 ..... started STAR run\nMar 01 10:21:12 ..... loading genome\n\nEXITING because of FATAL ERROR: "
          "not enough memory for BAM sorting:\nSOLUTION: re-run STAR with at least --limitBAMsortRAM {number}\n")
RESULTS = [("aligned reads", "bam", 1.8e9), ("counts", "tabular", 312_000), ("quality report", "html", 2.1e6)]


def stamp(moment):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def write_ledger(path, count, failed=0.04, running=0.05, waiting=0.03, with_facts=True, seed=7, stderr=STDERR, **about):
    """A ledger of so many samples at `path`, in these parts failed, running and waiting."""
    chance = random.Random(seed)
    about = {"server": "https://galaxy.example.org", "user": "core", **about}
    with Ledger(path, **about) as ledger, ledger.together():
        free = [BEGAN + slot * 3 for slot in range(10)]
        for number in range(count):
            rest = 1 - (number + .5) / count
            state = "waiting" if rest < waiting else "running" if rest < waiting + running else \
                "failed" if chance.random() < failed else "ok"
            slot = free.index(min(free))
            times = [round(seconds * chance.lognormvariate(0, .35)) for *_, seconds in STEPS]
            kept = times[:2] if state == "failed" else times
            sent = free[slot] + chance.randrange(40, 120)
            end = sent + sum(kept) + 60
            add_sample(ledger, number, state, (free[slot], sent, end), kept, with_facts, stderr)
            free[slot] = end + 5
    return Path(path)


def add_sample(ledger, number, state, moments, times, with_facts=True, stderr=STDERR):
    begun, sent, end = moments
    name, identity = f"NX26-{number + 1:04}", f"{number + 1:016x}"
    sample = ledger.add(f"{number:032x}", name, place=f"/data/runs/samples.tsv, line {number + 2}", title=f"{name} - RNA")
    sample.save(seen=stamp(begun))
    if state == "waiting":
        return
    facts = {"state": state, "begun": stamp(begun), "ended": None if state == "running" else stamp(end), "attempt": 1,
             "history": identity, "invocation": identity, "stage": "run" if state == "running" else "deliver"}
    if state == "failed":
        facts.update(failed_step="3 (Align)", stage="run", message=f"invocation {identity} failed: 1 error, 3 paused; step "
                     f"3 (Align), tool rna_star 2.7.11a is error, job {identity}, exit code 109: SOLUTION: re-run STAR")
    elif state == "ok":
        facts.update(results=str(Path(ledger.path).parent / "results" / name))
    sample.save(**facts)
    ledger.write("INSERT INTO steps (unit, attempt, step, begun, ended, outcome) VALUES (?, 1, 'submit', ?, ?, 'ok')",
                 sample.key, stamp(sent - 2), stamp(sent))
    if not with_facts or state == "running":
        return
    results = [] if state == "failed" else [
        {"label": label, "src": "hda", "id": identity, "state": "ok", "ext": ext,
         "size": round(size * (1 + number % 7 / 10))} for label, ext, size in RESULTS]
    failure = {"step": "3", "label": "Align", "tool": "rna_star", "version": "2.7.11a+galaxy1", "element": None,
               "state": "error", "exit_code": 109, "stderr": stderr.format(number=34000000000 + number), "job": identity}
    save_facts(sample, asked_for=f"{identity} {sample.ended or ''}", results=results, result_count=len(results),
               result_size=sum(one["size"] for one in results), failure=failure if state == "failed" else None,
               steps=[{"step": step, "label": label, "tool": tool, "version": version, "jobs": 1, "run_time": seconds}
                      for (step, label, tool, version, _), seconds in zip(STEPS, times)],
               workflow={"id": "f" * 16, "name": "RNA-seq, paired", "version": 4}, galaxy="26.1.1", scripts="0.1.0", jobs={})


if __name__ == "__main__":
    write_ledger(sys.argv[1], int(sys.argv[2]))
