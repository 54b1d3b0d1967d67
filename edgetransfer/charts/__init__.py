"""Charts as SVG, and the benchmark's page."""
