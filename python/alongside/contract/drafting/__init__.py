"""Draft the contract of a container that somebody else made, and say what its image lacks.

In:    a Dockerfile with its build context, or the configuration of a built image.
Out:   a contract with the questions it cannot answer, as commented YAML; findings with lines.
Not:   building or pulling images; deciding what a name means when nobody wrote it down.
Next:  cli/contracts shows the results; docs/contracts-for-any-container.md tells the whole way.
"""
