"""The Helm chart, rendered and checked. ``make chart-test`` installs the tools it needs and runs this folder."""
