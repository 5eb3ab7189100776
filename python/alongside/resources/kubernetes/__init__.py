"""Declare the part of Kubernetes' own kinds that runs here as it is.

In:    documents as plain values, as Kubernetes' users write them.
Out:   frozen models; what Kubernetes 1.33 knows at a place and we do not is in NOT_HONOURED.
Not:   any rule between two resources, or between two places of one; those are in plan/translating.
Next:  resources/reading.py checks documents with them; plan/translating makes pods of them.
"""
