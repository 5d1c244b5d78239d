"""A writer of initramfs archives: cpio in the "newc" format, as Linux's "initramfs buffer format" gives it.

Reproducible: no times, no owners, inode numbers in order of entry. Needs no root: a device node is only a header here.
"""

import os
import stat

from .status import refuse

MAGIC = b"070701"
BLOCK = 512
LARGEST_FILE = 0xFFFFFFFF


class Archive:
    """One archive under construction. Parents of an entry are added by themselves."""

    def __init__(self):
        self._parts = []
        self._names = set()

    def folder(self, name, mode=0o755):
        """Add a folder, and its parents."""
        name = _clean(name)
        if name and name not in self._names:
            self._parents(name)
            self._entry(name, stat.S_IFDIR | mode, b"")

    def file(self, name, data, mode=0o644):
        """Add a regular file that holds @data."""
        name = _clean(name)
        self._parents(name)
        self._entry(name, stat.S_IFREG | (mode & 0o7777), data)

    def link(self, name, target):
        """Add a symbolic link."""
        name = _clean(name)
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def device(self, name, major, minor):
        """Add a character device."""
        name = _clean(name)
        self._parents(name)
        self._entry(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def member(self, name, data):
        """Add @data under @name as it is, which need not be a path: for whoever reads an archive as a list."""
        self._parts.append(_record(name, len(self._parts) + 1, stat.S_IFREG | 0o644, data, (0, 0)))

    def tree(self, source, name):
        """Add what lies at @source of this machine, whole, as @name: file, link or folder with all below it."""
        info = os.lstat(source)
        if stat.S_ISLNK(info.st_mode):
            self.link(name, os.readlink(source))
        elif stat.S_ISREG(info.st_mode):
            if info.st_size > LARGEST_FILE:
                raise refuse(f"{source} is over 4 GiB, more than an initramfs can hold")
            with open(source, "rb") as data:
                self.file(name, data.read(), info.st_mode)
        elif stat.S_ISDIR(info.st_mode):
            self.folder(name, stat.S_IMODE(info.st_mode))
            for child in sorted(os.listdir(source)):
                self.tree(os.path.join(source, child), f"{name}/{child}")
        else:
            raise refuse(f"{source} is neither a file, a link nor a folder")

    def bytes(self):
        """The archive, padded so that another may follow it."""
        body = b"".join(self._parts) + _record("TRAILER!!!", 0, 0, b"", (0, 0))
        return body + bytes(-len(body) % BLOCK)

    def _parents(self, name):
        if "/" in name:
            self.folder(name.rsplit("/", 1)[0])

    def _entry(self, name, mode, data, device=(0, 0)):
        self._names.add(name)
        self._parts.append(_record(name, len(self._parts) + 1, mode, data, device))


def _clean(name):
    """The name as it stands in an archive: no leading or doubled slash, no way out of it."""
    parts = [part for part in str(name).split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refuse(f"{name} leads out of the guest's file system")
    return "/".join(parts)


def _record(name, inode, mode, data, device):
    raw = os.fsencode(name) + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, device[0], device[1], len(raw), 0)
    head = MAGIC + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
