# audit: what people read of it. Both languages hold the same keys.
