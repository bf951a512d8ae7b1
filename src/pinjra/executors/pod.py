"""The documented import path of `pinjra.executors.kubernetes.manifests`."""

from pinjra.executors.kubernetes.manifests import network_policy as network_policy
from pinjra.executors.kubernetes.manifests import sandbox_template as sandbox_template

__all__ = ["network_policy", "sandbox_template"]
