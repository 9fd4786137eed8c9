"""The Helm chart on a real control plane. ``make kube-test`` builds it and runs this folder."""
