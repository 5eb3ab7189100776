"""Measure what a request costs: our router, our cache and both, against the packaged peers.

In:    a release build of the data plane; nginx, wrk and, where installed, Varnish; two cores.
Out:   bench/results/http.json: CPU a request and latency of each, ratios with their spread.
Not:   TLS, which is not built yet; absolute figures to compare between machines; a debug build.
Next:  `make bench` runs it; scripts/bench_table.py writes the README's table from the result.
"""
