# Leaves a child, in a session of its own, that keeps stdout and stderr open. $1: seconds it lives.
(setsid setsid sleep "$1" &)
