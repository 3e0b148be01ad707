"""What no trainer has: adapters whose gradients can be measured and changed."""
