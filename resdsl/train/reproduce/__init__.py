"""The tables of He et al. 2016, Identity Mappings, trained again. `tables.py` is what the paper says."""
