"""Text and tree: what a `.resnet` file says, before it means anything."""
