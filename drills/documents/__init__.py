"""What `drill verify` computes again: each module of this package that defines `DOCUMENT` is one kind of document."""
