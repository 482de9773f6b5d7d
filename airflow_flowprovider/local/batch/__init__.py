"""AWS Batch whose jobs really run, as processes on this machine.

``service`` answers requests, ``engine`` moves jobs through their states, ``attempts`` runs an attempt
of a job with all its nodes and ``executor`` one container, ``validation`` refuses what AWS refuses. None
of them knows moto or HTTP: ``adapter`` is the only module that does.
"""
