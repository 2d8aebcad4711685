"""Train again soon, keeping what an earlier training has fitted."""
