"""Make what a pod lives in: plain processes, Linux namespaces, or a Docker engine's containers.

In:    pods and containers; commands to start, signal, look into and end them.
Out:   `engines.pods.runtime.Runtime`, once for each way; strangers to each other.
Not:   order, probes' thresholds, back-off: `engines.pods` decides, equally for all.
Next:  alongside.server chooses one and gives it to the engine.
"""
