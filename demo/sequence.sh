#!/usr/bin/env bash
# Write a run's folder as a sequencer does: half of the files first, then the rest, and when all is there its mark.
# Usage: demo/sequence.sh FOLDER READS
set -euo pipefail
fastq="$1/Alignment_1/Fastq"
mkdir -p "$fastq"

reads() { for number in $(seq "$2" "$3"); do printf '@%s:%s\nGATTACAGATTACA\n+\nFFFFFFFFFFFFFF\n' "$1" "$number"; done; }

for name in Oslo_S1_L001 Lima_S2_L001 Undetermined_S0_L001; do
    for mate in R1 R2; do
        reads "$name" 1 $(($2 / 2)) | gzip > "$fastq/${name}_${mate}_001.fastq.gz"
    done
done
sleep 2
for name in Oslo_S1_L001 Lima_S2_L001 Undetermined_S0_L001; do
    for mate in R1 R2; do
        reads "$name" $(($2 / 2 + 1)) "$2" | gzip >> "$fastq/${name}_${mate}_001.fastq.gz"
    done
done
touch "$1/RTAComplete.txt"
sleep 1
touch "$1/CopyComplete.txt"
