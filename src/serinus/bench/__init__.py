"""Measurements that anyone can repeat: figures with the machine's own limit beside them."""
