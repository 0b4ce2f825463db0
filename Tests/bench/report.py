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
    "idle, server": "KB",
    "idle, client": "KB",
    "held at once": "streams",
    "used at once": "streams",
    "library size": "MB",
    "library load": "ms",
    "library memory": "MB",
    "library memory, own": "MB",
}
LESS_IS_BETTER = ("first byte", "idle", "library")
OURS = "ours"
UNENCRYPTED = "direct"


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

    def best_encrypted(self, metric):
        medians = [
            self.median(metric, peer) for peer in self.values.get(metric, {}) if peer not in (OURS, UNENCRYPTED)
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


def verdict(results, metric):
    """Ratio to the best encrypted peer, target, and whether it was met."""
    ours, best, target = results.median(metric, OURS), results.best_encrypted(metric), TARGETS.get(metric)
    ratio = ours / best if ours is not None and best else None
    shown = f"{ratio:.2f}" if ratio is not None else "-"
    if target is None:
        return shown, "-", "-"
    value = ratio if target.relative else ours
    if value is None:
        return shown, target.text(), "-"
    return shown, target.text(), "pass" if target.is_met(value) else "short"


def table(results, peers):
    rows = [["", "unit", *peers, "ours/best", "target", ""]]
    for metric, unit in UNITS.items():
        if metric in results.values:
            rows.append([metric, unit, *(cell(results, metric, peer) for peer in peers), *verdict(results, metric)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    explanation = [
        "",
        "Medians (lowest-highest). ours/best: ours divided by the best encrypted peer of this run.",
        *results.notes,
    ]
    return "\n".join(lines + explanation)
