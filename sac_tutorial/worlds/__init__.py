"""The problems: finite MDPs, gridworlds, random MDPs, a continuous line, and the environments that play them.

Most lessons begin by making one of these; nothing in here learns.
May import: equations, validation.
"""
