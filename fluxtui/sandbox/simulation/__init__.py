"""What runs in a cluster of the sandbox: workload controllers, a scheduler and a kubelet, played."""
