"""What can be learned of photographs and of predictions: numbers here, drawings in `charts`."""
