"""What the district teaches: two frameworks of competencies in its own words, one line for each."""
