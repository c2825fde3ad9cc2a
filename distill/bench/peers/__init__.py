"""Other toolkits, each trained as its own documentation shows, on the rows of one student. All are optional."""
