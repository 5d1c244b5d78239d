"""What a browser makes of a page."""

import pathlib

import browser
import pages
from pages import document, opened, run_of, table, write
from tap import case, expect, expect_equal

BOTH = ("nested", "shadow")


def both():
    """The documents of a run under each technique."""
    return [run_of(technique) for technique in BOTH]


@case("each exit of each run stands in the table, as the hypervisor counted it")
def _():
    counted = {technique: document(technique)["vps"][0]["counters"]["exits"] for technique in BOTH}
    with opened(*both()) as page:
        rows = table(page, "Exits by kind")
        expect_equal(set(rows), set(counted["nested"]) | set(counted["shadow"]), "the rows")
        for kind, cells in rows.items():
            for technique in BOTH:
                expect_equal(cells[technique], counted[technique][kind], f"{kind} under {technique}")
        expect_equal(table(page, "The runs")["exits"]["shadow"], sum(counted["shadow"].values()), "the sum of exits")


@case("the counters of memory virtualization stand side by side, empty where a technique has no such")
def _():
    counted = {technique: document(technique)["mmu"] for technique in BOTH}
    with opened(*both()) as page:
        rows = table(page, "Memory virtualization")
        expect_equal(set(rows), set(counted["nested"]) | set(counted["shadow"]), "the rows")
        for name, cells in rows.items():
            for technique in BOTH:
                expect_equal(cells[technique], counted[technique].get(name, ""), f"{name} under {technique}")


@case("devices, registers and the last exits are there")
def _():
    with opened(*both()) as page:
        expect_equal(table(page, "Devices")["uart0.writes"]["nested"], document("nested")["devices"]["uart0"]["writes"],
                     "a device's counter")
        expect_equal(table(page, "Virtual processors at the end")["registers.rip"]["shadow"],
                     document("shadow")["vps"][0]["registers"]["rip"], "a register")
        last = document("shadow")["vps"][0]["trace"][-1]
        expect_equal(table(page, "The last exits of shadow")[str(last["sequence"])]["exit"], last["exit"], "the last exit")


@case("each plot is drawn, with a bar for each value, and says what it is")
def _():
    with opened(*both()) as page:
        expect(page.count("figure svg.plot") >= 4, f"{page.count('svg')} plots")
        expect_equal(page.count("svg.plot"), page.count("figure > figcaption"), "captions")
        expect(all(page.texts("svg.plot > title")), "a plot has no title")
        widths = page.ask("Array.from(document.querySelectorAll('section svg.plot'), e => e.getBoundingClientRect().width)")
        expect(widths and all(width >= 600 for width in widths), f"the plots' widths: {widths}")
        bars = page.ask("Array.from(document.querySelector('svg.plot').querySelectorAll('rect.bar'), "
                        "bar => [bar.textContent, bar.getBoundingClientRect().width])")
        exits = {technique: document(technique)["vps"][0]["counters"]["exits"] for technique in BOTH}
        kinds = [kind for kind in exits["nested"] if any(exits[technique][kind] for technique in BOTH)]
        expect_equal(sorted(text for text, _ in bars),
                     sorted(f"{technique}, {kind}: {exits[technique][kind]:,}" for kind in kinds for technique in BOTH), "bars")
        values = [int(text.rpartition(": ")[2].replace(",", "")) for text, _ in bars]
        unit = max(width for _, width in bars) / max(values)
        expect(all(abs(width - value * unit) < 1 for value, (_, width) in zip(values, bars)), f"the bars' lengths: {bars}")


@case("a click on a heading sorts by that column, and another the other way")
def _():
    with opened(*both()) as page:
        click = "Array.from(document.querySelectorAll('table')).find(t => t.caption.textContent === 'Exits by kind')" \
                ".tHead.rows[0].cells[3].firstChild.click()"
        exits = document("shadow")["vps"][0]["counters"]["exits"]
        page.ask(click)
        expect_equal([cells["shadow"] for cells in table(page, "Exits by kind").values()], sorted(exits.values(), reverse=True),
                     "after one click")
        page.ask(click)
        expect_equal([cells["shadow"] for cells in table(page, "Exits by kind").values()], sorted(exits.values()),
                     "after two")
        expect_equal(page.texts("th[aria-sort=ascending]"), ["shadow"], "the heading that says so")


@case("counters that are zero everywhere are hidden, and shown when that is asked for")
def _():
    with opened(*both()) as page:
        zero = page.count("tr.zero")
        hidden = "Array.from(document.querySelectorAll('tr.zero')).filter(row => getComputedStyle(row).display === 'none').length"
        expect(zero > 0, "no row of zeros")
        expect_equal(page.ask(hidden), zero, "hidden rows")
        page.ask("document.querySelector('header input').click()")
        expect_equal(page.ask(hidden), 0, "hidden rows after a click")


@case("without scripts every row is there to be read")
def _():
    with opened(*both(), scripts=False) as page:
        expect(page.count("tr.zero") > 0, "no row of zeros")
        expect_equal(page.count("button") + page.count("input"), 0, "what only the script could serve")
        expect(page.ask("document.querySelector('tr.zero').getBoundingClientRect().height") > 0, "a row is hidden")


@case("a reader who does not see finds headings, captions, scopes and a language")
def _():
    with opened(*both()) as page:
        expect_equal(page.ask("document.documentElement.lang"), "en", "language")
        expect_equal(page.count("table"), page.count("table > caption"), "captions of tables")
        expect_equal(page.count("th:not([scope])"), 0, "headings without a scope")
        expect_equal(page.count("h1"), 1, "headings of the page")
        expect_equal(page.count("nav a"), page.count("h2"), "contents")
        expect(page.ask("Array.from(document.querySelectorAll('nav a'), a => document.querySelector(a.getAttribute('href')))"
                        ".every(Boolean)"), "an entry of the contents leads nowhere")
        expect_equal(page.ask("new Set(Array.from(document.querySelectorAll('[id]'), e => e.id)).size"), page.count("[id]"),
                     "names that are used once")


@case("the page is light or dark as the reader has it, and black on white on paper")
def _():
    with opened(*both()) as page:
        def colours():
            return page.ask("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color, "
                            "getComputedStyle(document.querySelector('rect.bar')).fill]")
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
        light = colours()
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        dark = colours()
        page.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        expect_equal(light[0], "rgb(255, 255, 255)", "the light ground")
        expect(all(a != b for a, b in zip(light, dark)), f"light {light}, dark {dark}")
        expect_equal(colours(), light, "on paper")
        expect_equal(page.ask("getComputedStyle(document.querySelector('nav')).display"), "none", "the contents on paper")


@case("several documents of one name are told apart, and NAME= gives another")
def _():
    with opened(run_of("nested"), run_of("nested"), f"EPT & co={run_of('shadow')}", "--title", "One, two") as page:
        expect_equal(page.texts("h1") + [page.ask("document.title")], ["One, two"] * 2, "titles")
        expect_equal(list(table(page, "The runs")["outcome"]), ["EPT & co", "nested (2)", "nested"], "columns")


@case("one run makes a page too, and so does a partition that was refused")
def _():
    refused = write("refused.json", {"vmmu": 1, "outcome": {"kind": "refused", "value": 0, "message": "no such technique"}})
    with opened(run_of("nested")) as page:
        expect(page.count("svg.plot") >= 4, "plots")
    with opened(refused) as page:
        expect_equal(table(page, "The run")["outcome"]["refused"], "refused 0: no such technique", "the outcome")


@case("measurements are tables, a plot for each column that can be compared")
def _():
    rows = [{"host": "amd", "technique": technique, "workload": "fork", "instructions": many, "exits_each": each,
             "exits_goal": 22} for technique, many, each in (("nested", 1000, 0.5), ("shadow", 5000, 21.25))]
    rows.append({"technique": "tlb", "workload": "random", "nanoseconds": 12.5})
    with opened(write("bench.json", rows)) as page:
        measured = table(page, "bench: instructions")
        expect_equal(measured["amd, shadow, fork"]["exits_each"], 21.25, "a value")
        expect_equal(page.texts("figcaption"), ["exits_each", "instructions"], "plots")
        expect_equal(table(page, "bench: nanoseconds")["tlb, random"]["nanoseconds"], 12.5, "the other kind of row")


MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script></td></table></svg><b style="x:y">&amp;\'<!--\u0001'

# The same where = and / have a meaning.
LABEL = "\"><img><script>alert(3)<!--"


def poisoned(value):
    """@value with markup behind every key and every text."""
    if isinstance(value, dict):
        return {name if name in KEPT else name + MARKUP: poisoned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner) for inner in value[:20]]
    return value + MARKUP if isinstance(value, str) else value


# What a document must have to be one.
KEPT = {"vmmu", "outcome", "kind", "message", "mmu", "technique", "vps", "counters", "exits", "trace", "exit", "devices", "host"}


@case("markup in a document is text on the page, wherever it stands")
def _():
    path = write("poisoned.json", poisoned(document("shadow")))
    with opened(f"{LABEL}={path}", path, "--title", MARKUP) as page:
        expect_equal(page.count("img, b, script:not(:last-child)"), 0, "elements of the document's")
        expect_equal(page.count("script"), 1, "scripts")
        shown = MARKUP.replace("\u0001", "\ufffd")
        expect_equal(page.texts("h1"), [shown], "the title")
        expect(any(shown in name for name in table(page, "Exits by kind")), "the names of the exits")
        expect(page.count("svg.plot") >= 3, "plots")


@case("the page's own policy lets no script run but its own")
def _():
    with browser.running() as chromium:
        pages.expect_status(pages.report(run_of("nested"), "-o", "policy.html"), 0)
        text = (pages.FOLDER / "policy.html").read_text(encoding="utf-8")
        changed = write("changed.html", text.replace("<main>", "<main><script>document.title = 'taken'</script>"
                                                     "<img src='http://127.0.0.1:9/x' onerror=\"document.title = 'taken'\">"))
        page = chromium.open(f"file://{changed}")
        expect(page.ask("document.title") != "taken", "a foreign script has run")
        expect(len(page.complaints) >= 2, f"the browser does not tell of what it refused: {page.complaints}")


@case("the screenshot in docs/ is a small picture, and a page shows it")
def _():
    picture = pages.TREE / "docs" / "report.png"
    data = picture.read_bytes()
    expect_equal(data[:8], b"\x89PNG\r\n\x1a\n", "the first bytes")
    expect(len(data) < 150_000, f"{len(data)} bytes")
    expect("(report.png)" in (pages.TREE / "docs" / "tool.md").read_text(encoding="utf-8"), "docs/tool.md does not show it")


@case("a browser that meets an error tells these cases")
def _():
    path = pathlib.Path(write("wrong.html", "<!DOCTYPE html><title>x</title><script>console.error('a'); nothing();</script>"))
    with browser.running() as chromium:
        page = chromium.open(f"file://{path}")
        expect_equal(len(page.complaints), 2, f"complaints: {page.complaints}")
