"""The car interface, real or simulated: where every port of the box comes from."""
