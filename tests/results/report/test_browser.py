"""The report in a real browser, where there is one: Chromium as distributions package it."""

import re
import shutil
import subprocess

import pytest

from results.baselines import Baseline, write_baselines
from results.report.page import build_report
from results.run_view import read_run

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium here: apt-get install chromium")

# This script, outside of the page, looks into it at two widths, clicks and types.
OBSERVER = """<!doctype html><body><script>
const facts = [];
async function look(width) {
  const tell = (name, value) => facts.push(`${name} at ${width}: ${value}`);
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 4000px; border: 0`;
  frame.src = "PAGE";
  const loaded = new Promise((done) => { frame.onload = done; });
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument;
  const chart = page.getElementById("front-chart");
  const marks = (css) => chart.querySelectorAll(css).length;
  for (const details of page.querySelectorAll("details")) details.open = true;
  const wide = [...page.querySelectorAll("body *")].filter((element) =>
    !element.closest(".scroll, pre, svg") && element.getBoundingClientRect().right > width + 0.5);
  tell("overflow", `${wide.length} ${page.documentElement.scrollWidth <= width}`);
  const cut = [...chart.querySelectorAll("text")].filter((text) => {
    const box = text.getBoundingClientRect(), frame = chart.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
  });
  tell("cut words", cut.length);
  tell("axes", chart.dataset.axes);
  tell("marks", `${marks("circle.front")} ${marks("circle.trial")} ${marks("circle.knee")} ` +
    `${marks("path.trained")} ${marks("path.pruned")} ${marks("path.arrow")}`);
  tell("systems", `${marks("path.shrunk")} ${marks("path.published")}`);
  tell("limits", marks("path.limit"));
  page.querySelector("label[for=pair-1]").click();
  tell("clicked", chart.dataset.axes);
  tell("limits after", marks("path.limit"));
  const up = page.getElementById("axis-y");
  up.value = "1";
  up.dispatchEvent(new Event("change"));
  tell("chosen", chart.dataset.axes);
  page.querySelector("input[value=trial]").click();
  tell("hidden", marks("circle.trial"));
  page.querySelector("input[value=published]").click();
  tell("published", marks("path.published"));
  page.querySelector("input[value=trial]").click();
  page.querySelector("label[for=pair-0]").click();
  chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  const tip = chart.querySelector(".tip");
  chart.querySelector("a.mark").dispatchEvent(new FocusEvent("focus"));
  tell("tip", tip.style.display === "none" ? "hidden" : tip.textContent);
  const pictures = [...page.images].filter((image) => image.naturalWidth === 0);
  tell("broken pictures", pictures.length);
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
    run = make_run(folder / "run")
    size = {"params": 300_000, "macs": 3 * 10**10}
    shrunk = {"shrunk": "x", "shrunk_cost": size, "scores": {"psnr_y": 34.5}, "steps": 200}
    big = {"params": 900_000, "macs": 10**11}
    write_baselines(
        run, [Baseline(name="grformer", cost=big, **shrunk), Baseline(name="drt", cost=big)]
    )
    page = build_report(run)
    observer = folder / "observer.html"
    observer.write_text(OBSERVER.replace("PAGE", page.as_uri()))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=10000",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1700,1200", "--dump-dom",
        observer.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def view(make_run, tmp_path_factory):
    """The same run, as the program sees it."""
    return read_run(make_run(tmp_path_factory.mktemp("same") / "run"))


def test_nothing_overflows_on_a_phone_or_a_wide_screen(seen):
    assert re.findall(r"overflow at (\d+): (\d+) (\w+)", seen[0]) == [
        ("380", "0", "true"), ("1600", "0", "true"),
    ]  # fmt: skip


def fact(seen, name):
    """What was noted at 380 and at 1,600 pixels."""
    found = re.findall(rf"^(?:.*<pre>)?{name} at (?:380|1600): (.*?)(?:</pre>.*)?$", seen[0], re.M)
    assert len(found) == 2, seen[0]
    return found


def test_the_chart_shows_every_trial_the_front_the_knee_and_the_final_networks(seen, view):
    front = len(view.front_of((view.axes[1], view.axes[0])))
    behind = len(view.finished) - front
    assert fact(seen, "axes") == ["macs psnr_y"] * 2
    for marks in fact(seen, "marks"):
        assert marks == f"{front} {behind} 1 1 1 1"
    assert fact(seen, "systems") == ["1 0"] * 2  # own sizes wait for their box to be ticked
    assert fact(seen, "cut words") == ["0", "0"]


def test_another_pair_of_axes_can_be_clicked_or_listed(seen):
    assert fact(seen, "clicked") == ["params psnr_y"] * 2
    assert fact(seen, "chosen") == ["params macs"] * 2


def test_the_budget_is_a_line_on_its_own_axis(seen):
    assert fact(seen, "limits") == ["0", "0"]
    assert fact(seen, "limits after") == ["1", "1"]


def test_kinds_of_marks_can_be_hidden_and_shown(seen):
    assert fact(seen, "hidden") == ["0", "0"]
    assert fact(seen, "published") == ["2", "2"]


def test_a_mark_tells_its_numbers_when_the_keyboard_reaches_it(seen, view):
    for words in fact(seen, "tip"):
        assert re.match(r"trial \d+", words)
        assert "PSNR-Y" in words
        assert "blocks of window attention" in words


def test_every_picture_shows_and_the_console_is_silent(seen):
    assert fact(seen, "broken pictures") == ["0", "0"]
    assert "error:" not in seen[0]
    assert seen[1] == []
