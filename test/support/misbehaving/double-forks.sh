# Leaves a child whose parent is gone. $1: seconds it lives.
( (sleep "$1" &) & )
