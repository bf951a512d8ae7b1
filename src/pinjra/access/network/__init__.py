"""What a box may reach: patterns of hosts in; names, connections and requests of the guest through a gateway on the host."""
