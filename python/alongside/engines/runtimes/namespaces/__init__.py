"""Run pods in Linux namespaces: own network, names and mounts, with the host's own files.

In:    pods and what surrounds them, from `engines.pods.runtime`; root, or user namespaces.
Out:   containers as process groups in namespaces; a network of the project's own, the hub.
Not:   the order of containers, probes' thresholds, restarts; images; anything on the host itself.
Next:  `runtime` is the way in; docs/decisions/0009-namespaces.md says why it stands so.
"""
