"""Write the rows of a frame to a search engine or a store that can be asked by key."""
