"""How pages get their numbers, tables and charts."""
