"""What is installed, and that it can be used."""

import os
import re

import installed
from installed import FOLDER, PREFIX, ROOT, TREE, make, pkg_config, place, run
from tap import case, expect, expect_equal, expect_match

HEADERS = sorted(path.name for path in (TREE / "include" / "vmmu").glob("*.h"))
FILES = sorted([f"include/vmmu/{name}" for name in HEADERS] +
               ["bin/vmmu", "lib/libvmmu.a", "lib/pkgconfig/vmmu.pc", "share/man/man1/vmmu.1",
                "share/bash-completion/completions/vmmu"])


def commands():
    """The tool's commands, as it lists them."""
    listed = run(place("bin/vmmu"), "--help").partition("Examples:")[0]
    return re.findall(r"^  ([a-z]+) {2,}\S", listed, re.MULTILINE)


def options(command):
    """The long options of a command, as its --help defines them."""
    return re.findall(r"^ +(?:-\S, )?(--[a-z][a-z0-9-]*)", run(place("bin/vmmu"), command, "--help"), re.MULTILINE)


@case("make install installs the tool, the library, its headers, and what tells of them, and nothing else")
def _():
    expect_equal(installed.installed(), [f"{PREFIX.strip('/')}/{path}" for path in FILES], "the files")
    expect_equal({oct(place(path).stat().st_mode & 0o777) for path in FILES if path != "bin/vmmu"}, {"0o644"}, "modes")
    expect_equal(oct(place("bin/vmmu").stat().st_mode & 0o777), "0o755", "the tool's mode")
    for name in HEADERS:
        expect_equal(place(f"include/vmmu/{name}").read_bytes(), (TREE / "include" / "vmmu" / name).read_bytes(), name)


@case("make uninstall takes away what make install brought, and leaves what others put there")
def _():
    installed.installed()
    root = FOLDER / "other"
    words = [f"BUILD={FOLDER / 'build'}", f"DESTDIR={root}", "PREFIX=/opt/v"]
    make("install", *words)
    expect_equal(installed.files(root), [f"opt/v/{path}" for path in FILES], "the files under another prefix")
    (root / "opt/v/lib/kept").touch()
    make("uninstall", *words)
    expect_equal(installed.files(root), ["opt/v/lib/kept"], "the files that are left")
    expect(not (root / "opt/v/include/vmmu").exists(), "the headers' folder is left")


@case("pkg-config names the installed library and its version")
def _():
    expect_equal(pkg_config("--cflags", "--libs"), [f"-I{ROOT}{PREFIX}/include", f"-L{ROOT}{PREFIX}/lib", "-lvmmu"], "flags")
    expect_match(r"^\d+\.\d+", " ".join(pkg_config("--modversion")), "the version")


@case("the installed library wants nothing but memcpy, memmove, memset and memcmp")
def _():
    symbols = run("nm", "-A", place("lib/libvmmu.a"))
    wanted = set(re.findall(r" U (\w+)$", symbols, re.MULTILINE))
    defined = set(re.findall(r" [TDRB] (\w+)$", symbols, re.MULTILINE))
    expect(wanted - defined <= {"memcpy", "memmove", "memset", "memcmp"}, f"it wants {wanted - defined}")


@case("each installed header can be included alone")
def _():
    for name in HEADERS:
        run("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", *pkg_config("--cflags"), "-fsyntax-only", "-x", "c", "-",
            input=f"#include <vmmu/{name}>\n")


@case("the installed tool runs without the tree")
def _():
    expect_equal(run(place("bin/vmmu"), "walk", installed.small_image(), "--cr3", "1000", "--mode", "4level", "1234", "--json",
                     cwd="/").count('"0x7234"') > 0, True, "the address that the walk comes to")


@case("the manual page has no warning")
def _():
    run("mandoc", "-T", "lint", "-W", "warning", place("share/man/man1/vmmu.1"))


@case("the manual page tells of every command, every option and every exit status")
def _():
    page = run("mandoc", "-T", "ascii", "-O", "width=200", place("share/man/man1/vmmu.1"))
    page = re.sub(".\b", "", page)
    names = commands()
    expect(len(names) >= 8, f"commands: {names}")
    shared = page.partition("OPTIONS THAT COMMANDS SHARE")[2]
    for command in names:
        section = expect_match(rf"^   vmmu {command}\n((?:.*\n)*?)(?=^   vmmu [a-z]|^[A-Z])", page, f"the section of {command}")
        for option in set(options(command)) - {"--help", "--usage"}:
            expect(re.search(rf"{option}\b", section[1] + shared), f"{command} {option} is not in the page")
    for status in range(4):
        expect_match(rf"^ +{status} ", page.partition("EXIT STATUS")[2], "exit statuses")


@case("docs/tool.md has a section for every command")
def _():
    text = (TREE / "docs" / "tool.md").read_text(encoding="utf-8")
    for command in commands():
        expect_match(rf"^## .*\b{command}\b", text, "the headings")
        expect_match(rf"^    \$ .*\bvmmu {command} ", text, f"an example of {command}")


def completed(*words):
    """What bash offers for the last of @words."""
    script = '''source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
                _vmmu; printf '%s\\n' "${COMPREPLY[@]}"'''
    environment = dict(os.environ, PATH=f"{place('bin')}:{os.environ['PATH']}")
    return run("bash", "-c", script, "bash", place("share/bash-completion/completions/vmmu"), *words, cwd=TREE,
               env=environment).split()


@case("completion offers the commands, a command's options, and files")
def _():
    names = commands()
    expect_equal(sorted(completed("vmmu", "")), sorted(names), "commands")
    expect_equal(completed("vmmu", names[0][:-1]), [names[0]], "a command that has begun")
    for command in names:
        expect_equal({word.rstrip("=") for word in completed("vmmu", command, "--")}, set(options(command)),
                     f"options of {command}")
    expect_equal(completed("vmmu", "report", "--outp"), ["--output="], "an option with a value")
    expect_equal(completed("vmmu", "walk", "READ"), ["README.md"], "files")
    expect_equal(completed("vmmu", "walk", "x", "--color", "=", "a"), ["auto", "always"], "words of an option")
    expect_equal(completed("vmmu", "walk", "x", "--mode", "=", "p"), ["pae"], "words of another")
    expect_equal(completed("vmmu", "maps", "x", "--mode", "5"), ["5level"], "words without an equals sign")
    expect_equal(completed("vmmu", "live", "README.md", "d"), ["dump"], "what live does with a guest")


@case("bash-completion finds the completion where it is installed")
def _():
    data = place("share")
    environment = dict(os.environ, PATH=f"{place('bin')}:{os.environ['PATH']}", XDG_DATA_DIRS=str(data), XDG_DATA_HOME=str(data))
    said = run("bash", "-c", "source /usr/share/bash-completion/bash_completion; _completion_loader vmmu; complete -p vmmu",
               env=environment)
    expect_match("-F _vmmu vmmu", said, "the completion")
