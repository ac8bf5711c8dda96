"""What a pipeline is made of: architectures, checkpoints, component contracts, layouts, bundles."""
