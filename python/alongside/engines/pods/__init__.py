"""Run pods as Kubernetes does: order, probes, restarts, ends, volumes; on any runtime.

In:    pods of a plan; a runtime that makes their surroundings and starts their containers.
Out:   each pod's state and its containers' states; published volumes; Services that balance.
Not:   which pods there should be; how a container is isolated (that is a runtime's).
Next:  `runtimes` holds the three runtimes; `local` treats a pod as one of its children.
"""
