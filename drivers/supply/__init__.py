"""The bench supply: what powers a controller outside the car."""
