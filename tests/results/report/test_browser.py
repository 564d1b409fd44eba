"""The report in a real browser, where there is one: Chromium as distributions package it."""

import re
import shutil
import subprocess

import pytest

from results.report import build_report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium here: apt-get install chromium")

# The page itself holds no script. This one, outside, looks into it at two widths and clicks.
OBSERVER = """<!doctype html><body><script>
const facts = [];
async function look(width) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 4000px; border: 0`;
  frame.src = "PAGE";
  const loaded = new Promise((done) => { frame.onload = done; });
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument;
  for (const details of page.querySelectorAll("details")) details.open = true;
  const wide = [...page.querySelectorAll("body *")].filter((element) =>
    !element.closest(".scroll, pre, svg") && element.getBoundingClientRect().right > width + 0.5);
  facts.push(`overflow at ${width}: ${wide.length} ${page.documentElement.scrollWidth <= width}`);
  const shown = () => [...page.querySelectorAll(".charts figure")]
    .filter((figure) => getComputedStyle(figure).display !== "none")
    .map((figure) => figure.className).join(" ");
  facts.push(`shown at ${width}: ${shown()}`);
  page.querySelector("label[for=pair-1]").click();
  facts.push(`clicked at ${width}: ${shown()}`);
  const pictures = [...page.images].filter((image) => image.naturalWidth === 0);
  facts.push(`broken pictures at ${width}: ${pictures.length}`);
}
(async () => {
  try { await look(380); await look(1600); } catch (error) { facts.push(`error: ${error}`); }
  document.body.innerHTML = `<pre>${facts.join("\\n")}</pre>`;
})();
</script>"""


@pytest.fixture(scope="module")
def seen(make_run, tmp_path_factory):
    """What the browser reports: lines of facts, and its console."""
    folder = tmp_path_factory.mktemp("browser")
    page = build_report(make_run(folder / "run"))
    observer = folder / "observer.html"
    observer.write_text(OBSERVER.replace("PAGE", page.as_uri()))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=10000",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1700,1200", "--dump-dom",
        observer.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_nothing_overflows_on_a_phone_or_a_wide_screen(seen):
    assert re.findall(r"overflow at (\d+): (\d+) (\w+)", seen[0]) == [
        ("380", "0", "true"), ("1600", "0", "true"),
    ]  # fmt: skip


def test_a_click_shows_another_pair_of_axes(seen):
    for width in (380, 1600):
        assert f"shown at {width}: chart-0\n" in seen[0]
        assert f"clicked at {width}: chart-1\n" in seen[0]


def test_every_picture_shows_and_the_console_is_silent(seen):
    assert re.findall(r"broken pictures at \d+: (\d+)", seen[0]) == ["0", "0"]
    assert seen[1] == []
