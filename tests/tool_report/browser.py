"""A headless Chromium, driven by the DevTools protocol over a pair of pipes: open pages, ask them, and hear what goes wrong."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time

from tap import Failed

SECONDS = 60
# What the browser tells of a page; everything else is not asked for.
DOMAINS = ("Page", "Runtime", "Log", "Network", "Security")


class Page:
    """One page: what it says when it is asked, and what it complained of."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        self.complaints = []  # errors of scripts, messages on the console, what the page's own policy forbade
        self.requests = []  # addresses that it asked for

    def call(self, method, **parameters):
        """One request of the protocol for this page."""
        return self._browser.call(method, parameters, self._session)

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Failed(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def count(self, selector):
        """How many elements there are."""
        return self.ask(f"document.querySelectorAll({json.dumps(selector)}).length")

    def texts(self, selector):
        """The text of each element."""
        return self.ask(f"Array.from(document.querySelectorAll({json.dumps(selector)}), e => e.textContent)")

    def screenshot(self, width, height, dark=False):
        """The page's first @height units as a PNG."""
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def hear(self, method, parameters):
        """An event of this page."""
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(parameters["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])


class Browser:
    """Chromium, as long as the with statement lasts."""

    def __init__(self, process, to, back):
        self._process, self._to, self._back = process, to, back
        self._number, self._rest = 0, b""
        self._pages = {}
        self._loaded = set()

    def _hear(self):
        """The next message."""
        while b"\0" not in self._rest:
            some = os.read(self._back, 1 << 20)
            if not some:
                raise Failed(f"the browser ended with status {self._process.wait()}")
            self._rest += some
        message, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(message)
        if message.get("method") == "Page.loadEventFired":
            self._loaded.add(message["sessionId"])
        if "method" in message and message.get("sessionId") in self._pages:
            self._pages[message["sessionId"]].hear(message["method"], message["params"])
        return message

    def call(self, method, parameters, session=None):
        """One request, and its answer."""
        self._number += 1
        number = self._number
        request = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._to, json.dumps(request).encode() + b"\0")
        message = self._hear()
        while message.get("id") != number:
            message = self._hear()
        if "error" in message:
            raise Failed(f"{method}: {message['error']}")
        return message["result"]

    def open(self, address, scripts=True):
        """Load @address and wait until its script has run."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in DOMAINS:
            page.call(f"{domain}.enable")
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.call("Page.navigate", url=address)
        limit = time.monotonic() + SECONDS
        while session not in self._loaded:
            if time.monotonic() > limit:
                raise Failed(f"{address} is not loaded after {SECONDS} s")
            self._hear()
        return page


@contextlib.contextmanager
def running():
    """A browser with nothing open, and nothing remembered."""
    program = shutil.which("chromium")
    if not program:
        raise Failed("there is no chromium")
    with tempfile.TemporaryDirectory(prefix="vmmu-browser-") as folder:
        to_read, to_write = os.pipe()
        back_read, back_write = os.pipe()
        process = subprocess.Popen(
            ["timeout", "-k", "5", str(3 * SECONDS), "bash", "-c", 'exec "$0" "$@" 3<&%d 4>&%d' % (to_read, back_write), program,
             "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_read, back_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(back_write)
        browser = Browser(process, to_write, back_read)
        try:
            yield browser
            browser.call("Browser.close", {})
        finally:
            os.close(to_write)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(back_read)
