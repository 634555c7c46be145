"""The processes of an installation: control plane, gateway, worker, and who looks after them."""
