"""Show what the demo found as tables.

In:    findings.
Out:   tables that fit 80 columns.
Not:   measuring; judging.
Next:  demo.py prints them.
"""

import statistics

from rich import table

from alongside.lab import findings, trial

MIB = 1 << 20


def phases(found: findings.Findings) -> table.Table:
    """Return both phases side by side."""
    shown = table.Table(title=f"Photos: {found.traffic}", title_justify="left")
    shown.add_column("")
    shown.add_column("without cache", justify="right")
    shown.add_column(f"with {len(found.shards)} shards", justify="right")
    one, two = found.straight, found.cached
    foretold = f"{'replay' if found.foretold.is_exact else 'LRU'} {found.foretold.hit_ratio:.1%}"
    for name, without, with_cache in (
        ("requests sent", f"{one.load.requests:,}", f"{two.load.requests:,}"),
        ("requests/s", f"{one.load.requests_per_s:,.0f}", f"{two.load.requests_per_s:,.0f}"),
        ("p50", _ms(one.load.latency_p50_s), _ms(two.load.latency_p50_s)),
        ("p99", _ms(one.load.latency_p99_s), _ms(two.load.latency_p99_s)),
        ("hit ratio", "-", f"{two.load.hit_ratio:.1%} ({foretold})"),
        ("joined another's miss", "-", f"{two.load.joined:,}"),
        ("origin requests", f"{one.origin_requests:,}", f"{two.origin_requests:,}"),
        ("failed requests", f"{one.load.failed:,}", f"{two.load.failed:,}"),
    ):
        shown.add_row(name, without, with_cache)
    return shown


def shards(found: findings.Findings) -> table.Table:
    """Return what each shard holds and served."""
    shown = table.Table()
    for name in ("shard", "keys", "requests", "of the mean", "stored", "process"):
        shown.add_column(name, justify="left" if name == "shard" else "right")
    mean = statistics.fmean(shard.served for shard in found.shards) or 1.0
    for shard in found.shards:
        shown.add_row(
            shard.name,
            f"{shard.keys:,}",
            f"{shard.served:,}",
            f"{shard.served / mean:.2f}",
            _mib(shard.stored_bytes),
            _mib(shard.memory_bytes),
        )
    return shown


def trials(found: list[trial.Trial]) -> table.Table:
    """Return what clients noticed of each act."""
    shown = table.Table(title="What clients noticed", title_justify="left")
    for name in ("under load", "requests", "failed", "slowest", "hits before", "and after"):
        shown.add_column(name, justify="left" if name == "under load" else "right")
    for one in found:
        shown.add_row(
            one.name,
            f"{one.requests:,}",
            f"{one.failed:,}",
            _ms(one.latency_max_s),
            f"{one.before.hit_ratio:.1%}",
            f"{one.after.hit_ratio:.1%}",
        )
    return shown


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _mib(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / MIB:.1f} MiB"
