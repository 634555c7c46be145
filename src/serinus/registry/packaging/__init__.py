"""How a version is served: converted to ONNX, proven equal to the original, or left as it is.

``packager`` is what others call: it starts ``child``, a process with a time limit of its own, where
``conversion`` makes a graph of the model, ``variations`` thinks of hostile rows, and ``proof``
compares the two in the very runtimes that the gateway serves them with.
"""
