"""Measure what a command costs in a proxy before shards: ours against the packaged twemproxy.

In:    a release build of the data plane, where it serves pools; nutcracker, memcached, Redis, cc.
Out:   bench/results/memcache.json: CPU a command of the proxy and of the whole machine, ratios.
Not:   absolute figures to compare between machines; a debug build.
Next:  `python -m bench.memcache`; rounds, ratios and the machine's clocks are bench.http's.
"""
