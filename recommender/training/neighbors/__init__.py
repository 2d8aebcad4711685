"""Find the nearest neighbours of every article, exactly, and build the lists."""
