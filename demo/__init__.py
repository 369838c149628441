"""The simulated district: a school that never was, and a client that speaks to Cairn as any SIS and LMS does, over HTTP alone."""
