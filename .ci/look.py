#!/usr/bin/env python3
"""Opens report.html of every run given in a browser, as a telephone and a desk have it, light and dark.

Usage: look.py PAGEHINT OUT RUN...

Each RUN is copied below OUT and reported by PAGEHINT; pictures of its page are left beside it. It fails if the page says
anything to the console, asks for anything from outside, is wider than its window, or if letters of a chart lie upon each
other or outside of it. Without a browser nothing is looked at, which is said; with PAGEHINT_REQUIRE_BROWSER=1 it fails.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
WIDTHS = [390, 1440]
SCHEMES = {"dark": 0, "light": 1}
HEIGHT = 3000

# What is wrong is said to the console, which has to stay empty. Every detail is opened: what is closed is not laid out.
AUDIT = """
<script>
for (const detail of document.querySelectorAll("details")) detail.open = true;
const root = document.documentElement;
if (root.scrollWidth > window.innerWidth) console.error(`the page is ${root.scrollWidth} wide`);
const wanted = new URLSearchParams(location.search).get("scheme");
if (!matchMedia(`(prefers-color-scheme: ${wanted})`).matches) console.error(`the page is not ${wanted}`);
let charts = 0;
for (const svg of document.querySelectorAll("svg.chart")) {
  const frame = svg.getBoundingClientRect();
  if (frame.width === 0) continue;
  charts += 1;
  const where = svg.getAttribute("aria-labelledby");
  const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
  texts.forEach(([said, box], index) => {
    if (box.height < 9) console.error(`${where}: "${said}" is ${box.height} high`);
    const is_out = box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    if (is_out) console.error(`${where}: "${said}" is cut off`);
    for (const [other, beside] of texts.slice(index + 1)) {
      const apart = box.right <= beside.left + 1 || beside.right <= box.left + 1 || box.bottom <= beside.top + 4 || beside.bottom <= box.top + 4;
      if (!apart) console.error(`${where}: "${said}" lies upon "${other}"`);
    }
  });
}
if (charts === 0) console.error("no chart is shown");
for (const entry of performance.getEntriesByType("resource")) console.error(`asked for ${entry.name}`);
</script>
</body>"""


def browse(browser, page, width, scheme, *options):
    """What the browser says to the console while it has the page open."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            f"--user-data-dir={profile}", f"--window-size={width},{HEIGHT}", "--virtual-time-budget=2000",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--enable-logging=stderr", *options,
            f"{page.resolve().as_uri()}?scheme={scheme}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look(browser, run):
    """Every fault of a run's page."""
    page = run / "report.html"
    audited = run / "audited.html"
    audited.write_text(page.read_text().replace("</body>", AUDIT))
    faults = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            picture = run / f"report-{width}-{scheme}.png"
            said = browse(browser, page, width, scheme, f"--screenshot={picture}")
            said += browse(browser, audited, width, scheme, f"--screenshot={run}/open-{width}-{scheme}.png")
            faults += [f"{page} at {width}, {scheme}: {line}" for line in said]
    return faults


def main(pagehint, out, *runs):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("look: skipped, there is no browser: apt-get install chromium", file=sys.stderr)
        return int(os.environ.get("PAGEHINT_REQUIRE_BROWSER") == "1")
    faults = []
    for run in map(Path, runs):
        copy = Path(out) / run.parent.name / run.name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        # Its exit code is the checks', which are not what is looked at here.
        subprocess.run([pagehint, "report", copy], stdout=subprocess.DEVNULL, check=False)
        found = look(browser, copy)
        print(f"look: {run}: {len(found)} faults, pictures in {copy}")
        faults += found
    print("\n".join(faults), file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
