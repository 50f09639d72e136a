"""The hint layers of an image: points, shapes and labels."""
