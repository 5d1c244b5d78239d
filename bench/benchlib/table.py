"""The rows as a table that lines up."""

HEADINGS = ("workload", "technique", "M instr", "x native", "hv M instr", "exits", "hv/exit", "exits/op", "hv/op",
            "table pages")
WORKLOADS = ("boot", "fork", "mmap", "pipe", "cpuid", "inb")


def render(rows):
    """The table as text, workload by workload."""
    lines = [HEADINGS]
    for workload in WORKLOADS:
        of_it = [row for row in rows if row["workload"] == workload]
        native = next((row["instructions"] for row in of_it if row["technique"] == "native"), None)
        lines += [_cells(row, native) for row in of_it]
    return align(lines, left=2)


def align(lines, left):
    """Lines of cells as text; the first @left columns stand left, the others right."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(_line(line, widths, left) for line in lines)


def _cells(row, native):
    exits, hv, operations = row["exits"], row["hv_instructions"], row["operations"]
    guest = row["technique"] != "native"
    return (row["workload"], row["technique"], f"{row['instructions'] / 1e6:.1f}",
            f"{row['instructions'] / native:.3f}" if native else "-",
            f"{hv / 1e6:.2f}" if guest else "-", str(exits) if guest else "-",
            f"{hv / exits:.0f}" if exits else "-", f"{exits / operations:.2f}" if guest else "-",
            f"{hv / operations:.0f}" if guest else "-",
            "-" if row["table_pages_peak"] is None else str(row["table_pages_peak"]))


def _line(cells, widths, left):
    text = [cells[at].ljust(widths[at]) if at < left else cells[at].rjust(widths[at]) for at in range(len(cells))]
    return "  ".join(text).rstrip()
