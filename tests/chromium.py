"""A page in headless Chromium, over the DevTools protocol: what it logs, asks the network for, and how wide it is.

As a command, `python tests/chromium.py PAGE...`, it says what is wrong with each page and exits with 1 if
anything is.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

WIDTHS = (1280, 360)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)

# elements whose text is too faint, or too small: the ratio of WCAG 2, and the size
CONTRASTS = """
(() => {
  const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(colour(style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5 || parseFloat(style.fontSize) < 12) {
      poor.push(`${e.tagName} ${e.className}: ${ratio.toFixed(2)}, ${style.fontSize}`);
    }
  }
  return poor;
})()
"""


def program() -> str | None:
    """The browser's command, if it is installed."""
    return next((p for name in ("chromium", "chromium-browser") if (p := shutil.which(name))), None)


@dataclass
class Look:
    """What was seen of a page at one width."""

    width: int
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    overflow: int = 0
    alerts: int = 0

    def faults(self) -> list[str]:
        """What is wrong, one line each."""
        found = [f"console: {e}" for e in self.errors] + [f"request: {r}" for r in self.requests]
        if self.overflow > 0:
            found.append(f"{self.overflow} px wider than the window")
        if self.alerts:
            found.append("a script opened a dialog")
        return found


class Browser:
    """One tab of a running Chromium."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=30, suppress_origin=True)
        self._last = 0
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._last:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])
            self._keep(message)

    def _keep(self, message: dict[str, Any]) -> None:
        self._events.append(message)
        if (
            message["method"] == "Page.javascriptDialogOpening"
        ):  # a dialog stops everything until it is answered
            self._last += 1
            answer = {"id": self._last, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            self._socket.send(json.dumps(answer))

    def _until(self, event: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not any(e["method"] == event for e in self._events):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{event} did not come within {seconds:.0f} s")
            self._keep_next(deadline - time.monotonic())

    def _keep_next(self, seconds: float) -> None:
        self._socket.settimeout(max(seconds, 0.01))
        try:
            message = json.loads(self._socket.recv())
            if "method" in message:
                self._keep(message)
        except websocket.WebSocketTimeoutException:
            pass
        finally:
            self._socket.settimeout(30)

    def _listen(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._keep_next(left)

    def look(self, page: Path, width: int) -> Look:
        """Open a page at a width and say what was seen."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        self._events.clear()
        address = page.resolve().as_uri()
        self.call("Page.navigate", url=address)
        self._until("Page.loadEventFired", 30)
        self._listen(0.3)
        measured = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
        overflow = self.call("Runtime.evaluate", expression=measured)["result"]["value"]
        seen = Look(width, overflow=int(overflow))
        for event in self._events:
            self._sort(event, seen, address)
        return seen

    def _sort(self, event: dict[str, Any], seen: Look, address: str) -> None:
        about = event["params"]
        match event["method"]:
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "assert"):
                seen.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
            case "Runtime.exceptionThrown":
                thrown = about["exceptionDetails"]
                seen.errors.append(thrown.get("exception", {}).get("description", thrown["text"]))
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                seen.errors.append(about["entry"]["text"])
            case "Network.requestWillBeSent":
                url = about["request"]["url"]
                if url.partition("#")[0] != address and not url.startswith("data:"):
                    seen.requests.append(url)
            case "Page.javascriptDialogOpening":
                seen.alerts += 1

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the page that is open."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        """Open an address, of a program that is used rather than looked at."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=address)

    def until(self, expression: str, seconds: float = 30) -> Any:
        """The value of an expression once it is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:.0f} s: {expression}")
            time.sleep(0.1)
        return value

    def click(self, element: str) -> None:
        """Click with the mouse on the middle of an element, given as an expression."""
        x, y = self.evaluate(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])({element}.getBoundingClientRect())"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def close(self) -> None:
        self._socket.close()


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh Chromium with one empty tab."""
    command = program()
    if command is None:
        raise RuntimeError("chromium is not installed")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            tab = Browser(_tab_address(Path(profile), process))
            try:
                yield tab
            finally:
                tab.close()
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _tab_address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    import urllib.request

    port_file = profile / "DevToolsActivePort"
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"chromium ended at once with {process.returncode}")
        lines = port_file.read_text().splitlines() if port_file.exists() else []
        if len(lines) == 2:
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10) as answer:
                tabs = [t for t in json.load(answer) if t["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise TimeoutError("chromium did not start within 30 s")


def main(pages: list[str]) -> int:
    """Look at each page at each width; print and count what is wrong."""
    faults = 0
    with browser() as tab:
        for page in pages:
            for width in WIDTHS:
                found = tab.look(Path(page), width).faults()
                faults += len(found)
                print(f"{page} at {width} px: {'; '.join(found) or 'no errors, no requests, no overflow'}")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
