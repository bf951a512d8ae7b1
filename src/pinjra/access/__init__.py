"""What a box is given besides code -> how it is had: programs of this machine, layers of packages, hosts through a gateway."""
