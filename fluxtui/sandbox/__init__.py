"""An API server in process: real HTTP on loopback, for the demo, the tests and the screenshots.

Stands beside the house: its judge is kubectl and the contract tests that also run against a real kube-apiserver.
"""
