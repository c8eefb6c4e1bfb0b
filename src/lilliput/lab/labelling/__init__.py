"""Labels that people give: demonstrations, rankings and ratings, their agreement, cost and export."""
