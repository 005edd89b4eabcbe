"""The page as a browser shows it: headless Chromium, no network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (390, 1280)

Look = tuple[dict[str, dict[str, Any]], str]

# Each width is a frame of its own, so that the page's own media rules see that width.
_LOOK = """
<body>%s<script>
const seen = {};
const look = (frame) => {
  const page = frame.contentDocument, root = page.documentElement, width = frame.clientWidth;
  const beyond = [...page.querySelectorAll("body *")].filter(
    (node) => !node.closest(".scroll, svg") && node.getBoundingClientRect().right > width + 0.5);
  const shown = (node) => node.getBoundingClientRect().width > 100 && node.getBoundingClientRect().height > 50;
  const size = (text) => {
    const drawn = text.getScreenCTM();
    return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(drawn.a, drawn.b);
  };
  const plots = [...page.querySelectorAll("svg")];
  seen[width] = {
    scrolled: root.scrollWidth,
    beyond: beyond.map((node) => node.tagName + "." + node.className),
    plots: plots.length,
    shown: plots.filter(shown).length,
    drawn: plots.filter((plot) => plot.querySelectorAll("path, use, image").length > 5).length,
    pictures: [...page.querySelectorAll("img")].filter((one) => one.complete && one.naturalWidth === 0).length,
    letters: Math.min(...plots.flatMap((plot) => [...plot.querySelectorAll("text")]).map(size)),
    fetched: frame.contentWindow.performance.getEntriesByType("resource")
      .map((entry) => entry.name).filter((name) => !name.startsWith("data:")),
    title: page.title,
  };
};
addEventListener("load", () => {
  document.querySelectorAll("iframe").forEach(look);
  document.body.innerHTML = "";
  document.body.dataset.seen = JSON.stringify(seen);
});
</script></body>
"""


def look_at(page: str, folder: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """What the browser measures of a page at each width, and everything it complains of."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    frames = "".join(
        f'<iframe srcdoc="{escape(page)}" style="width:{width}px;height:900px;border:0"></iframe>' for width in WIDTHS
    )
    document = folder / "look.html"
    document.write_text(_LOOK % frames, encoding="utf-8")
    command = [
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--window-size=1400,1000"),
        *("--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", "--dump-dom", document.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found, f"the page did not load:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return json.loads(unescape(found.group(1))), done.stderr


@pytest.fixture(scope="module")
def opened(page: str, tmp_path_factory: pytest.TempPathFactory) -> Look:
    return look_at(page, tmp_path_factory.mktemp("browser"))


def test_the_console_holds_no_error(opened: Look) -> None:
    complaints = [line for line in opened[1].splitlines() if "CONSOLE" in line]
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_every_plot_is_shown(opened: Look, page: str, width: int) -> None:
    seen = opened[0][str(width)]
    assert seen["scrolled"] == width, f"wider than the window: {seen['beyond']}"
    assert seen["beyond"] == []
    assert seen["plots"] == seen["shown"] == seen["drawn"] == page.count("<svg ")
    assert seen["pictures"] == 0
    assert seen["fetched"] == []
    assert seen["title"].endswith("approved")


def test_words_in_plots_stay_readable_on_a_phone(opened: Look) -> None:
    assert opened[0]["390"]["letters"] > 7.5


def test_the_check_sees_a_page_with_faults(tmp_path: Path) -> None:
    page = (
        '<style>body{margin:0}</style><div style="width:500px">x</div>'
        '<svg width="200" height="99"><text>x</text></svg><script>undefined_name()</script>'
    )
    seen, complaints = look_at(page, tmp_path)
    assert seen["390"]["scrolled"] == 500
    assert seen["390"]["beyond"] == ["DIV."]
    assert (seen["390"]["plots"], seen["390"]["drawn"]) == (1, 0)
    assert seen["1280"]["scrolled"] == 1280
    assert "undefined_name" in complaints
