#!/usr/bin/env python3
"""Reads every histograms.hlog below the given directories with a reader that is not pagehint's.

PyPI's `hdrhistogram` has to find every interval, and in each as many samples as `trials.jsonl` says the trial has; of
a timed trial the largest, too. It passes over what is stamped earlier than the log's StartTime, as Java's does.
"""

import json
import re
import sys
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

# The reader wants one to make others like it, but an interval brings its own size.
REFERENCE = HdrHistogram(1, 1 << 62, 3)
TRIAL = re.compile(r"#\[Trial: (\d+)\]")


def written(log):
    """What the text of the log holds, without decoding any of it: trial and series of every line, in order."""
    trial = None
    for line in log.read_text().splitlines():
        if found := TRIAL.match(line):
            trial = int(found[1])
        elif line.startswith("Tag="):
            yield trial, line.removeprefix("Tag=").partition(",")[0].rpartition(".")[2]


def read(log):
    """The intervals as the reader finds them."""
    reader = HistogramLogReader(str(log), REFERENCE)
    while (histogram := reader.get_next_interval_histogram()) is not None:
        yield histogram
    reader.close()


def expected(trial, series):
    """How many samples a trial has and the largest in ticks, where its record says so."""
    if phase := trial.get("phases", {}).get(series):
        ticks = trial.get("tsc_khz", 1_000_000) / 1_000_000
        return phase["n"], phase["max"] * ticks
    if series == "report":
        return sum(counters.get("reports", 0) for counters in trial["counters"]), None
    return None, None


def differences(log):
    lines = (log.parent / "trials.jsonl").read_text().splitlines()
    trials = {trial["trial"]: trial for trial in map(json.loads, lines) if trial["ending"] == "measured"}
    told, found = list(written(log)), list(read(log))
    wanted = {(number, phase) for number, trial in trials.items() for phase in trial.get("phases", {})}
    if missing := (wanted - set(told)) or trials.keys() - {trial for trial, _ in told}:
        yield f"nothing of {sorted(missing)}"
    if len(told) != len(found) or not found:
        yield f"{len(found)} of {len(told)} intervals"
    for (trial, series), histogram in zip(told, found):
        count, largest = expected(trials[trial], series)
        if count is not None and histogram.get_total_count() != count:
            yield f"trial {trial}, {series}: {histogram.get_total_count()} samples, not {count}"
        if not histogram.get_tag().endswith(f".{series}"):
            yield f"trial {trial}, {series}: the tag is {histogram.get_tag()}"
        # A record's figures are rounded to a tenth, a histogram's to three digits.
        if largest is not None and abs(histogram.get_max_value() - largest) > 1 + largest / 500:
            yield f"trial {trial}, {series}: at most {histogram.get_max_value()}, not {largest:.0f}"
    print(f"{log}: {len(found)} intervals, {sum(h.get_total_count() for h in found)} samples")


def main(directories):
    logs = sorted(log for directory in directories for log in Path(directory).rglob("histograms.hlog"))
    wrong = [f"{log}: {what}" for log in logs for what in differences(log)]
    print(*wrong, sep="\n")
    return 1 if wrong or not logs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
