"""How fast is it? `measure.py` times calls beside each other, `models.py` ONNX models, `machine.py` says on what."""
