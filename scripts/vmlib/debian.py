"""Debian packages for guests, of any architecture, without touching the user's own apt.

A private apt state under the cache folder knows amd64 and i386; nothing is installed, packages are only downloaded
(apt checks signatures and hashes) and unpacked. What the cache holds is used as it is, so that a second run needs no
network and guests stay the same until someone asks for an update.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

from . import places, progress
from .status import refuse

SUITE = "bookworm"
ARCHITECTURES = ("amd64", "i386")
DEFAULT_SOURCES = (
    ("http://deb.debian.org/debian", SUITE),
    ("http://deb.debian.org/debian", f"{SUITE}-updates"),
    ("http://deb.debian.org/debian-security", f"{SUITE}-security"),
)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

CONFIGURATION = """\
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; "i386"; }};
APT::Sandbox::User "root";
APT::Update::Post-Invoke-Success {{}};
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "1";
"""


class Packages:
    """The private apt and what it has fetched."""

    def __init__(self, folder=None):
        self._folder = folder or places.cache() / "apt"
        self._debs = self._folder / "debs"
        self._trees = self._folder / "trees"
        self._sources = self._folder / "sources"
        self._fetched = False  # lists, by this run

    @contextlib.contextmanager
    def alone(self, what="lock"):
        """Keep other processes from fetching at the same time; or from doing something else, @what, of which they fetch."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / what, "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def dependency(self, metapackage, pattern):
        """The package, as name:architecture, on which @metapackage (name:architecture) depends and that matches."""
        self._prepare()
        listing = self._apt("apt-cache", "depends", metapackage)
        for name in re.findall(r"Depends: (\S+)", listing):
            if re.fullmatch(pattern, name.split(":")[0]):
                return f"{name.split(':')[0]}:{metapackage.split(':')[1]}"
        raise refuse(f"Debian's {metapackage} names no package like {pattern}; is the Debian mirror complete?")

    def closure(self, packages):
        """All packages, as (name:architecture, version), that @packages need to run, themselves included."""
        self._prepare()
        listing = self._apt("apt-get", "-qq", "--print-uris", "--no-install-recommends", "install", *packages)
        found = re.findall(r"^'\S+/([^/_]+)_[^/_]+_([a-z0-9]+)\.deb' \S+_(\S+)_[a-z0-9]+\.deb ", listing, re.M)
        default = packages[0].split(":")[1]
        return [(f"{name}:{default if arch == 'all' else arch}", version.replace("%3a", ":"))
                for name, arch, version in found]

    def tree(self, package, keep=()):
        """Fetch @package (name:architecture) if it is not here, and return the folder where it lies unpacked.

        @keep are prefixes ("boot/"); with none, all is unpacked.
        """
        folder = self._trees / (package.replace(":", "_") + "".join("+" + k.strip("/").replace("/", "-") for k in keep))
        if not folder.is_dir():
            _unpack(self._deb(package), folder, keep)
        return folder

    def source(self, name, pattern):
        """The file of Debian's source package @name that matches @pattern, fetched if it is not here."""
        folder = self._sources / name
        if not sorted(folder.glob(pattern)):
            self._fetch_source(name, folder)
        for path in sorted(folder.glob(pattern)):
            return path
        raise refuse(f"Debian's source package {name} has no {pattern}")

    def forget(self):
        """Ask the mirror again at the next request (option --update)."""
        shutil.rmtree(self._folder / "state", ignore_errors=True)
        shutil.rmtree(self._debs, ignore_errors=True)
        shutil.rmtree(self._trees, ignore_errors=True)
        shutil.rmtree(self._sources, ignore_errors=True)

    def _deb(self, package):
        name, architecture = package.split(":")
        held = sorted(self._debs.glob(f"{name}_*_{architecture}.deb")) + sorted(self._debs.glob(f"{name}_*_all.deb"))
        if held:
            return held[-1]
        self._prepare()
        self._debs.mkdir(parents=True, exist_ok=True)
        partial = self._debs / f"partial-{os.getpid()}"
        partial.mkdir(exist_ok=True)
        progress.say(f"fetching Debian package {package}")
        try:
            self._apt("apt-get", "-qq", "download", package, cwd=partial)
            fetched = next(partial.glob("*.deb"), None)
            if fetched is None:
                raise refuse(f"apt fetched nothing for {package}")
            target = self._debs / fetched.name
            fetched.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target

    def _fetch_source(self, name, folder):
        """Have the files of source package @name in @folder. Lists of sources are only fetched for that, and not kept."""
        self._prepare()
        partial = self._sources / f"partial-{os.getpid()}"
        (partial / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (partial / "sources.list").write_text("".join(_source_lines("deb-src")))
        options = ("-o", f"Dir::Etc::SourceList={partial}/sources.list", "-o", f"Dir::State::lists={partial}/lists")
        progress.say(f"fetching Debian source package {name}")
        try:
            self._call("apt-get", "-q", *options, "update")  # what it could not fetch, the next one will miss
            answer = self._call("apt-get", "-qq", *options, "source", "--download-only", name, cwd=partial)
            if answer.returncode != 0:
                raise refuse(f"Debian's source package {name} could not be fetched: {_last_error(answer)}")
            folder.mkdir(parents=True, exist_ok=True)
            for path in partial.iterdir():
                if path.name != "sources.list" and path.is_file():
                    path.replace(folder / path.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _prepare(self):
        """Write the private configuration, and fetch the package lists if there are none."""
        if self._lists():
            return
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").write_text("")
        (self._folder / "apt.conf").write_text(CONFIGURATION.format(folder=self._folder))
        (self._folder / "sources.list").write_text("".join(_source_lines()))
        self._fetch_lists()

    def _lists(self):
        return any((self._folder / "state" / "lists").glob("*_Packages*"))

    def _fetch_lists(self):
        self._fetched = True
        progress.say(f"fetching Debian's package lists ({SUITE}: {', '.join(ARCHITECTURES)})")
        answer = self._call("apt-get", "-q", "update")
        if answer.returncode != 0:
            # A mirror in the middle of its own update breaks one index of several; the others may do.
            progress.warn("apt-get update reported: " + _last_error(answer))
        if not self._lists():
            raise refuse("Debian's package lists could not be fetched: " + _last_error(answer))

    def _apt(self, *command, cwd=None):
        """What the command says. Lists that are older than the mirror fail it: then once more with new ones."""
        answer = self._call(*command, cwd=cwd)
        if answer.returncode != 0 and not self._fetched:
            self._fetch_lists()
            answer = self._call(*command, cwd=cwd)
        if answer.returncode != 0:
            raise refuse(f"{' '.join(command)} failed: {_last_error(answer)}")
        return answer.stdout

    def _call(self, *command, cwd=None):
        environment = dict(os.environ, APT_CONFIG=str(self._folder / "apt.conf"), LC_ALL="C")
        try:
            return subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        except FileNotFoundError:
            raise refuse(f"{command[0]} is not here: guests come from Debian packages, on a Debian machine") from None


def _last_error(answer):
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")]
    return (errors or lines or ["no reason given"])[0].strip()


def _unpack(deb, folder, keep):
    """Unpack @deb so that @folder appears whole or not at all."""
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    command = ["tar", "-x", "-C", str(temporary), "--no-same-owner"]
    unpacked = subprocess.run(command + [f"./{prefix}" for prefix in keep], stdin=archive.stdout, check=False)
    archive.stdout.close()
    if archive.wait() not in (0, -13) or unpacked.returncode != 0:
        shutil.rmtree(temporary, ignore_errors=True)
        raise refuse(f"{deb} cannot be unpacked; remove it and try again")
    if folder.is_dir():
        shutil.rmtree(temporary)
    else:
        temporary.rename(folder)


def _source_lines(kind="deb"):
    """Lines of a sources.list, for packages or for their sources (@kind deb-src): the user's own mirrors of Debian's suite where
    there are any, else deb.debian.org."""
    signed = f" [signed-by={KEYRING}]" if os.path.exists(KEYRING) else ""
    sources = _user_sources() or DEFAULT_SOURCES
    return [f"{kind}{signed} {uri} {suite} main\n" for uri, suite in sources]


def _user_sources():
    """Mirrors of the suite's three parts that this machine already uses, as (URI, suite), in both formats of apt."""
    wanted = {suite for _, suite in DEFAULT_SOURCES}
    found = []
    etc = pathlib.Path("/etc/apt")
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        for uri, suite in re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s.*\bmain\b", _text(path), re.M):
            found.append((uri, suite))
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", _text(path)):
            fields = {key.lower(): value.split() for key, value in re.findall(r"^(\w[\w-]*):[ \t]*(.*)$", stanza, re.M)}
            if "deb" in fields.get("types", []) and "main" in fields.get("components", []):
                found += [(uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", [])]
    found = [(uri, suite) for uri, suite in found if suite in wanted and uri.startswith(("http", "mirror+http"))]
    return found if SUITE in {suite for _, suite in found} else []


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
