"""Fits what a calibration fixes to recorded responses, with numpy; nothing that decides imports it."""
