"""What a process that runs a model's own code is told of this one's environment: nothing secret.

Passwords are in variables of any name, so only what is known to be harmless is passed on: places,
language, and what numeric libraries and GPUs are steered by.
"""

from __future__ import annotations

import os
import re

_HARMLESS = re.compile(
    r"PATH|HOME|USER|LOGNAME|TZ|TMPDIR|LANG|LANGUAGE|LC_\w+|XDG_\w+_(HOME|DIR|DIRS)"
    r"|PYTHON\w+|VIRTUAL_ENV|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|LD_PRELOAD|MALLOC_\w+"
    r"|\w+_NUM_THREADS|OMP_\w+|MKL_\w+|KMP_\w+|CUDA_\w+|NVIDIA_\w+|KERAS_BACKEND|KERAS_HOME"
    r"|TF_(CPP|ENABLE|FORCE|USE|XLA)_\w+|TORCH_HOME|HF_HOME|SSL_CERT_(FILE|DIR)"
    r"|(MLFLOW|ORT)_DISABLE_TELEMETRY|DO_NOT_TRACK|GIT_PYTHON_REFRESH"
)


def harmless() -> dict[str, str]:
    """The variables of this process that a model's code may know."""
    # Passed on, not read: no setting comes of it.
    present = os.environ  # noqa: TID251
    return {name: value for name, value in present.items() if _HARMLESS.fullmatch(name)}
