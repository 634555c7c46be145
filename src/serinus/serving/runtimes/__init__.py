"""Loaded versions, whatever library made them: a version's folder -> rows in, outcomes out.

``artifacts`` opens a folder and tries the version out; ``onnx``, ``estimator`` and ``pyfunc`` are
the kinds of runtime; ``arrays`` and ``frames`` are rows as these take them; ``outcomes`` checks
what comes out against the manifest.
"""
