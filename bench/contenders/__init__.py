"""What the service is compared with, each as short as it can be."""
