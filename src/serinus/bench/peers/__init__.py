"""Other servers of models, each in an environment of its own, measured as the gateway is.

What is done so that the comparison is fair to them:

- Each has the newest release that can be installed, pinned in ``catalogue``, with the same
  scikit-learn, NumPy and XGBoost, and with uvloop and httptools, which some leave out.
- Each serves the same model: trained in its own environment from the same rows by the same
  recipe. Its answers are compared with ours before anything is measured.
- Each is configured for speed, as its own documentation says: batching of concurrent requests
  where it has that and gains by it, with the sizes at which it was quickest here; no access log,
  no metrics, no compression. The gateway keeps its ledger, metrics and profiles.
- Each reads the smallest request of those it understands: bare numbers where it takes them. The
  gateway reads every number's name and checks it.
- Each answers the class alone. The gateway answers scores, an id, a version and a revision as well.
- Each has one process for the model, on the core that the gateway has in its turn. LitServe and
  BentoML keep processes for HTTP or for supervision beside it: these run on the same core.
- While one has its turn, the others are stopped (SIGSTOP): what they do when idle costs it nothing.
"""
