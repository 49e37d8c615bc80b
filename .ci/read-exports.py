#!/usr/bin/env python3
"""Exports a run in every format and reads each with a reader that is not pagehint's.

Usage: read-exports.py PAGEHINT RUN. What a reader finds is held against `trials.jsonl`: as many reports, and medians that
are those of the trials.
"""

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import jsonschema
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from prometheus_client.openmetrics.parser import text_string_to_metric_families

# Go's benchmark format (https://go.dev/design/14313-benchmark-format): a key, a unit, or a result.
KEY = re.compile(r"^[a-z][^\sA-Z]*:\s.*$")
UNIT = re.compile(r"^Unit \S+( \S+=\S+)+$")
RESULT = re.compile(r"^Benchmark[A-Z]\S*\s+(\d+)((?:\s+[-+0-9.e]+\s+\S+)+)$")
SAMPLE = re.compile(r"^ *([\d.]+) +([\d.]+) +(\d+)(?: +([\d.]+))?$")


def exported(pagehint, run, *arguments):
    command = [pagehint, "export", run, "--as", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Run:
    """What the records say."""

    def __init__(self, run):
        lines = (Path(run) / "trials.jsonl").read_text().splitlines()
        trials = [json.loads(line) for line in lines]
        is_cell = lambda trial: trial["ending"] == "measured" and trial["choices"].get("stopwatch", "used") == "used"
        self.trials = [trial for trial in trials if is_cell(trial)]
        self.reports = sum(trial["phases"]["total"]["n"] for trial in self.trials)


def hlog(text, run):
    with tempfile.NamedTemporaryFile("w", suffix=".hlog") as file:
        file.write(text)
        file.flush()
        reader = HistogramLogReader(file.name, HdrHistogram(1, 1 << 62, 3))
        counts = Counter()
        while (histogram := reader.get_next_interval_histogram()) is not None:
            counts[histogram.get_tag().rpartition(".")[2]] += histogram.get_total_count()
        reader.close()
    assert counts["total"] == run.reports, (counts["total"], run.reports)
    return sorted(set(re.findall(r"Tag=(\S+)\.total,", text)))


def hgrm(text, reports):
    lines = text.splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"], lines[0]
    samples = [SAMPLE.match(line) for line in lines[2:] if not line.startswith("#")]
    assert samples and all(samples), text
    rows = [(float(sample[1]), float(sample[2]), int(sample[3])) for sample in samples]
    assert rows == sorted(rows) and rows[-1][1] == 1.0 and samples[-1][4] is None, rows[-1]
    assert rows[-1][2] == reports == int(re.search(r"Total count +=\s+(\d+)", text)[1]), rows[-1]


def table(text, run):
    rows = [row for row in csv.DictReader(io.StringIO(text), strict=True) if row["series"] == "total"]
    assert None not in {value for row in rows for value in row.values()}
    found = {int(row["trial"]): float(row["p50"]) for row in rows}
    assert found == {trial["trial"]: trial["phases"]["total"]["p50"] for trial in run.trials}


def summary(text, schema, run):
    found = json.loads(text)
    jsonschema.validate(found, json.loads(schema))
    assert found["measured"] >= len(run.trials), found["measured"]


def go(text, run):
    results = []
    for line in text.splitlines():
        if result := RESULT.match(line):
            metrics = result[2].split()
            results.append(dict(zip(metrics[1::2], map(float, metrics[::2]))))
        else:
            assert KEY.match(line) or UNIT.match(line), line
    unit = "ns/op" if run.trials[0]["unit"] == "ns" else "instr/op"
    assert len(results) == len(run.trials) and all(result[unit] > 0 for result in results), results


def openmetrics(text, run):
    families = {family.name: family for family in text_string_to_metric_families(text)}
    phases = families["pagehint_phase_seconds" if run.trials[0]["unit"] == "ns" else "pagehint_phase_instructions"]
    of_total = [s for s in phases.samples if s.labels["phase"] == "total" and s.name.endswith("_count")]
    assert sum(sample.value for sample in of_total) == run.reports
    assert families["pagehint_trials"].samples[0].value >= len(run.trials)


def trace(text):
    found = json.loads(text)
    assert "median" in found["otherData"]["what"]
    slices = {}
    for event in found["traceEvents"]:
        assert event["ph"] in "MX" and isinstance(event["pid"], int) and isinstance(event["tid"], int), event
        if event["ph"] == "X":
            assert event["dur"] >= 0, event
            slices.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
    for track, spans in slices.items():
        open_until = []
        # On one track slices stand after one another, or one in the other.
        for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_until and open_until[-1] <= begin + 1e-9:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-6, (track, begin, end, open_until)
            open_until.append(end)
    return len(slices)


def main(pagehint, run):
    of = Run(run)
    cells = hlog(exported(pagehint, run, "hlog"), of)
    for cell in cells:
        one = exported(pagehint, run, "hlog", "--cell", cell)
        assert len(set(re.findall(r"Tag=(\S+)\.total,", one))) == 1
    counts = Counter(row["cell"] for row in csv.DictReader(io.StringIO(exported(pagehint, run, "csv"))) for _ in range(int(row["n"]) if row["series"] == "total" else 0))
    for cell in cells:
        hgrm(exported(pagehint, run, "hgrm", "--cell", cell), counts[cell])
    table(exported(pagehint, run, "csv"), of)
    schema = subprocess.run([pagehint, "schema", "summary"], check=True, capture_output=True, text=True).stdout
    summary(exported(pagehint, run, "json"), schema, of)
    go(exported(pagehint, run, "go"), of)
    openmetrics(exported(pagehint, run, "openmetrics"), of)
    tracks = trace(exported(pagehint, run, "trace"))
    print(f"{run}: {len(cells)} cells, {len(of.trials)} trials, {of.reports} reports, {tracks} tracks; seven formats read")


if __name__ == "__main__":
    main(*sys.argv[1:])
