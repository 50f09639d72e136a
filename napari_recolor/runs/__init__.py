"""What colorizes: requests, the worker, runs and their layers."""
