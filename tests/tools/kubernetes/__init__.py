"""A real Kubernetes of two nodes on one machine, and rotator in it."""
