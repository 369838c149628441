"""The five services. None imports another; they speak through events."""
