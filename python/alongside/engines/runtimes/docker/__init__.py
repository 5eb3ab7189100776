"""Run pods as containers of a Docker or Podman engine, joined in network, process ids and volumes.

In:    pods and their containers; the engine's socket; the data plane's binary.
Out:   `runtime.DockerRuntime`; `facts.facts` says whether this machine has such an engine.
Not:   pulling images, but where a pod says so; building them (`alongside images`).
Next:  `specs` says what a container is made from, `names` what everything is called.
"""
