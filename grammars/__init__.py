"""The grammars of resdsl, as package data: `resnet.lark`, and its parse tables, which tools/make_tables.py writes."""
