"""The planes: the I/O that carries fault decisions out and reports what it did."""
