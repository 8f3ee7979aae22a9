"""Optional settings from the environment, read when a resource is used, never when code is loaded.

Required settings are `dg.EnvVar` fields of their resource: Dagster names one that is missing when the resource starts.
"""

import os


def optional(given: str, name: str, default: str = "") -> str:
    """A field's value if there is one, else the environment variable's, else the default."""
    return given or os.environ.get(name, "") or default
