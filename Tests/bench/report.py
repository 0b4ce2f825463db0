# SPDX-License-Identifier: Apache-2.0
"""The table: medians with their spread, ours against the best encrypted peer of the same run, and the targets."""

import statistics

from targets import TARGETS

UNITS = {
    "upload": "Mbit/s",
    "download": "Mbit/s",
    "keep-alive": "req/s",
    "close": "req/s",
    "first byte p50": "us",
    "first byte p99": "us",
    "packets": "1/s",
    "packets lost": "%",
    "idle, server": "KB",
    "idle, client": "KB",
    "held at once": "streams",
    "used at once": "streams",
    "library size": "MB",
    "library load": "ms",
    "library memory": "MB",
    "library memory, own": "MB",
}
LESS_IS_BETTER = ("first byte", "idle", "library", "packets lost")
OURS = ("ours", "quic")
UNENCRYPTED = ("direct",)


class Results:
    """Every value of every run, by peer and metric."""

    def __init__(self):
        self.values = {}
        self.notes = []

    def add(self, peer, metric, value):
        self.values.setdefault(metric, {}).setdefault(peer, []).append(value)

    def median(self, metric, peer):
        values = self.values.get(metric, {}).get(peer)
        return statistics.median(values) if values else None

    def reference(self, metric):
        """What ours is divided by when no target names it: the best encrypted peer, or the relay of packets."""
        medians = [
            self.median(metric, peer) for peer in self.values.get(metric, {}) if peer not in OURS + UNENCRYPTED
        ]
        if not medians:
            return None
        return min(medians) if metric.startswith(LESS_IS_BETTER) else max(medians)

    def as_json(self):
        medians = {
            metric: {peer: self.median(metric, peer) for peer in peers} for metric, peers in self.values.items()
        }
        return {"medians": medians, "values": self.values, "notes": self.notes}


def number(value):
    if value >= 1000 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(results, metric, peer):
    values = results.values.get(metric, {}).get(peer)
    if not values:
        return "-"
    median = number(results.median(metric, peer))
    if min(values) == max(values):
        return median
    return f"{median} ({number(min(values))}-{number(max(values))})"


def verdict(results, metric, subject):
    """Ratio to the best encrypted peer or what else it is held against, target, and whether it was met."""
    value, target = results.median(metric, subject), TARGETS[subject].get(metric)
    other = target.of if target else "best"
    reference = results.reference(metric) if other in ("best", None) else results.median(metric, other)
    ratio = value / reference if value is not None and reference else None
    shown = f"{ratio:.2f}" if ratio is not None else "-"
    if target is None:
        return shown, "-", "-"
    compared = ratio if target.of else value
    if compared is None:
        return shown, target.text(), "-"
    return shown, target.text(), "pass" if target.is_met(compared) else "short"


def table(results, peers):
    """One column a peer, and a verdict for each of ours."""
    subjects = [peer for peer in peers if peer in OURS]
    heads = [head for subject in subjects for head in (f"{subject}/", "target", "")]
    rows = [["", "unit", *peers, *heads]]
    for metric, unit in UNITS.items():
        if metric in results.values:
            verdicts = [text for subject in subjects for text in verdict(results, metric, subject)]
            rows.append([metric, unit, *(cell(results, metric, peer) for peer in peers), *verdicts])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    explanation = [
        "",
        "Medians (lowest-highest). ours/ and quic/: divided by the best encrypted peer of this run, or by what the target",
        "names; packets are divided by the plain relay's.",
        *results.notes,
    ]
    return "\n".join(lines + explanation)
