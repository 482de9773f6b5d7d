"""AWS Batch whose jobs really run, as processes on this machine.

``service`` answers requests, ``engine`` moves jobs through their states, ``executor`` runs one
attempt, ``validation`` refuses what AWS refuses. None of them knows moto or HTTP: ``adapter`` is
the only module that does.
"""
