"""Tell what changed between two contracts, and whom it breaks.

In:    two `promise.Contract`, the older one first; waivers that somebody wrote down.
Out:   `whole.compare`: changes, each by a rule with its severity; texts of them for people.
Not:   reading contracts (`written`); judging whether a contract is a good one.
Next:  cli/contracts/diff.py shows it; docs/contract-diff.md lists the rules.
"""
